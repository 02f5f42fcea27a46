"""Workloads log in to a cache continuously while its password rotates."""

import os
import threading
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.support.cache_world import Caches, a_cache_login, a_token, current, log_in, provisioned, users
from tests.support.rotation_world import rotate

ROTATIONS = int(os.environ.get("ROTATIONS", "5"))


class Client(threading.Thread):
    """A thread that logs in with the value from `fetch`, and collects failures, until `stop` is set."""

    def __init__(self, caches: Caches, fetch: Callable[[], dict[str, Any]], stop: threading.Event) -> None:
        super().__init__()
        self._caches, self._fetch, self._stopped = caches, fetch, stop
        self._done = threading.Condition()
        self.logins = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                log_in(self._caches, self._fetch())
            except Exception as error:  # noqa: BLE001 - every failure counts
                self.failures.append(repr(error))
            with self._done:
                self.logins += 1
                self._done.notify_all()

    def wait_for(self, more: int) -> None:
        with self._done:
            wanted = self.logins + more
            self._done.wait_for(lambda: self.logins >= wanted)


@pytest.mark.parametrize("kind", ["user", "token"])
def test_no_login_fails_over_many_rotations(
    caches: Caches, kind: str, record_property: Callable[[str, object], None]
) -> None:
    arn = a_cache_login(caches)[1] if kind == "user" else a_token(caches)[1]
    cached = [current(caches, arn)]
    stop = threading.Event()
    own = Caches(caches.server, boto3.client("secretsmanager"), caches.endpoint)
    fetching = Client(caches, lambda: current(own, arn), stop)
    caching = Client(caches, lambda: cached[0], stop)
    for client in (fetching, caching):
        client.start()
    try:
        for _ in range(ROTATIONS):
            rotate(caches, arn)
            caching.wait_for(4)  # half a period with the old value
            cached[0] = current(caches, arn)
            # a login in progress may have the previous value, which works until the rotation after next
            for client in (fetching, caching):
                client.wait_for(1)
    finally:
        stop.set()
        fetching.join()
        caching.join()
    record_property("logins", {"fetching": fetching.logins, "caching": caching.logins})
    assert fetching.failures == []
    assert caching.failures == []
    assert min(fetching.logins, caching.logins) > ROTATIONS


def test_two_users_of_one_group_rotate_at_the_same_time(caches: Caches) -> None:
    arns = [provisioned(user) for user in users(caches, 2)]
    before = [current(caches, arn) for arn in arns]
    failures: list[BaseException] = []

    def rotating(arn: str) -> None:
        own = Caches(caches.server, boto3.client("secretsmanager"), caches.endpoint)
        try:
            for _ in range(3):
                rotate(own, arn)
        except BaseException as error:  # noqa: BLE001 - the test shows it
            failures.append(error)

    threads = [threading.Thread(target=rotating, args=[arn]) for arn in arns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for arn, old in zip(arns, before, strict=True):
        log_in(caches, current(caches, arn))
        assert current(caches, arn)["password"] != old["password"]
