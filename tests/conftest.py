"""Settings and fixtures of all tests."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine_servers import (  # noqa: F401  fixtures of every test
    mariadb_10_5_server,
    mariadb_11_server,
    mariadb_server,
    mysql_server,
    redis_server,
    valkey_server,
)
from tools.localcloud import postgres
from tools.localcloud.postgres import PostgresServer

# A shell's background job ignores SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Every engine command starts five Python processes: compile what they import once, not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers for `-n auto`: one more than CPUs, as tests of databases wait a lot."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this worker; every test has its own database and roles."""
    # the server's user needs access, which pytest's own folders deny
    folder = Path(tempfile.mkdtemp(prefix="tests-postgres-"))
    try:
        yield postgres.start(folder)
    finally:
        postgres.remove(folder)
