"""Workloads log in continuously while a login is rotated again and again."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from tests.support.deep import deep_except
from tests.support.engines import OVERLAPPING, Engine
from tests.support.rotation_world import read, rotate

ROTATIONS = int(os.environ.get("ROTATIONS", "20"))
HISTORY = max(6, ROTATIONS // 4)

for_overlapping = pytest.mark.parametrize(
    "engine", deep_except(OVERLAPPING, ["postgres-alternating"]), indirect=True
)


@dataclass(frozen=True)
class OwnClient:
    """A Secrets Manager client for a thread of its own."""

    secrets: Any = field(default_factory=lambda: boto3.client("secretsmanager"))


class Client(threading.Thread):
    """A thread that logs in with the value from `fetch`, and collects failures, until `stop` is set."""

    def __init__(self, engine: Engine, fetch: Callable[[], dict[str, Any]], stop: threading.Event) -> None:
        super().__init__()
        self._engine, self._fetch, self._stopped = engine, fetch, stop
        self.logins = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._engine.log_in(self._fetch()).close()
            except Exception as error:  # noqa: BLE001 - every failure counts
                self.failures.append(repr(error))
            self.logins += 1


class Cache:
    """A client's cached value, which it refreshes in the middle between two rotations."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value

    def get(self) -> dict[str, Any]:
        return self.value


def _wait_for(client: Client, logins: int) -> None:
    while client.logins < logins:
        time.sleep(0.001)


@for_overlapping
def test_no_login_fails_over_many_rotations(
    engine: Engine, record_property: Callable[[str, object], None]
) -> None:
    arn = engine.a_login()
    cache = Cache(read(engine.world, arn))
    stop = threading.Event()
    own_client = OwnClient()
    fetching = Client(engine, lambda: read(own_client, arn), stop)
    caching = Client(engine, cache.get, stop)
    for client in (fetching, caching):
        client.start()
    try:
        for _ in range(ROTATIONS):
            seen = caching.logins
            rotate(engine.world, arn)
            # half a period with the old value, for at least a few logins
            _wait_for(caching, seen + 4)
            cache.value = read(engine.world, arn)
            # A login in progress may have the previous value, which works until the rotation after next: wait
            # until it has ended, however slow the machine is.
            for client in (fetching, caching):
                _wait_for(client, client.logins + 1)
    finally:
        stop.set()
        fetching.join()
        caching.join()
    record_property("logins", {"fetching": fetching.logins, "caching": caching.logins})
    assert fetching.failures == []
    assert caching.failures == []
    assert min(fetching.logins, caching.logins) > ROTATIONS


@dataclass(frozen=True)
class Attempt:
    """A login: with which of the values that were current, when, and whether it succeeded."""

    value: int
    began: float
    ended: float
    succeeded: bool


class Historian(threading.Thread):
    """A thread that logs in with each of the latest values in turn, and records what happens."""

    def __init__(self, engine: Engine, values: list[Mapping[str, Any]], stop: threading.Event) -> None:
        super().__init__()
        self._engine, self._values, self._stopped = engine, values, stop
        self.attempts: list[Attempt] = []

    def run(self) -> None:
        for age in itertools.cycle(range(4)):
            if self._stopped.is_set():
                return
            number = len(self._values) - 1 - age
            if number < 0:
                continue
            began = time.monotonic()
            succeeded = self._engine.can_log_in(self._values[number])
            self.attempts.append(Attempt(number, began, time.monotonic(), succeeded))


@for_overlapping
def test_every_login_agrees_with_an_order_of_the_rotations(
    engine: Engine, record_property: Callable[[str, object], None]
) -> None:
    """Value n is valid until rotation n + 2 begins, and invalid when that rotation has ended.

    Rotation n makes value n current.
    """
    arn = engine.a_login()
    values: list[Mapping[str, Any]] = [read(engine.world, arn)]
    spans = [(0.0, 0.0)]
    stop = threading.Event()
    clients = [Historian(engine, values, stop) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for _ in range(HISTORY):
            began = time.monotonic()
            rotate(engine.world, arn)
            spans.append((began, time.monotonic()))
            values.append(read(engine.world, arn))
            seen = [len(client.attempts) for client in clients]
            while any(len(client.attempts) < old + 5 for client, old in zip(clients, seen, strict=True)):
                time.sleep(0.001)
    finally:
        stop.set()
        for client in clients:
            client.join()
    attempts = [attempt for client in clients for attempt in client.attempts]
    never = (float("inf"), float("inf"))
    for attempt in attempts:
        began, ended = spans[attempt.value + 2] if attempt.value + 2 < len(spans) else never
        if attempt.ended < began:
            assert attempt.succeeded, attempt
        elif attempt.began > ended:
            assert not attempt.succeeded, attempt
    outcomes = {attempt.succeeded for attempt in attempts}
    record_property("attempts", len(attempts))
    assert outcomes == {True, False}
