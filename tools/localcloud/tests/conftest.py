"""An emulator for each module that needs one, and the stand-in aws plugin over it."""

from collections.abc import Iterator

import pytest

from tests.support.emulator_process import Emulator, running_emulator
from tests.support.engine_servers import (  # noqa: F401  fixtures of these tests
    mariadb_10_5_server,
    mariadb_11_server,
    mariadb_server,
    mysql_server,
    redis_server,
    valkey_server,
)
from tools.localcloud.tests.plugin_calls import Plugin, lead_to


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as running:
        yield running


@pytest.fixture
def surroundings(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point everything in this process at the emulator."""
    lead_to(emulator, monkeypatch)


@pytest.fixture(scope="module")
def plugin(emulator: Emulator) -> Iterator[Plugin]:
    with pytest.MonkeyPatch.context() as patch:
        lead_to(emulator, patch)
        yield Plugin({"region": "us-east-1"})


@pytest.fixture
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the plugin's retries fail at once."""
    monkeypatch.setattr("tools.localcloud.plugins.aws.retries.SECONDS", 0)
