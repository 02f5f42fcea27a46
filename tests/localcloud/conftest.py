"""An emulator for each module that asks for one, and the stand-in aws plugin over it."""

from collections.abc import Iterator

import pytest

from tests.localcloud.emulator_process import Emulator, running_emulator
from tests.localcloud.plugin_calls import Plugin, lead_to


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as running:
        yield running


@pytest.fixture
def surroundings(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads what is run in this process to the emulator."""
    lead_to(emulator, monkeypatch)


@pytest.fixture(scope="module")
def plugin(emulator: Emulator) -> Iterator[Plugin]:
    with pytest.MonkeyPatch.context() as patch:
        lead_to(emulator, patch)
        yield Plugin({"region": "us-east-1"})


@pytest.fixture
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the plugin would try again fails at once."""
    monkeypatch.setattr("localcloud.plugins.aws.retries.SECONDS", 0)
