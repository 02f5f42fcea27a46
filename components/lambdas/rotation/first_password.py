"""Generate the password of a secret that was created without one, as provisioning does.

The password is stored before it is used anywhere, as a version without AWSCURRENT. Its ID follows from that
of the current version, so an attempt after a crash, or another one at the same time, finds the same password.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from . import store
from .driver import Fields
from .errors import OperatorError
from .labels import CURRENT, PROVISIONED


@dataclass(frozen=True)
class FirstVersion:
    """The version with the generated password.

    Attributes:
        arn: the secret's ARN.
        version: its ID.
        replaces: ID of the version that has AWSCURRENT.
        fields: its value.
    """

    arn: str
    version: str
    replaces: str
    fields: Fields

    def make_current(self) -> None:
        """Move AWSCURRENT to it; AWS rejects that if somebody has changed the current version meanwhile.

        It then needs no label of its own: AWS deletes it when two rotations have replaced the password.
        """
        store.move_current(self.arn, self.version, self.replaces)
        store.drop_label(self.arn, self.version, PROVISIONED)


def generate(arn: str, make: Callable[[Fields], Fields]) -> FirstVersion:
    """Store a value with a generated password, unless an earlier attempt has.

    Args:
        arn: the secret's ARN.
        make: returns the current value with a new password.
    """
    current = store.describe(arn).version_with(CURRENT)
    fields = current and store.find(arn, version=current)
    if not current or not fields:
        raise OperatorError(
            f"Secret {arn}: no version has the label {CURRENT}. Put an initial value into it."
        )
    version = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arn} {current}"))
    stored = store.find(arn, version=version)
    if stored is None:
        try:
            store.put(arn, version, make(fields), PROVISIONED, None)
        except OperatorError:
            # another attempt may have stored another password under the same ID, which AWS rejects
            if store.find(arn, version=version) is None:
                raise
        stored = store.find(arn, version=version)
    if stored is None:
        raise OperatorError(f"Secret {arn}: version {version} was stored, but cannot be read.")
    return FirstVersion(arn, version, current, stored)
