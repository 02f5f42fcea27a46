"""A MySQL or MariaDB server, a Secrets Manager, and helpers that are like those of `rotation_world`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql

from components.lambdas.rotation.mysql_hashes import caching_sha2, native
from tests.support.rotation_world import a_password, provision, put_secret, unique
from tests.support.secret_parts import remember
from tools.localcloud.servers.sql import SqlServer, connect

ACCESS_DENIED = 1045


@dataclass(frozen=True)
class MysqlWorld:
    """A server, and the Secrets Manager with the secrets of its administrator and logins."""

    server: SqlServer
    secrets: Any
    admin_arn: str

    @property
    def kind(self) -> str:
        """The tag's value, and the engine in the secrets."""
        return self.server.engine


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def account(user: str, host: str = "%") -> str:
    return f"{text(user)}@{text(host)}"


def run(connection: Any, *statements: str) -> Any:
    """Run statements and return the rows of the last."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


@contextmanager
def superuser(world: MysqlWorld) -> Iterator[Any]:
    """A connection over the server's socket, as whoever may do anything."""
    server = world.server
    with pymysql.connect(
        unix_socket=str(server.socket),
        user=server.superuser,
        password=server.superuser_password,
        autocommit=True,
    ) as connection:
        yield connection


def as_superuser(world: MysqlWorld, *statements: str) -> Any:
    with superuser(world) as connection:
        return run(connection, *statements)


@contextmanager
def administrator(world: MysqlWorld) -> Iterator[Any]:
    with connect(world.server, world.server.admin_user, world.server.admin_password) as connection:
        yield connection


def as_administrator(world: MysqlWorld, *statements: str) -> Any:
    with administrator(world) as connection:
        return run(connection, *statements)


def new_database(world: MysqlWorld, prefix: str = "db_") -> str:
    name = unique(prefix)
    as_administrator(world, f"CREATE DATABASE {quoted(name)}")
    return name


def put_login(world: MysqlWorld, database: str, username: str, **fields: object) -> str:
    """Create a login's secret as a deployment does, with an initial password and still without account."""
    value = {
        "engine": world.kind,
        "host": world.server.host,
        "port": str(world.server.port),
        "dbname": database,
        "username": username,
        "password": a_password(),
        "masterarn": world.admin_arn,
        **fields,
    }
    known = {key: item for key, item in value.items() if item is not None}
    remember(known.get("password"))
    return put_secret(world, known, {"aws-secrets:rotation": world.kind})


def a_login(world: MysqlWorld, *, grants: object = "owner", **fields: object) -> str:
    """Create a working login in its own database; return its secret's ARN."""
    return a_login_in(world, new_database(world), None, grants=grants, **fields)


def a_login_in(
    world: MysqlWorld,
    database: str,
    username: str | None = None,
    *,
    grants: object = "owner",
    **fields: object,
) -> str:
    """Create a working login in a shared database; return its secret's ARN."""
    arn = put_login(world, database, username or unique("app"), **fields)
    provision(arn, Grants=grants)
    return arn


def log_in(world: MysqlWorld, fields: Mapping[str, Any]) -> Any:
    """Connect as a workload does, without the code under test."""
    password = fields["password"]
    return connect(world.server, fields["username"], password.encode(), fields["dbname"])


def can_log_in(world: MysqlWorld, fields: Mapping[str, Any]) -> bool:
    try:
        log_in(world, fields).close()
    except pymysql.err.OperationalError as error:
        if error.args[0] != ACCESS_DENIED:
            raise
        return False
    return True


def run_as(world: MysqlWorld, fields: Mapping[str, Any], *statements: str) -> Any:
    with log_in(world, fields) as connection:
        return run(connection, *statements)


def verifier(world: MysqlWorld, password: str) -> str:
    """Return the clause that sets a password by what the server stores, as a careful person does."""
    remember(password)
    if world.kind == "mariadb":
        return f"IDENTIFIED VIA mysql_native_password USING {text(native(password).stored)}"
    return f"IDENTIFIED WITH caching_sha2_password AS {text(caching_sha2(password).stored)}"


def set_password(world: MysqlWorld, name: str, password: str) -> None:
    """Replace all passwords of an account."""
    statements = [f"ALTER USER {account(name)} {verifier(world, password)}"]
    if world.kind == "mysql":
        statements.append(f"ALTER USER {account(name)} DISCARD OLD PASSWORD")
    as_superuser(world, *statements)


def create_user(world: MysqlWorld, name: str, password: str, host: str = "%") -> None:
    as_superuser(world, f"CREATE USER {account(name, host)} {verifier(world, password)}")


def put_admin_secret(secrets: Any, server: SqlServer) -> str:
    value = {"username": server.admin_user, "password": server.admin_password}
    arn: str = secrets.create_secret(Name=unique("admin"), SecretString=json.dumps(value))["ARN"]
    return arn
