"""Stands between the plugin and the emulator and kills the update right before or after a chosen call.

So the points of a crash are enumerated, not sampled: before a call nothing has happened in AWS; after it AWS
has done it and nobody has been told.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.loopback_server import Handler, serving

READS = ("Get", "List", "Describe", "Validate")


@dataclass
class Crash:
    """Kill the process group `victim` at the first call of `operation`, before or after AWS does it.

    `calls` are the operations that changed something, in the order in which they came.
    """

    operation: str
    after: bool
    victim: int | None = None
    calls: list[str] = field(default_factory=list)
    happened: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self) -> None:
        assert self.victim is not None
        os.killpg(self.victim, signal.SIGKILL)
        self.happened.set()


@contextmanager
def crashing(endpoint: str, crash: Crash) -> Iterator[str]:
    """The address of a proxy for `endpoint` that crashes its client once."""

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
