from pathlib import Path

import pytest

from localcloud.files import exclusive
from localcloud.postgres import PostgresServer
from tests.engine.shops import new_shop
from tests.engine.stacks import new_stack
from tests.local_engine import stack_environment
from tests.localcloud.emulator_process import running_emulator
from tests.report.recordings import Recordings, record


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Recordings:
    """Made once for all workers of a run."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a worker of pytest-xdist has a folder of its own below the run's
        shared = shared.parent
    folder = shared / "recordings"
    with exclusive(shared / "recordings.lock", lambda: None):
        if not folder.exists():
            unfinished = tmp_path_factory.mktemp("recording")
            server = request.getfixturevalue("server")  # not started where another worker records
            _record(unfinished, tmp_path_factory.mktemp("recorded-stack"), server)
            unfinished.rename(folder)
    return Recordings(folder)


def _record(folder: Path, place: Path, server: PostgresServer) -> None:
    with running_emulator(None) as emulator:
        environment = stack_environment(place, emulator.endpoint)
        stack = new_stack(place / "project", environment, emulator.endpoint)
        record(new_shop(stack, server), folder)
