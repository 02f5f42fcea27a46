"""The time that this invocation has left to wait for AWS."""

import time
from typing import Protocol, runtime_checkable

_RESERVE_SECONDS = 20  # for what follows a wait, such as a login and an answer
_WITHOUT_CONTEXT_SECONDS = 60.0

_ends = [0.0]


@runtime_checkable
class LambdaContext(Protocol):
    """The part of Lambda's context object that this module reads."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""
        ...


def start(context: object) -> None:
    """Take the end of this invocation from Lambda's context object."""
    seconds = (
        context.get_remaining_time_in_millis() / 1000
        if isinstance(context, LambdaContext)
        else _WITHOUT_CONTEXT_SECONDS
    )
    _ends[0] = time.monotonic() + seconds - _RESERVE_SECONDS


def seconds_left() -> float:
    """Return how many seconds may still be spent on waiting; not above 0 if there are none."""
    return _ends[0] - time.monotonic()
