"""Entry point of the Lambda function: `writer.handler.handle`.

The event is a request as in `request.py`, the answer is that of `write.py` or `rollback.py`. Neither the
answer, the log nor an error contains a value.
"""

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path

from . import request, rollback, write
from .errors import OperatorError
from .protocol import SECRET_ID

logging.getLogger(__package__).setLevel(logging.INFO)

SECONDS = 40.0
"""How long a request is retried; the function's timeout must leave time for the last calls and the answer."""

_SECONDS_FOR_LAST_CALLS = 15.0


def handle(event: Mapping[str, object], context: object = None) -> Mapping[str, object]:
    """Handle one request; Lambda passes the message of an error on to the caller."""
    try:
        asked = request.read(event)
        if isinstance(asked, request.Rollback):
            return rollback.run(asked, _seconds(context))
        return write.run(asked, _seconds(context))
    except OperatorError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001  the text of any other error could contain a value
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        message = (
            f"Secret {event.get(SECRET_ID)}: the writer failed with {type(error).__name__} at {place}, which "
            "is a bug in the function. Keys may have been written; the next `pulumi up` finds out."
        )
    # raised here so that the error is not chained to the one that was caught
    raise OperatorError(message)


def _seconds(context: object) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return min(SECONDS, remaining() / 1000 - _SECONDS_FOR_LAST_CALLS) if remaining else SECONDS
