"""Output and signal handling of the commands."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType
from typing import Any, Protocol, TypeVar

from components.visible import visible_lines
from operations import errors, json_output
from operations.interrupts import interrupts_go_to
from operations.report.as_json import as_json
from operations.report.markdown import markdown
from operations.report.terminal import terminal

REPORT_FORMATS = {"markdown": markdown, "json": as_json, "terminal": terminal}


def print_json(document: object) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json_output.render(document) + "\n")


def print_error(error: errors.OperationError, *, for_programs: bool) -> None:
    """Print an error, as JSON to stdout for programs, otherwise as text to stderr."""
    if for_programs:
        print_json(json_output.error_document(error))
        return
    if isinstance(error, errors.NotReviewedError):
        sys.stdout.write(terminal(error.report))
    sys.stderr.write(f"error: {visible_lines(str(error))}\n")


class Cancellable(AbstractContextManager[Any], Protocol):
    """An operation, of a stack or a fleet."""

    def cancel(self) -> None:
        """Ask the engine to stop; a second call stops it without waiting for steps in progress."""


_Started = TypeVar("_Started", bound=Cancellable)


@contextmanager
def cancel_on_signals(start: Callable[[], _Started], *, quiet: bool) -> Iterator[_Started]:
    """Start an operation, and cancel it on each SIGINT (Ctrl-C) and SIGTERM until the block ends.

    Leaving the block waits for the operation; leaving it by an exception cancels it as well.

    Args:
        start: starts the operation. A signal that arrives meanwhile cancels it as soon as it has started.
        quiet: print no notice.
    """
    operation: _Started | None = None
    early: list[int] = []
    notices = iter(("Cancelling: steps in progress finish first. Again: stop now.", "Stopping now."))

    def handle(number: int, _frame: FrameType | None) -> None:
        if operation is None:
            early.append(number)
        else:
            operation.cancel()
        notice = next(notices, "")
        if quiet or not notice:
            return
        # the signal may have interrupted a write to the same buffer, and an error would cancel once more
        with suppress(RuntimeError, OSError):
            sys.stderr.write(f"\n{notice}\n")

    with interrupts_go_to(handle):
        operation = start()
        for _ in early:
            operation.cancel()
        with operation:
            yield operation
