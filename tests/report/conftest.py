from pathlib import Path

import pytest

from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.recordings import Recordings, record
from tests.support.shops import new_shop
from tests.support.stacks import new_stack
from tools.localcloud.files import exclusive
from tools.localcloud.postgres import PostgresServer


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Recordings:
    """Return the recorded previews, which all workers of a run share."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a pytest-xdist worker has its own folder inside that of the run
        shared = shared.parent
    folder = shared / "recordings"
    with exclusive(shared / "recordings.lock", lambda: None):
        if not folder.exists():
            unfinished = tmp_path_factory.mktemp("recording")
            server = request.getfixturevalue("server")  # started only by the worker that records
            _record(unfinished, tmp_path_factory.mktemp("recorded-stack"), server)
            unfinished.rename(folder)
    return Recordings(folder)


def _record(folder: Path, place: Path, server: PostgresServer) -> None:
    with running_emulator(None) as emulator:
        environment = stack_environment(place, emulator.endpoint)
        stack = new_stack(place / "project", environment, emulator.endpoint)
        record(new_shop(stack, server), folder)
