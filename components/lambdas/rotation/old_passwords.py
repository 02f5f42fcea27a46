"""Tell who uses a password that the next rotation ends. An operator invokes this, not Secrets Manager.

Event:
    Action      "old-passwords"
    SecretId    the secret's ARN

Answer:
    {"Holders": [{"User", "Host", "Application"}], "Outlook": [sentences]}: at most five holders, and what the
    next rotation does about them; both empty if the deployment declares nothing. Nothing is changed.
"""

from collections.abc import Mapping

from . import retirement, store
from .driver_selection import driver_for
from .errors import OperatorError
from .labels import CURRENT
from .protocol import (
    ACTION,
    HOLDER_APPLICATION,
    HOLDER_HOST,
    HOLDER_USER,
    HOLDERS,
    OUTLOOK,
    SECRET_ID,
)


def run(event: Mapping[str, object]) -> Mapping[str, object]:
    """Carry out one request.

    Raises:
        OperatorError: the request was rejected, or the clients cannot be seen.
    """
    unknown = sorted(event.keys() - {ACTION, SECRET_ID})
    if unknown:
        raise OperatorError(f"The event has unknown keys: {', '.join(unknown)}. Remove them.")
    arn = event.get(SECRET_ID)
    if not isinstance(arn, str):
        raise OperatorError(f"{SECRET_ID} is missing from the event. Write the ARN of the secret.")
    secret, current = store.describe(arn), store.read(arn, CURRENT)
    outlook = retirement.outlook(secret, current, driver_for(secret, current))
    if outlook is None:
        return {HOLDERS: [], OUTLOOK: []}
    return {
        HOLDERS: [
            {
                HOLDER_USER: retirement.clean(one.user),
                HOLDER_HOST: retirement.clean(one.host),
                HOLDER_APPLICATION: retirement.clean(one.application),
            }
            for one in sorted(outlook.holders)[: retirement.NAMED]
        ],
        OUTLOOK: [outlook.sentence],
    }
