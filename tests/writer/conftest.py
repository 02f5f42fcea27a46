"""A Secrets Manager for each test; whatever the function says is searched for values at the end."""

import io
import logging
from collections.abc import Iterator

import pytest

from functions.writer import store, write
from localcloud.emulator import secrets_rules as rules
from localcloud.emulator.label_rules import WORLDS
from tests.writer.world import VALUES, World


@pytest.fixture(scope="session", autouse=True)
def function_log() -> Iterator[io.StringIO]:
    """All that the function logs in this session; no value may be in it."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    yield log
    logging.getLogger().removeHandler(handler)
    assert not any(value in log.getvalue() for value in VALUES), "a value reached the log"


@pytest.fixture(params=WORLDS, ids=["", "stripped", "uncurrent", "uncurrent-stripped"])
def world(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    monkeypatch.setattr(rules, "label_rules", request.param)
    made = World()
    monkeypatch.setattr(store, "_client", lambda: made)
    monkeypatch.setattr(write, "_LONGEST_PAUSE", 0.05)
    return made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request gives up at once."""
    monkeypatch.setattr(write, "PENDING_SECONDS", 0.0)
    monkeypatch.setattr("functions.writer.handler.SECONDS", 0.5)
