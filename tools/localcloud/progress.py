"""Progress of a long step: one line that changes in place on a terminal, a line now and then elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Where the output is a file or a CI log.
SECONDS_BETWEEN_LINES = 10


@contextmanager
def shown_progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the given text as the current state; the line is cleared at the end."""
    terminal = sys.stdout.isatty()
    last = -math.inf

    def show(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if terminal:
            print(f"\r\033[K  {text}", end="", flush=True)
        elif now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(f"  {text}", flush=True)

    try:
        yield show
    finally:
        if terminal:
            print("\r\033[K", end="", flush=True)
