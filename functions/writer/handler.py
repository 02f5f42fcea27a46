"""Entry point of the Lambda function: `writer.handler.handle`.

The event is a request as in `request.py`, the answer as in `write.py`; neither the answer nor the log nor an
error holds a value.
"""

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path

from . import request, write
from .errors import OperatorError

logging.getLogger(__package__).setLevel(logging.INFO)

SECONDS = 40.0
"""How long a request is tried; the function's time-out must leave time for the last calls and the answer."""

_FOR_THE_LAST_CALLS = 15.0


def handle(event: Mapping[str, object], context: object = None) -> Mapping[str, object]:
    """Handle one request; Lambda tells the caller of an error by its message."""
    try:
        return write.run(request.read(event), _seconds(context))
    except OperatorError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001  the text of any other error could hold a value
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        message = (
            f"The writer failed for secret {event.get('SecretId')}: {type(error).__name__} at {place}. "
            "Whether keys were written is not certain; the next `pulumi up` finds out. This is a mistake in "
            "the function."
        )
    # here, so that the error is not chained to the one that was caught
    raise OperatorError(message)


def _seconds(context: object) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return min(SECONDS, remaining() / 1000 - _FOR_THE_LAST_CALLS) if remaining else SECONDS
