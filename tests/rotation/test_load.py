"""Workloads that log in all the time, while their users alternate."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3

from tests.rotation.world import World, a_login, log_in, read, rotate

ROTATIONS = int(os.environ.get("ROTATIONS", "20"))


class Client(threading.Thread):
    """Logs in with the value that `fetch` returns until it is told to stop; remembers what went wrong."""

    def __init__(self, world: World, fetch: Callable[[], dict[str, Any]], stop: threading.Event) -> None:
        super().__init__()
        self._world, self._fetch, self._stopped = world, fetch, stop
        self.logins = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                log_in(self._world, self._fetch()).close()
            except Exception as error:  # noqa: BLE001 - every failure counts
                self.failures.append(repr(error))
            self.logins += 1


class Cache:
    """What a client keeps for half a period: it looks at the secret in the middle between two rotations."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value

    def get(self) -> dict[str, Any]:
        return self.value


def _wait_for(client: Client, logins: int) -> None:
    while client.logins < logins:
        time.sleep(0.001)


def test_over_many_alternating_rotations_no_login_fails(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    arn = a_login(world)
    cache = Cache(read(world, arn))
    stop = threading.Event()
    own_connection = World(world.server, boto3.client("secretsmanager"), world.admin_arn)
    fetching = Client(world, lambda: read(own_connection, arn), stop)
    caching = Client(world, cache.get, stop)
    for client in (fetching, caching):
        client.start()
    try:
        for _ in range(ROTATIONS):
            seen = caching.logins
            rotate(world, arn)
            # half a period on the old value, at least a few logins of it
            _wait_for(caching, seen + 4)
            cache.value = read(world, arn)
            # A login that is under way has perhaps the value from before. It ends before the rotation after
            # next begins, however slow the machine is: longer that value need not work.
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
