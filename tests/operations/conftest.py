from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import operations
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.projects import Project, new_project


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def environment(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of this worker's local cloud. Each test uses its own stacks and secrets."""
    return stack_environment(tmp_path_factory.mktemp("cloud"), emulator.endpoint)


@pytest.fixture(scope="session")
def tenants(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> operations.Workspace:
    """Stacks of this program, as a service opens them."""
    return operations.inline(tmp_path_factory.mktemp("tenants"), environment=environment)


@pytest.fixture
def project(environment: Mapping[str, str], tmp_path: Path) -> Project:
    """A project whose program the test writes. It needs no AWS, so it is fast."""
    return new_project(tmp_path, environment)
