"""Entry point of the Lambda function: `rotation.handler.handle`.

Two kinds of events:

1. From Secrets Manager: {"Step", "SecretId", "ClientRequestToken", "RotationToken"?}; answers nothing.
2. From a deployment: {"Action": "provision", "SecretId", ...}; makes the secret's AWSCURRENT value usable;
   answers a report, in which there is no value. See `provision.py`.
"""

import logging
from collections.abc import Mapping

from . import provision, steps
from .errors import OperatorError

logging.getLogger(__package__).setLevel(logging.INFO)


def handle(event: Mapping[str, object], context: object = None) -> Mapping[str, object] | None:
    """Handle one event; Lambda tells the caller of an error by its message."""
    del context
    try:
        if "Action" in event:
            return provision.run(event)
        steps.run(event)
    except OperatorError as error:
        raise error.with_traceback(None) from None
    return None
