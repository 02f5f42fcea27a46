"""Caches of ElastiCache and MemoryDB in the emulator, in front of a running server."""

import json
import time
import urllib.error
import urllib.request
from typing import Any, Protocol

from tests.support.emulator_process import Emulator
from tests.support.redis_client import RedisAddress


class CacheServer(RedisAddress, Protocol):
    """A running server and its administrator."""

    @property
    def admin_user(self) -> str: ...
    @property
    def admin_password(self) -> str: ...


class RejectedError(Exception):
    """The emulator rejects a request to its own interface."""


def own(emulator: Emulator, path: str, body: dict[str, object] | None = None) -> Any:
    """Return the answer of the emulator's own interface; without a body the request is a GET."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{emulator.endpoint}/_localcloud/{path}", data, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise RejectedError(json.load(error)["error"]) from None


def register(emulator: Emulator, server: CacheServer, identifier: str, **changes: object) -> str:
    """Present a running server as a replication group, or as another kind, and return its ARN."""
    body = {
        "Kind": "replication-group",
        "Identifier": identifier,
        "Engine": "redis",
        "Host": server.host,
        "Port": server.port,
        "CaFile": str(server.ca_file),
        "AdminUser": server.admin_user,
        "AdminPassword": server.admin_password,
        **changes,
    }
    answer = own(emulator, "caches", {key: value for key, value in body.items() if value is not None})
    return str(answer["Arn"])


def hold(emulator: Emulator) -> None:
    """Let changes wait until they are released."""
    own(emulator, "cache-changes", {"Held": True})


def release(emulator: Emulator) -> None:
    """Let held and later changes happen at once, and wait for them."""
    own(emulator, "cache-changes", {"Held": False, "Seconds": 0})
    settle(emulator)


def settle(emulator: Emulator) -> None:
    """Wait until nothing is being changed."""
    deadline = time.monotonic() + 30
    while unfinished := own(emulator, "caches")["unfinished"]:
        assert time.monotonic() < deadline, unfinished
        time.sleep(0.01)
