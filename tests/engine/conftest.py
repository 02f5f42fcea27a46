from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.shops import Shop, new_shop
from tests.support.stacks import Stack, new_stack
from tools.localcloud.postgres import PostgresServer


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture
def stack(emulator: Emulator, tmp_path: Path) -> Stack:
    """The example's stack, not yet deployed, on its own local cloud."""
    environment = stack_environment(tmp_path, emulator.endpoint)
    return new_stack(tmp_path / "project", environment, emulator.endpoint)


@pytest.fixture
def shop(stack: Stack, server: PostgresServer) -> Shop:
    """A stack with one database login, not yet deployed."""
    return new_shop(stack, server)
