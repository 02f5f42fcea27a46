"""Stands between the plugin and the emulator and holds back calls until a test opens the gate."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.loopback_server import Handler, serving


@dataclass
class Gate:
    """`reached` when a call of `operation` waits; it goes on when `opened`, or is lost if `loses` is set."""

    operation: str
    address: str = ""
    loses: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)


@contextmanager
def gate(endpoint: str, operation: str) -> Iterator[Gate]:
    """A proxy for `endpoint`; the gate is opened at the end, whatever happens."""
    made = Gate(operation)

    class Gated(Handler):
        def do_POST(self) -> None:  # noqa: N802  the base class's name
            body = self.body()
            if self.headers.get("X-Amz-Target", "").endswith(f".{made.operation}"):
                made.reached.set()
                made.opened.wait(timeout=120)
                if made.loses:
                    self.close_connection = True
                    return
            answer = self.forwarded(endpoint, body)
            with contextlib.suppress(OSError):  # who asked may be gone
                self.reply(answer)

    with serving(Gated) as address:
        made.address = address
        try:
            yield made
        finally:
            made.opened.set()
