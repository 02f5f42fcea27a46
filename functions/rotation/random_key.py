"""Renews random keys in a secret's JSON: session keys, tokens between services, signing keys.

Nothing outside the secret has to learn the new key. Workloads that must accept the old key for a while find
it in the version labelled AWSPREVIOUS.
"""

import base64
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .driver import Fields, Versions
from .errors import OperatorError, PendingOutdatedError

ALPHANUMERIC = string.ascii_letters + string.digits


def alphanumeric(length: int) -> str:
    """Return random letters and digits, 5.95 bits a character from the kernel's generator.

    Needs no quoting in a URL, a shell, SQL or YAML, and no request that could fail, as GetRandomPassword
    would.
    """
    return "".join(secrets.choice(ALPHANUMERIC) for _ in range(length))


_FORMATS: Mapping[str, Callable[[int], str]] = {
    "alphanumeric": alphanumeric,
    "hex": secrets.token_hex,
    "base64": lambda length: base64.b64encode(secrets.token_bytes(length)).decode(),
    "base64url": lambda length: base64.urlsafe_b64encode(secrets.token_bytes(length)).decode(),
}


@dataclass(frozen=True)
class RandomKeyDriver:
    """Renews some keys of one secret.

    Attributes:
        arn: the secret, for messages.
        keys: the JSON keys to renew.
        length: characters for `alphanumeric`, random bytes for the other formats.
        format: one of alphanumeric, hex, base64, base64url.
    """

    arn: str
    keys: tuple[str, ...]
    length: int
    format: str

    def next_fields(self, current: Fields) -> Fields:
        """Return `current` with every key renewed."""
        self._check(current)
        make = _FORMATS[self.format]
        return {**current, **{key: make(self.length) for key in self.keys}}

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with the keys of `pending`."""
        if any(key not in pending for key in self.keys):
            raise PendingOutdatedError(
                f"Secret {self.arn}: the keys to renew were changed during a rotation. That rotation is "
                "given up; the next one renews the keys named now."
            )
        return {**current, **{key: pending[key] for key in self.keys}}

    def apply(self, versions: Versions) -> None:
        """Nothing outside the secret has to change."""

    def verify(self, fields: Fields) -> None:
        """Check that the keys are there and not empty."""
        self._check(fields)
        for key in self.keys:
            if not isinstance(fields[key], str) or not fields[key]:
                raise OperatorError(f"Secret {self.arn}: key {key!r} is empty.")

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Check that the keys are there: the first value came with the secret."""
        del request
        self.verify(read("AWSCURRENT") or {})
        return {"Roles": [], "Warnings": []}

    def _check(self, fields: Fields) -> None:
        if self.format not in _FORMATS:
            raise OperatorError(
                f"Secret {self.arn}: tag aws-secrets:rotation-format is {self.format!r}, none of "
                f"{', '.join(_FORMATS)}."
            )
        if not self.keys:
            raise OperatorError(
                f"Secret {self.arn}: tag aws-secrets:rotation-keys is missing; name the JSON keys to renew."
            )
        missing = [key for key in self.keys if key not in fields]
        if missing:
            # adding them would hide a misspelt name
            raise OperatorError(
                f"Secret {self.arn} has no key {', '.join(map(repr, missing))}, which tag "
                "aws-secrets:rotation-keys names. Correct the tag or add the key."
            )
