from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.stacks import Stack, new_stack
from tests.local_engine import stack_environment
from tests.localcloud.emulator_process import Emulator, running_emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture
def stack(emulator: Emulator, tmp_path: Path) -> Stack:
    """A checkout with the stack `test`, which encrypts the fleet's file and makes nothing itself."""
    environment = stack_environment(tmp_path, emulator.endpoint)
    return new_stack(tmp_path / "project", environment, emulator.endpoint)
