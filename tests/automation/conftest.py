from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import automation
from tests.automation.projects import Project, new_project
from tests.local_engine import stack_environment
from tests.localcloud.emulator_process import Emulator, running_emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def environment(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A local cloud of this worker; each test has stacks and secrets of its own."""
    return stack_environment(tmp_path_factory.mktemp("cloud"), emulator.endpoint)


@pytest.fixture(scope="session")
def tenants(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> automation.Workspace:
    """Stacks of this program, as a service has them."""
    return automation.inline(tmp_path_factory.mktemp("tenants"), environment=environment)


@pytest.fixture
def project(environment: Mapping[str, str], tmp_path: Path) -> Project:
    """A project with a program that a test writes; it needs no AWS, so it is quick."""
    return new_project(tmp_path, environment)
