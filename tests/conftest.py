"""What holds for all tests."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import postgres
from localcloud.postgres import PostgresServer

# A job that a shell runs in the background ignores SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Every command of the engine starts five Python processes: what they import is compiled once, not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL for this worker; every test has a database and roles of its own."""
    # the server's user must be able to enter, which pytest's own folders do not allow
    folder = Path(tempfile.mkdtemp(prefix="tests-postgres-"))
    try:
        yield postgres.start(folder)
    finally:
        postgres.remove(folder)
