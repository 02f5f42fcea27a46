"""A Secrets Manager for each test; at the end, the function's log is searched for values."""

import io
import logging
from collections.abc import Iterator

import pytest

from components.lambdas.writer import store, write
from tests.support.deep import deep_except
from tests.support.writer_world import VALUES, World
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.label_rules import WORLDS


@pytest.fixture(scope="session", autouse=True)
def function_log() -> Iterator[io.StringIO]:
    """Collect the function's log of the session, and check that it contains no value."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    yield log
    logging.getLogger().removeHandler(handler)
    logged = log.getvalue()
    assert not any(value in logged for value in VALUES), "a value reached the log"


@pytest.fixture(
    params=deep_except(WORLDS, [WORLDS[0], WORLDS[3]]),
    ids=["", "stripped", "uncurrent", "uncurrent-stripped"],
)
def world(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    monkeypatch.setattr(rules, "label_rules", request.param)
    world = World()
    monkeypatch.setattr(store, "_client", lambda: world)
    monkeypatch.setattr(write, "_LONGEST_PAUSE", 0.05)
    return world


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests give up at once."""
    monkeypatch.setattr(write, "PENDING_SECONDS", 0.0)
    monkeypatch.setattr("components.lambdas.writer.handler.SECONDS", 0.5)
