"""What this process does otherwise than Python and the SDK by default, for stacks of a thousand secrets."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pulumi

# From where the SDK takes a custom resource's stack trace up to the line that declares it.
_FRAMES = 7


def prepare() -> None:
    """Call once, after the imports."""
    if os.environ.get("PULUMI_OPTION_DEBUG", "false").lower() in {"", "0", "false"}:
        _leave_out_debug_messages()
    # nearly all that a stack declares is in use until the process ends: of 300 MB at a thousand secrets a
    # fifth of the program's time takes back 12
    gc.disable()
    # or Python looks at all of it once more before it ends: as long again
    atexit.register(gc.freeze)


def _leave_out_debug_messages() -> None:
    """The SDK sends five a resource, and waits for the engine each time; it does not know who wants them."""

    def nothing(*_message: object, **_about: object) -> None:
        pass

    pulumi.log.debug = nothing


@contextmanager
def short_stack_traces() -> Iterator[None]:
    """Resources that are declared inside are recorded with the line that declares them, and what called it.

    The SDK records every frame down to the interpreter's: four tenths of a stack's state, which the engine
    writes anew at each step, and the paths of whoever made the last update.
    """
    sys.tracebacklimit = _FRAMES
    try:
        yield
    finally:
        # an exception that leaves is shown whole
        del sys.tracebacklimit
