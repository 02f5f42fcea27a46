"""A database `shop` on the tests' PostgreSQL, which the emulated RDS has with a managed master secret."""

import json
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pg8000.native

from tools.localcloud.postgres import PostgresServer

NAME = "shop"
_INSTANCE = "library"


@dataclass(frozen=True)
class Database:
    """The server, and the ARN of its administrator's secret."""

    server: PostgresServer
    admin_secret_arn: str

    def configuration(self) -> dict[str, str]:
        """Return the configuration of the examples."""
        return {
            "host": self.server.host,
            "port": str(self.server.port),
            "adminSecretArn": self.admin_secret_arn,
            "certificateAuthorities": self.server.ca_file.read_text(),
        }

    @contextmanager
    def connection(self, username: str, password: str) -> Iterator[Any]:
        """Log in over verified TLS."""
        connection = connected(self.server, username, password, NAME)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def new_database(server: PostgresServer, endpoint: str) -> Iterator[Database]:
    """Create the database and register it with the emulator; remove it and the login's roles afterwards."""
    body = {
        "DBInstanceIdentifier": _INSTANCE,
        "Host": server.host,
        "Port": server.port,
        "Username": server.admin_user,
        "Password": server.admin_password,
    }
    request = urllib.request.Request(
        f"{endpoint}/_localcloud/databases", data=json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=60):
        pass
    rds = boto3.client(
        "rds",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    [instance] = rds.describe_db_instances(DBInstanceIdentifier=_INSTANCE)["DBInstances"]
    connection = connected(server, server.admin_user, server.admin_password, "postgres")
    try:
        connection.run(f"CREATE DATABASE {NAME}")
        yield Database(server, instance["MasterUserSecret"]["SecretArn"])
    finally:
        connection.run(f"DROP DATABASE {NAME} WITH (FORCE)")
        for role in (NAME, f"{NAME}_clone", f"{NAME}_owner"):
            connection.run(f"DROP ROLE IF EXISTS {role}")
        connection.close()


def connected(server: PostgresServer, username: str, password: str, database: str) -> Any:
    return pg8000.native.Connection(
        username,
        host=server.host,
        port=server.port,
        database=database,
        password=password,
        ssl_context=ssl.create_default_context(cafile=str(server.ca_file)),
    )
