"""Start MariaDB, MySQL and Redis where the stack file needs them, and register them with the emulator."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
from botocore.config import Config

from tools.localcloud.database import tell
from tools.localcloud.emulator_control import Emulator
from tools.localcloud.environment import local_variables
from tools.localcloud.layout import Layout
from tools.localcloud.servers import redis, sql
from tools.localcloud.servers.programs import TITLES
from tools.localcloud.servers.redis import RedisServer
from tools.localcloud.servers.sql import SqlEngine, SqlServer
from tools.localcloud.wanted import Server

DATABASE = "example"
CACHE, CACHE_USER, CACHE_GROUP = "example-cache", "example-sessions", "example-users"
CACHE_SECRET = "example-sessions-login"  # noqa: S105  a secret's name


def start_servers(layout: Layout, kinds: frozenset[Server]) -> list[SqlServer | RedisServer]:
    """Start the servers of these kinds, except PostgreSQL.

    Raises:
        SetupError: one cannot be had, or does not start.
    """
    started: list[SqlServer | RedisServer] = []
    engines: tuple[SqlEngine, ...] = ("mariadb", "mysql")
    for engine in engines:
        if engine in kinds:
            server = sql.start(layout.local / engine, engine)
            sql.create_database(server, DATABASE)
            started.append(server)
    if "cache" in kinds:
        started.append(redis.start(layout.redis))
    return started


def register_servers(layout: Layout, emulator: Emulator, servers: list[SqlServer | RedisServer]) -> None:
    """Register them as RDS instances `example-ENGINE` and as an ElastiCache replication group. Idempotent.

    Raises:
        SetupError: the emulator refuses.
    """
    for server in servers:
        if isinstance(server, SqlServer):
            tell(emulator, "databases", _instance(server))
        else:
            _make_user_and_group(_elasticache(layout, emulator), server.engine)
            tell(emulator, "caches", _cache(server))


def described(servers: list[SqlServer | RedisServer]) -> Iterator[str]:
    """Yield a line about each server."""
    for server in servers:
        where = f"{server.host}:{server.port} (process {server.pid})"
        yield f"{TITLES[server.engine]} {server.version} at {where}"


def _instance(server: SqlServer) -> dict[str, object]:
    return {
        "DBInstanceIdentifier": f"example-{server.engine}",
        "Engine": server.engine,
        "Host": server.host,
        "Port": server.port,
        "Username": server.admin_user,
        "Password": server.admin_password,
        "DBName": DATABASE,
    }


def _cache(server: RedisServer) -> dict[str, object]:
    return {
        "Kind": "replication-group",
        "Identifier": CACHE,
        "Engine": server.engine,
        "Host": server.host,
        "Port": server.port,
        "CaFile": str(server.ca_file),
        "AdminUser": server.admin_user,
        "AdminPassword": server.admin_password,
        "Group": CACHE_GROUP,
    }


# ruff: noqa: ANN401 -- boto3 makes its clients' types at run time
def _elasticache(layout: Layout, emulator: Emulator) -> Any:
    variables = local_variables(layout, emulator.port)
    return boto3.client(
        "elasticache",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def _make_user_and_group(client: Any, engine: str) -> None:
    """Create what an operator has before any stack: a user with a password that nobody knows, in a group."""
    faults = client.exceptions
    off: dict[str, object] = {"UserName": "default", "AccessString": "off ~* -@all"}
    # the tag hands the user over to the secret: the rotation sets a password of its own
    tag = {"Key": "aws-secrets:secret", "Value": CACHE_SECRET}
    sessions: dict[str, object] = {"UserName": "sessions", "AccessString": "on ~* +@all", "Tags": [tag]}
    users = {f"{CACHE}-default": off, CACHE_USER: sessions}
    for name, about in users.items():
        with suppress(faults.UserAlreadyExistsFault):
            client.create_user(UserId=name, Engine=engine, Passwords=[secrets.token_hex(32)], **about)
    with suppress(faults.UserGroupAlreadyExistsFault):
        client.create_user_group(UserGroupId=CACHE_GROUP, Engine=engine, UserIds=[*users])
