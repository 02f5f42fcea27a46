"""End the sessions of a login, after a leak for example. An operator invokes this, not Secrets Manager.

Event:
    Action      "end-sessions"
    SecretId    the secret's ARN

Answer:
    {"Sessions": number}; applications log in again with what the secret has.
"""

import logging
from collections.abc import Mapping

from . import store
from .driver_selection import driver_for
from .errors import OperatorError
from .labels import CURRENT
from .protocol import ACTION, SECRET_ID, SESSIONS

LOG = logging.getLogger(__name__)


def run(event: Mapping[str, object]) -> Mapping[str, object]:
    """Carry out one request.

    Raises:
        OperatorError: the request was rejected or failed.
    """
    unknown = sorted(event.keys() - {ACTION, SECRET_ID})
    if unknown:
        raise OperatorError(f"The event has unknown keys: {', '.join(unknown)}. Remove them.")
    arn = event.get(SECRET_ID)
    if not isinstance(arn, str):
        raise OperatorError(f"{SECRET_ID} is missing from the event. Write the ARN of the secret.")
    secret = store.describe(arn)
    current = store.read(arn, CURRENT)
    ended = driver_for(secret, current).end_sessions(current)
    LOG.info("end-sessions: ended %s sessions of secret %s", ended, arn)
    return {SESSIONS: ended}
