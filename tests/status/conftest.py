"""One deployed stack per pytest worker; each test edits its own secrets."""

from collections.abc import Iterator

import pytest

from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.stacks import Stack, new_stack
from tests.support.status_stack import StatusStack, configure


@pytest.fixture(scope="session")
def cloud() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def deployed(cloud: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack of `tests/support/status_stack.py`, deployed by the real engine."""
    folder = tmp_path_factory.mktemp("status")
    stack = new_stack(folder / "project", stack_environment(folder, cloud.endpoint), cloud.endpoint)
    configure(stack)
    stack.up()
    return stack


@pytest.fixture
def status_stack(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> StatusStack:
    """The deployed stack, with boto3 directed at its emulator."""
    for name, value in deployed.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return StatusStack(deployed)
