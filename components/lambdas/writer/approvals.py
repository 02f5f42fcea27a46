"""Approve the rollback of a secret's keys, by a staging label of the version that has their earlier values.

Whoever may invoke the function may not bring back an earlier value by that alone: a value may have been
regenerated because it leaked. So the function asks for a label that takes the permission
secretsmanager:UpdateSecretVersionStage on the secret, with which the whole version could be made current.

    aws-secrets-rollback:<seconds since 1970>:<hash of both versions and the keys>

The label also keeps AWS from deleting the version in the meantime. The function removes it at the end.
"""

import base64
import hashlib
import json
from collections.abc import Collection, Iterable

VALID_SECONDS = 600
"""How long an approval counts, before and after its time: two clocks may differ."""

_APPROVAL = "aws-secrets-rollback:"


def approval(source: str, current: str, keys: Iterable[str], now: float) -> str:
    """Return the label that approves a rollback.

    Args:
        source: id of the version with the earlier values, which gets the label.
        current: id of the current version.
        keys: the keys to roll back.
        now: the time, in seconds since 1970.
    """
    return f"{_APPROVAL}{int(now)}:{_digest(source, current, keys)}"


def is_approval(label: str) -> bool:
    """Return whether a label approves a rollback, perhaps of another version or long ago."""
    return label.startswith(_APPROVAL)


def is_approved(labels: Collection[str], source: str, current: str, keys: Iterable[str], now: float) -> bool:
    """Return whether a label of `source` approves this rollback now."""
    digest = _digest(source, current, keys)
    for label in filter(is_approval, labels):
        since, _, approved = label.removeprefix(_APPROVAL).partition(":")
        if approved == digest and since.isdecimal() and abs(now - int(since)) <= VALID_SECONDS:
            return True
    return False


def _digest(source: str, current: str, keys: Iterable[str]) -> str:
    text = json.dumps([source, current, sorted(keys)])
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[:20]).decode().lower()
