"""Staging labels of a secret's versions: the ones of AWS, and this project's own."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"

INITIAL = "aws-secrets-initial"
"""On a secret's initial version. AWS deletes versions without a label: this one keeps it."""

UNFILLED = "aws-secrets-unfilled"
"""On a version in which a key that is filled in manually is still empty."""

MERGED = "aws-secrets-merged"
"""On a version that `finishSecret` wrote because an operator edited the secret during its rotation."""

PROVISIONED = "aws-secrets-provisioned"
"""On a version with a password that provisioning generated, until the version becomes current."""

DEFERRAL = "aws-secrets-deferral:"
"""On a version that a deferred rotation made current: a copy of the value before it. See `Deferred`."""

DEFERRED = "aws-secrets-deferred:"
"""The same on the version before the copy. A version may lose its labels when PutSecretValue makes another
one current; this one is not current any more."""

BOOKMARK = "aws-secrets-sessions:"
"""On the version that became current then: tells sessions that began before from later ones. See `Watcher` of
the rotation function."""

# whoever may put a value chooses labels: ten digits are a time that every reader can show
_DEFERRED = re.compile(rf"(?:{DEFERRAL}|{DEFERRED})([0-9]{{1,4}}):([0-9]{{1,10}})")


@dataclass(frozen=True, order=True)
class Deferred:
    """The content of a label of deferred rotations, `LABEL<times>:<since>`.

    Attributes:
        times: how many rotations in a row left the value as it was.
        since: when the value was written, in seconds since 1970.
    """

    times: int
    since: int

    @property
    def sentence(self) -> str:
        """The meaning, as a sentence without its period."""
        rotations = "rotation was" if self.times == 1 else f"{self.times} rotations were"
        return f"The last {rotations} deferred: clients still use an old password"

    def written(self, copied: datetime) -> datetime:
        """Return when the value was written: never after its copy was, whatever the label says."""
        return min(copied, datetime.fromtimestamp(self.since, UTC))

    def label(self, kind: str) -> str:
        """Return the label; `kind` is DEFERRAL or DEFERRED."""
        return f"{kind}{self.times}:{self.since}"


def deferral_of(labels: Iterable[str]) -> Deferred | None:
    """Return the deferral that made a version, by its labels; None if the version has a value of its own."""
    return deferred(label for label in labels if label.startswith(DEFERRAL))


def deferred(labels: Iterable[str]) -> Deferred | None:
    """Return the greatest number of deferred rotations that labels say; None if they say nothing."""
    known = (_DEFERRED.fullmatch(label) for label in labels)
    return max((Deferred(int(one[1]), int(one[2])) for one in known if one), default=None)
