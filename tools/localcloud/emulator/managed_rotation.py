"""Managed rotation, for RDS or for a partner: without a Lambda function.

Source: AWS Secrets Manager User Guide, "Managed rotation"; RDS User Guide, "Password management with Amazon
RDS and AWS Secrets Manager" (every seven days by default).
"""

import json

from tools.localcloud.emulator import label_events
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.random_password import random_password
from tools.localcloud.emulator.rotation_schedule import Schedule
from tools.localcloud.emulator.secrets_rules import Content, Secret

DEFAULT_SCHEDULE = Schedule(days=7)


def renew(secret: Secret, token: str) -> None:
    """Make a version with a new password current.

    A running database keeps its password, so its secret does too. So does a partner's: there
    is nobody to ask for another one.
    """
    text = rules.wanted_version(secret, None, None).content.text or ""
    kept = secret.fixed or secret.partner_type is not None
    with label_events.told(secret):
        rules.put_value(secret, token, Content(text if kept else renewed(text), None), None)


def renewed(text: str) -> str:
    """Return the secret's JSON with another password."""
    found = json.loads(text)
    if isinstance(found, dict) and "password" in found:
        found["password"] = random_password({"ExcludePunctuation": True})
    return json.dumps(found)
