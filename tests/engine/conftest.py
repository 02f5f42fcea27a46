import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import postgres
from localcloud.postgres import PostgresServer
from tests.engine.shops import Shop, new_shop
from tests.engine.stacks import Stack, new_stack
from tests.local_engine import stack_environment
from tests.localcloud.emulator_process import Emulator, running_emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture
def stack(emulator: Emulator, tmp_path: Path) -> Stack:
    """The example's stack, not yet deployed, on a local cloud of its own."""
    environment = stack_environment(tmp_path, emulator.endpoint)
    return new_stack(tmp_path / "project", environment, emulator.endpoint)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL for this worker; every test has a database and roles of its own."""
    # the server's user must be able to enter, which pytest's own folders do not allow
    folder = Path(tempfile.mkdtemp(prefix="engine-postgres-"))
    try:
        yield postgres.start(folder)
    finally:
        postgres.remove(folder)


@pytest.fixture
def shop(stack: Stack, server: PostgresServer) -> Shop:
    """A stack with one database login, not yet deployed."""
    return new_shop(stack, server)
