"""Regenerate random keys in a secret's JSON, such as session keys, signing keys and tokens between services.

Nothing outside the secret has to learn the new key. Workloads that must accept the old key for some time find
it in the version with the label AWSPREVIOUS.
"""

import base64
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from .driver import Fields, Part, Rehearsal, Versions
from .errors import OperatorError, PendingOutdatedError
from .labels import CURRENT
from .protocol import FORMAT_TAG, KEYS_TAG, ROLES, WARNINGS
from .rehearsal_steps import TEST

ALPHANUMERIC = string.ascii_letters + string.digits


def alphanumeric(length: int) -> str:
    """Return random letters and digits from the kernel's generator, 5.95 bits a character.

    They need no quoting in a URL, a shell, SQL or YAML, and unlike GetRandomPassword no request, which could
    fail.
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
    """Regenerate keys of one secret.

    Attributes:
        arn: the secret's ARN, for messages.
        keys: the JSON keys to regenerate.
        length: number of characters for `alphanumeric`, of random bytes for the other formats.
        format: one of alphanumeric, hex, base64, base64url.
    """

    arn: str
    keys: tuple[str, ...]
    length: int
    format: str

    def next_fields(self, current: Fields) -> Fields:
        """Return `current` with every key regenerated."""
        self._check(current)
        generate = _FORMATS[self.format]
        return {**current, **{key: generate(self.length) for key in self.keys}}

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with the regenerated keys of `pending`."""
        if any(key not in pending for key in self.keys):
            raise PendingOutdatedError(
                f"Secret {self.arn}: tag {KEYS_TAG} was changed during a rotation, which is abandoned. The "
                "next rotation regenerates the keys that the tag names now."
            )
        return {**current, **{key: pending[key] for key in self.keys}}

    def apply(self, versions: Versions) -> None:
        """Do nothing: nothing outside the secret has to change."""

    def verify(self, fields: Fields) -> None:
        """Check that every key exists and is not empty."""
        self._check(fields)
        for key in self.keys:
            if not isinstance(fields[key], str) or not fields[key]:
                raise OperatorError(
                    f"Secret {self.arn}: key {key!r} is empty or not a string. Put a string into it."
                )

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Check that every key exists: the initial value came with the secret."""
        del request
        self.verify(read(CURRENT) or {})
        return {ROLES: [], WARNINGS: []}

    def end_sessions(self, current: Fields) -> int:
        """Return 0: a random key has no sessions that anything here knows."""
        del current
        return 0

    def rehearse(
        self, current: Fields, previous: Callable[[], Fields | None], schemas: Sequence[str]
    ) -> Rehearsal:
        """Return the check of the current value: nothing outside the secret changes in a rotation."""
        del previous, schemas
        parts = [Part(step=TEST, run=partial(self.verify, current))]
        return Rehearsal(pending=self.next_fields(current), parts=parts)

    def _check(self, fields: Fields) -> None:
        if self.format not in _FORMATS:
            raise OperatorError(
                f"Secret {self.arn}: tag {FORMAT_TAG} is {self.format!r}. Write one of {', '.join(_FORMATS)}."
            )
        if not self.keys:
            raise OperatorError(
                f"Secret {self.arn}: tag {KEYS_TAG} is missing. Set it to the JSON keys to regenerate."
            )
        missing = [key for key in self.keys if key not in fields]
        if missing:
            # adding the key would hide a misspelled name
            raise OperatorError(
                f"Secret {self.arn}: tag {KEYS_TAG} names {', '.join(map(repr, missing))}, which the secret "
                "does not have. Correct the tag or add the key."
            )
