"""A proxy between plugin and emulator that kills the update right before or after a chosen call.

So crash points are enumerated, not sampled: before a call, nothing has happened in AWS; after it, AWS has
done it and no client knows.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.loopback_server import Handler, serving

_QUIET, _LONGEST_WAIT = 0.3, 10  # seconds
READS = ("Get", "List", "Describe", "Validate")


@dataclass
class Crash:
    """Kill the process group `victim` at the first call of `operation`, before or after AWS does it.

    `calls` are the operations that changed something, in order. `state` is the engine's state folder: a state
    cut off in the middle of a write is a different case (docs/recovery.md).
    """

    operation: str
    after: bool
    victim: int | None = None
    state: Path | None = None
    calls: list[str] = field(default_factory=list)
    happened: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self) -> None:
        assert self.victim is not None
        if self.state:
            _wait_until_quiet(self.state)
        os.killpg(self.victim, signal.SIGKILL)
        self.happened.set()


def _wait_until_quiet(folder: Path) -> None:
    """Wait until no file of a folder has changed for a moment."""
    deadline = time.monotonic() + _LONGEST_WAIT
    before, since = _files(folder), time.monotonic()
    while time.monotonic() - since < _QUIET and time.monotonic() < deadline:
        time.sleep(0.02)
        if (now := _files(folder)) != before:
            before, since = now, time.monotonic()


def _files(folder: Path) -> set[tuple[str, int, int]]:
    found = set()
    for path in folder.rglob("*.json*"):
        with suppress(FileNotFoundError):  # renamed in the meantime
            about = path.stat()
            found.add((str(path), about.st_size, about.st_mtime_ns))
    return found


@contextmanager
def crashing(endpoint: str, crash: Crash) -> Iterator[str]:
    """Yield the address of a proxy for `endpoint` that crashes its client once."""

    class Crashing(Handler):
        def do_POST(self) -> None:  # noqa: N802  the base class's name
            body = self.body()
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            chosen = False
            if operation and not operation.startswith(READS):
                with crash.lock:
                    chosen = operation == crash.operation and operation not in crash.calls
                    crash.calls.append(operation)
            if chosen and not crash.after:
                crash.strike()
            if crash.happened.is_set():
                self.close_connection = True
                return
            answer = self.forwarded(endpoint, body)
            if chosen:
                crash.strike()
                self.close_connection = True
                return
            self.reply(answer)

    with serving(Crashing) as address:
        yield address
