"""A stack whose database login rotates, on a real PostgreSQL registered as an RDS instance."""

import itertools
import json
import os
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pg8000.native

from tests.support.stacks import Stack
from tools.localcloud.postgres import PostgresServer

SECRET = "shop-database"
_numbers = itertools.count(1)
_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Shop:
    """`database` and the login's `username` belong to one test."""

    stack: Stack
    server: PostgresServer
    database: str
    username: str

    def configure(
        self,
        login: Mapping[str, Any] | None = None,
        server: Mapping[str, Any] | None = None,
        **stack_wide: object,
    ) -> None:
        """Write the stack file: one database with one login, and any other settings."""
        declared = {"username": self.username, "database": self.database, "grants": "owner", **(login or {})}
        about = {
            "rdsInstance": "shop",
            "certificateAuthorities": str(self.server.ca_file),
            "logins": {SECRET: declared},
            **(server or {}),
        }
        self.stack.configure({}, databases={"shop": about}, encryption="aws-managed", **stack_wide)

    def log_in(self, value: Mapping[str, str] | None = None) -> str:
        """Log in as a pod does, with DATABASE_URL and a verified server; return the user."""
        with self.connection(value) as connection:
            [[user]] = connection.run("SELECT session_user::text")
        return str(user)

    @contextmanager
    def connection(self, value: Mapping[str, str] | None = None) -> Iterator[Any]:
        url = urlsplit((value or self.stack.value(SECRET))["DATABASE_URL"])
        assert url.query == "sslmode=verify-full"
        connection = pg8000.native.Connection(
            unquote(url.username or ""),
            host=url.hostname,
            port=url.port,
            database=unquote(url.path[1:]),
            password=unquote(url.password or ""),
            ssl_context=ssl.create_default_context(cafile=str(self.server.ca_file)),
        )
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def administrator(self) -> Iterator[Any]:
        connection = pg8000.native.Connection(
            self.server.admin_user,
            host=self.server.host,
            port=self.server.port,
            database=self.database,
            password=self.server.admin_password,
            ssl_context=ssl.create_default_context(cafile=str(self.server.ca_file)),
        )
        try:
            yield connection
        finally:
            connection.close()

    def described(self, secret: str = SECRET) -> dict[str, Any]:
        found: dict[str, Any] = self.stack.client().describe_secret(SecretId=secret)
        return found

    def rotate(self, secret: str = SECRET) -> dict[str, str]:
        """Rotate as any client may; return the new value when the rotation has finished."""
        self.wait_for_rotations()  # the test of the secret when rotation is attached
        version = self.stack.client().rotate_secret(SecretId=secret)["VersionId"]
        deadline = time.monotonic() + _WAIT_SECONDS
        while self.described(secret)["VersionIdsToStages"].get(version) != ["AWSCURRENT"]:
            assert time.monotonic() < deadline, self.described(secret)["VersionIdsToStages"]
            time.sleep(0.02)
        return self.stack.value(secret)

    def wait_for_rotations(self) -> None:
        """Wait until no rotation is in progress, including AWS's test when rotation is attached."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while rotations(self.stack.endpoint)["unfinished"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def rotations(endpoint: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{endpoint}/_localcloud/rotations", timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def new_shop(stack: Stack, server: PostgresServer) -> Shop:
    """Create the database, and register the server with the local cloud."""
    # workers do not share a server, but a server outlives a test
    number = f"{os.getpid()}_{next(_numbers)}"
    shop = Shop(stack, server, f"shop_{number}", f"app_{number}")
    body = {
        "DBInstanceIdentifier": "shop",
        "Host": server.host,
        "Port": server.port,
        "Username": server.admin_user,
        "Password": server.admin_password,
    }
    request = urllib.request.Request(
        f"{stack.endpoint}/_localcloud/databases", data=json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=60):
        pass
    connection = pg8000.native.Connection(
        server.admin_user,
        host=server.host,
        port=server.port,
        database="postgres",
        password=server.admin_password,
        ssl_context=ssl.create_default_context(cafile=str(server.ca_file)),
    )
    connection.run(f"CREATE DATABASE {pg8000.native.identifier(shop.database)}")
    connection.close()
    shop.configure()
    return shop


def copy_of_server_log(server: PostgresServer) -> str:
    return Path(server.log_file).read_text(errors="replace")
