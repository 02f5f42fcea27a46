"""Tags by which the rotation function knows what to do with a secret (functions/rotation/declaration.py)."""

from collections.abc import Sequence

_KIND = "aws-secrets:rotation"
_LENGTH = "aws-secrets:rotation-length"
_KEYS = "aws-secrets:rotation-keys"
_FORMAT = "aws-secrets:rotation-format"


def of_login(password_length: int, *, alternating: bool) -> dict[str, str]:
    """Of a PostgreSQL login."""
    return {_KIND: "postgres-alternating" if alternating else "postgres", _LENGTH: str(password_length)}


def of_random_keys(keys: Sequence[str], length: int, format_: str) -> dict[str, str]:
    """Of a secret whose keys get new random values."""
    return {_KIND: "random-key", _KEYS: " ".join(keys), _LENGTH: str(length), _FORMAT: format_}
