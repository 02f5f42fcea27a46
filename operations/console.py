"""Output and signal handling of the commands."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from components.visible import visible_lines
from operations import errors, json_output
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


@contextmanager
def cancel_on_signals(cancel: Callable[[], None], *, quiet: bool) -> Iterator[None]:
    """Call `cancel` on each SIGINT (Ctrl-C) and SIGTERM during the block.

    Args:
        cancel: asks the engine to stop; a second call stops it without waiting for steps in progress.
        quiet: print no notice.
    """
    notices = iter(("Cancelling: steps in progress finish first. Again: stop now.", "Stopping now."))

    def handle(_number: int, _frame: FrameType | None) -> None:
        cancel()
        notice = next(notices, "")
        if notice and not quiet:
            sys.stderr.write(f"\n{notice}\n")

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
