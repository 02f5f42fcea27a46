"""Fixtures: a server of MariaDB, MySQL, Redis and Valkey for this worker, started when a test needs it."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from redis import Redis

from tools.localcloud.servers import redis, sql
from tools.localcloud.servers.process import remove
from tools.localcloud.servers.programs import UnavailableError, find_or_unpack
from tools.localcloud.servers.redis import RedisServer
from tools.localcloud.servers.sql import SqlServer

__all__ = [
    "mariadb_10_5_server",
    "mariadb_11_server",
    "mariadb_server",
    "mysql_server",
    "redis_server",
    "reload_tls",
    "valkey_server",
]


Server = TypeVar("Server")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[SqlServer]:
    """The machine's MariaDB (10.11 on Debian 12)."""
    yield from _started(lambda folder: sql.start(folder, "mariadb"))


@pytest.fixture(scope="session")
def mariadb_10_5_server() -> Iterator[SqlServer]:
    """MariaDB 10.5, older than the oldest supported version."""
    yield from _started(
        lambda folder: sql.start(folder, "mariadb", programs=find_or_unpack("mariadb", "bullseye"))
    )


@pytest.fixture(scope="session")
def mariadb_11_server() -> Iterator[SqlServer]:
    """MariaDB 11.8."""
    yield from _started(
        lambda folder: sql.start(folder, "mariadb", programs=find_or_unpack("mariadb", "trixie"))
    )


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[SqlServer]:
    """MySQL 8.0.29 or later."""
    yield from _started(lambda folder: sql.start(folder, "mysql"))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The machine's Redis (7.0 on Debian 12)."""
    yield from _started(lambda folder: redis.start(folder, "redis"))


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    """Valkey 7.2 or later."""
    yield from _started(lambda folder: redis.start(folder, "valkey"))


def _started(start: Callable[[Path], Server]) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="tests-server-"))
    try:
        try:
            server = start(folder)
        except UnavailableError as error:
            pytest.skip(str(error))
        yield server
    finally:
        remove(folder)


def reload_tls(server: SqlServer | RedisServer) -> SqlServer | RedisServer:
    """Let a server present what is now in its certificate's files; return it, as it runs now."""
    if isinstance(server, SqlServer):
        return sql.reload_tls(server)
    # the certificate presented so far may be one that no client accepts
    with Redis(
        server.host,
        server.port,
        username=server.admin_user,
        password=server.admin_password,
        ssl=True,
        ssl_cert_reqs="none",
        ssl_check_hostname=False,
    ) as client:
        client.config_set("tls-cert-file", str(server.certificate_file), "tls-key-file", str(server.key_file))
    return server
