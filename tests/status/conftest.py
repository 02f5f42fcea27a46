"""One deployed stack for all tests of a worker; each test edits secrets of its own."""

from collections.abc import Iterator

import pytest

from tests.engine.stacks import Stack, new_stack
from tests.local_engine import stack_environment
from tests.localcloud.emulator_process import Emulator, running_emulator
from tests.status.stack import Asked, configure


@pytest.fixture(scope="session")
def cloud() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def deployed(cloud: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack of `stack.py`, deployed by the real engine."""
    folder = tmp_path_factory.mktemp("status")
    stack = new_stack(folder / "project", stack_environment(folder, cloud.endpoint), cloud.endpoint)
    configure(stack)
    stack.up()
    return stack


@pytest.fixture
def asked(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The deployed stack, with an environment that leads boto3 to its cloud."""
    for name, value in deployed.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Asked(deployed)
