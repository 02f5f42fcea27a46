"""Runtime tuning for stacks with thousands of resources."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pulumi

# The SDK always looks at its own innermost frame; with 0 its search for ours fails.
_FRAMES = 1


def tune() -> None:
    """Tune the process; call it once, after the imports."""
    if os.environ.get("PULUMI_OPTION_DEBUG", "false").lower() in {"", "0", "false"}:
        _drop_debug_messages()
    # Nearly everything is in use until the process ends: at a thousand secrets the collector takes a fifth of
    # the program's time to free 12 of 300 MB.
    gc.disable()
    # otherwise Python collects once more at exit, which takes as long again
    atexit.register(gc.freeze)


def _drop_debug_messages() -> None:
    """Drop the SDK's debug messages: five a resource, each a round trip to the engine that nobody reads."""

    def nothing(*_message: object, **_about: object) -> None:
        pass

    pulumi.log.debug = nothing


@contextmanager
def no_stack_traces() -> Iterator[None]:
    """Record no stack trace and no source position with a resource.

    The SDK would record every frame down to the interpreter's: four tenths of a stack's state, which the
    engine writes again at each step, with the file paths of whoever ran the last update. Every secret is
    declared by the same lines, so the position alone would say nothing either.
    """
    sys.tracebacklimit = _FRAMES
    try:
        yield
    finally:
        # an exception that leaves the program keeps its whole traceback
        del sys.tracebacklimit
