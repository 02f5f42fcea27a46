"""A database, a Secrets Manager, and helpers that invoke the rotation function as AWS does."""

import itertools
import json
import socket
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pg8000.native

from components.lambdas.rotation.errors import OperatorError
from components.lambdas.rotation.handler import handle
from components.lambdas.rotation.protocol import URL
from components.lambdas.rotation.sql import literal, scram_verifier
from tests.support.secret_parts import remember
from tools.localcloud.postgres import PostgresServer

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class World:
    """A server, and the Secrets Manager with the secrets of its administrator and logins."""

    server: PostgresServer
    secrets: Any
    admin_arn: str


class AnyWorld(Protocol):
    """A world of any engine, for helpers that use only its secrets."""

    @property
    def secrets(self) -> Any: ...


def unique(prefix: str) -> str:
    return f"{prefix}{next(_numbers)}"


def superuser(server: PostgresServer, database: str = "postgres") -> Any:
    return _connect(server, server.superuser, server.superuser_password, database)


def administrator(server: PostgresServer, database: str = "postgres") -> Any:
    return _connect(server, server.admin_user, server.admin_password, database)


def new_database(world: World, prefix: str = "db") -> str:
    """Create a database that belongs to the administrator, as on RDS."""
    name = unique(prefix)
    with administrator(world.server) as connection:
        connection.run(f"CREATE DATABASE {pg8000.native.identifier(name)}")
    return name


def drop_roles(world: World, database: str, *names: str) -> None:
    """Drop roles, with everything that they own and were granted in the database."""
    with superuser(world.server, database) as connection:
        for name in names:
            quoted = pg8000.native.identifier(name)
            connection.run(f"DROP OWNED BY {quoted}")
            connection.run(f"DROP ROLE {quoted}")


def put_admin_secret(secrets: Any, server: PostgresServer) -> str:
    value = {"username": server.admin_user, "password": server.admin_password}
    arn: str = secrets.create_secret(Name=unique("admin"), SecretString=json.dumps(value))["ARN"]
    return arn


def put_secret(world: AnyWorld, fields: Mapping[str, object], tags: Mapping[str, str]) -> str:
    arn: str = world.secrets.create_secret(
        Name=unique("secret"),
        SecretString=json.dumps(fields),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )["ARN"]
    return arn


def put_login(
    world: World, database: str, username: str, *, alternating: bool = True, **fields: object
) -> str:
    """Create a login's secret as a deployment does, with an initial password and still without roles."""
    value = {
        "engine": "postgres",
        "host": world.server.host,
        "port": world.server.port,
        "dbname": database,
        "username": username,
        "password": a_password(),
        "masterarn": world.admin_arn,
        **fields,
    }
    kind = "postgres-alternating" if alternating else "postgres"
    known = {key: item for key, item in value.items() if item is not None}
    remember(known.get("password"))
    return put_secret(world, known, {"aws-secrets:rotation": kind})


def provision(arn: str, **request: object) -> Mapping[str, Any]:
    return handle({"Action": "provision", "SecretId": arn, **request}) or {}


def a_login(world: World, *, alternating: bool = True, grants: object = "owner", **fields: object) -> str:
    """Create a working login in its own database; return its secret's ARN."""
    arn = put_login(world, new_database(world), unique("app"), alternating=alternating, **fields)
    provision(arn, Grants=grants)
    return arn


def a_login_in(
    world: World,
    database: str,
    username: str | None = None,
    *,
    alternating: bool = True,
    request: Mapping[str, object] | None = None,
) -> str:
    """Create a working login in a shared database; return its secret's ARN."""
    arn = put_login(world, database, username or unique("app"), alternating=alternating)
    provision(arn, **(request or {"Grants": "owner"}))
    return arn


def a_password() -> str:
    """Return a password that no test has as a name: the scan of the logs would take one for the other."""
    password = uuid.uuid4().hex
    remember(password)
    return password


def set_password(world: World, name: str, password: str) -> None:
    """Set a role's password by its verifier, as a careful person does."""
    remember(password)
    with superuser(world.server) as connection:
        connection.run(f'ALTER ROLE "{name}" PASSWORD {literal(scram_verifier(password))}')


def start_rotation(world: AnyWorld, arn: str) -> str:
    """Start a rotation as Secrets Manager does: create a pending version without a value."""
    token = str(uuid.uuid4())
    world.secrets.rotate_secret(
        SecretId=arn, ClientRequestToken=token, RotationRules={"AutomaticallyAfterDays": 30}
    )
    return token


def run_steps(arn: str, token: str, steps: Sequence[str] = STEPS) -> None:
    for step in steps:
        run_step(arn, token, step)


def run_step(arn: str, token: str, step: str) -> None:
    handle({"Step": step, "SecretId": arn, "ClientRequestToken": token})


def rotate(world: AnyWorld, arn: str) -> None:
    run_steps(arn, start_rotation(world, arn))


def read(world: AnyWorld, arn: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
    answer = world.secrets.get_secret_value(SecretId=arn, VersionStage=stage)
    value: dict[str, Any] = json.loads(answer["SecretString"])
    remember(value.get("password"))
    return value


def write(world: AnyWorld, arn: str, **changes: object) -> None:
    """Edit the secret, as a person does."""
    world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**read(world, arn), **changes}))


def version_with(world: AnyWorld, arn: str, stage: str) -> str | None:
    versions = world.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    return next((version for version, stages in versions.items() if stage in stages), None)


def log_in(world: World, fields: Mapping[str, Any]) -> Any:
    """Connect as a workload does, without the code under test."""
    return _connect(world.server, fields["username"], fields["password"], fields["dbname"])


def can_log_in(world: World, fields: Mapping[str, Any]) -> bool:
    try:
        log_in(world, fields).close()
    except pg8000.native.DatabaseError as error:
        assert error.args[0]["C"] == "28P01", error.args[0]["M"]
        return False
    return True


def run_as(world: World, fields: Mapping[str, Any], *statements: str) -> Any:
    with log_in(world, fields) as connection:
        for statement in statements:
            answer = connection.run(statement)
    return answer


def both_users(world: World, arn: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rotate once and return the values before and after: one of each user, both valid."""
    before = read(world, arn)
    rotate(world, arn)
    return before, read(world, arn)


def assert_consistent(fields: Mapping[str, Any]) -> None:
    """Check that the URL agrees with the keys."""
    parts = urlsplit(fields[URL])
    assert unquote(parts.username or "") == fields["username"]
    assert unquote(parts.password or "") == fields["password"]
    assert parts.port == int(fields["port"])
    assert unquote(parts.path[1:]) == fields["dbname"]


def rejection(call: Callable[[], object]) -> str:
    """Call what is expected to fail; return the message for the operator."""
    try:
        call()
    except OperatorError as error:
        return str(error)
    raise AssertionError("no error was raised")


class _Connection(pg8000.native.Connection):  # type: ignore[misc] # pg8000 has no type information
    """A connection that omits the user's name in SCRAM, as libpq does: not every name is valid there."""

    user: bytes

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: object) -> None:  # noqa: N802 - pg8000's name
        user: bytes = self.user
        self.user = b"-"
        super().handle_AUTHENTICATION_REQUEST(data, context)
        self.user = user


def _connect(server: PostgresServer, user: str, password: str, database: str) -> Any:
    connected = socket.create_connection((server.host, server.port), 30)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return _Connection(
            user,
            server.host,
            database,
            server.port,
            password,
            ssl_context=_trust(str(server.ca_file)),
            sock=connected,
        )
    except BaseException:
        connected.close()
        raise


@cache
def _trust(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)
