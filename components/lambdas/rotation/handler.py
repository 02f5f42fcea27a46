"""Entry point of the Lambda function: `rotation.handler.handle`.

It handles five kinds of events:

1. From Secrets Manager: {"Step", "SecretId", "ClientRequestToken", "RotationToken"?}. There is no answer.
2. From a deployment: {"Action": "provision", "SecretId", ...}: make the secret's AWSCURRENT value usable. The
   answer is a report without secret values. See `provision.py`.
3. From an operator: {"Action": "end-sessions", "SecretId"}: end the sessions of a login. See
   `end_sessions.py`.
4. From an operator: {"Action": "rehearse", "SecretId", ...}: try every step of the next rotation, and change
   nothing that is in use. See `rehearse.py`.
5. From an operator: {"Action": "old-passwords", "SecretId"}: who uses a password that the next rotation ends.
   See `old_passwords.py`.
"""

import logging
from collections.abc import Mapping

from . import deadline, end_sessions, old_passwords, provision, rehearse, steps
from .errors import OperatorError
from .protocol import ACTION, END_SESSIONS, OLD_PASSWORDS, REHEARSE

logging.getLogger(__package__).setLevel(logging.INFO)


def handle(event: Mapping[str, object], context: object = None) -> Mapping[str, object] | None:
    """Handle one event; Lambda passes the message of an error on to the caller."""
    deadline.start(context)
    try:
        if event.get(ACTION) == END_SESSIONS:
            return end_sessions.run(event)
        if event.get(ACTION) == REHEARSE:
            return rehearse.run(event)
        if event.get(ACTION) == OLD_PASSWORDS:
            return old_passwords.run(event)
        if ACTION in event:
            return provision.run(event)
        steps.run(event)
    except OperatorError as error:
        raise error.with_traceback(None) from None
    return None
