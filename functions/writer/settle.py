"""Finds out what became of versions that nobody has confirmed: a writer was killed, or is at work still."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from . import record, store
from .document import EMPTY, Document
from .record import CURRENT, INITIAL, PREVIOUS, UNFILLED, Record, Writing, key_hash
from .store import Description

DEAD_AFTER = 1_200
"""Seconds after which no writer can be at work: a Lambda function runs for 900 at most."""


class Verdict(Enum):
    """What became of an unconfirmed version."""

    APPLIED = "it has been the secret's value"
    OPEN = "its writer may still make it the secret's value"
    NOT_APPLIED = "it never was the secret's value"


@dataclass(frozen=True)
class Settlement:
    """The unconfirmed versions of a secret, each with its label and verdict."""

    verdicts: Mapping[str, tuple[str, Verdict]]

    def record(self, secret: Description) -> Record | None:
        """What the record of all versions says that count; None without one."""
        return record.merged(
            found
            for version, labels in secret.stages.items()
            if (found := record.read(version, labels)) is not None and self._counts(version)
        )

    def _counts(self, version: str) -> bool:
        return version not in self.verdicts or self.verdicts[version][1] is Verdict.APPLIED


def judge(
    secret: Description, current: Document, read: Callable[[str], Document | None], now: float
) -> Settlement:
    """Judge every unconfirmed version; changes nothing.

    Args:
        secret: labels.
        current: the current version's document.
        read: another version's; None if there is no such version.
        now: seconds since 1970.
    """
    verdicts = {}
    for version, labels in secret.stages.items():
        found = record.writing(version, labels)
        if found is not None:
            verdicts[version] = (found[0], _verdict(secret, version, found[1], current, read, now))
    return Settlement(verdicts)


def _verdict(  # noqa: PLR0913, PLR0917  what the rules below look at
    secret: Description,
    version: str,
    writing: Writing,
    current: Document,
    read: Callable[[str], Document | None],
    now: float,
) -> Verdict:
    if {CURRENT, PREVIOUS} & secret.stages[version]:
        return Verdict.APPLIED
    base = secret.stages.get(writing.base or "", frozenset())
    if CURRENT in base:
        return Verdict.OPEN if now - writing.since < DEAD_AFTER else Verdict.NOT_APPLIED
    if PREVIOUS in base:
        return Verdict.NOT_APPLIED
    mine = read(version)
    if mine is None:
        return Verdict.NOT_APPLIED
    origin = read(writing.base) if writing.base else None
    if origin is None:
        names = record.read(version, secret.stages[version]) or {}
        changed = {key for key in mine if key_hash(key) in names}
        origin = EMPTY
    else:
        changed = {key for key in (*mine, *origin) if not mine.agrees(key, origin)}
    if any(current.agrees(key, mine) for key in changed):
        return Verdict.APPLIED
    back = any(key in origin and current.agrees(key, origin) for key in changed)
    # in doubt applied: what somebody has written since is not to be overwritten
    return Verdict.NOT_APPLIED if back else Verdict.APPLIED


def tidy(arn: str, secret: Description, settlement: Settlement) -> Description:
    """Confirm what was applied and forget what was not; returns the description that this leaves."""
    stages = dict(secret.stages)
    for version, (label, verdict) in settlement.verdicts.items():
        if verdict is Verdict.APPLIED:
            store.remove(arn, label, version)
            stages[version] -= {label}
        elif verdict is Verdict.NOT_APPLIED:
            forget(arn, version, label, stages[version], secret.version_with(CURRENT))
            del stages[version]
            if INITIAL in secret.stages[version] and (current := secret.version_with(CURRENT)):
                stages[current] |= {INITIAL}
    return replace(secret, stages=stages)


def forget(arn: str, version: str, label: str, labels: frozenset[str], current: str | None) -> None:
    """Take our labels off a version that never was the secret's value; the one that says so comes last."""
    if INITIAL in labels and current is not None:
        store.attach(arn, INITIAL, current, version)
    for other in sorted(labels):
        if record.is_record(other) or other == UNFILLED:
            store.remove(arn, other, version)
    store.remove(arn, label, version)
