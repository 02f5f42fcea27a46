"""Entry point of the Lambda function: `copier.handler.handle`.

The event says nothing: the two secrets are in the function's environment, which only an update of the stack
writes, and its role reads the one and writes the other. Neither the answer, the log nor an error contains a
value.
"""

import logging
import os
import traceback
from collections.abc import Mapping
from pathlib import Path

from . import copying
from .errors import OperatorError
from .protocol import SOURCE_VARIABLE, TARGET_VARIABLE

logging.getLogger(__package__).setLevel(logging.INFO)

SECONDS = 40.0
"""How long a copy is retried; the function's timeout must leave time for the last calls and the answer."""


def handle(_event: object, _context: object = None) -> Mapping[str, object]:
    """Copy; Lambda passes the message of an error on to the caller."""
    source, target = os.environ[SOURCE_VARIABLE], os.environ[TARGET_VARIABLE]
    try:
        return copying.run(source, target, SECONDS)
    except OperatorError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001  the text of any other error could contain a value
        frame = traceback.extract_tb(error.__traceback__)[-1]
        message = (
            f"Secret {target}: the copier failed with {type(error).__name__} at "
            f"{Path(frame.filename).name}:{frame.lineno}, which is a bug in the function. Run it again."
        )
    # raised here so that the error is not chained to the one that was caught
    raise OperatorError(message)
