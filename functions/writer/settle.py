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
    DOUBTFUL = "it may have been the secret's value, and its keys have been edited since: counts as applied"
    OPEN = "its writer may still make it the secret's value"
    NOT_APPLIED = "it never was the secret's value"


_COUNTING = {Verdict.APPLIED, Verdict.DOUBTFUL}


@dataclass(frozen=True)
class Settlement:
    """The unconfirmed versions of a secret, each with its label and verdict.

    Attributes:
        verdicts: unconfirmed versions.
        links: record versions, each with its link label and the version that it names.
    """

    verdicts: Mapping[str, tuple[str, Verdict]]
    links: Mapping[str, tuple[str, str]]

    def record(self, secret: Description) -> Record | None:
        """What the record of all versions says that count; None without one."""
        return record.merged(
            found
            for version, labels in secret.stages.items()
            if (found := record.read(version, labels)) is not None and self._counts(version)
        )

    def is_open(self, version: str) -> bool:
        """Return whether a version, or the one that its record is of, may still become current."""
        _, named = self.links.get(version, ("", version))
        return named in self.verdicts and self.verdicts[named][1] is Verdict.OPEN

    def _counts(self, version: str) -> bool:
        # a named version that has lost its unconfirmed label has been current: nothing else takes the label
        # off before the record
        _, named = self.links.get(version, ("", version))
        return named not in self.verdicts or self.verdicts[named][1] in _COUNTING

    def warnings(self, arn: str) -> tuple[str, ...]:
        """Return a sentence for each version that may or may not have been current."""
        return tuple(
            f"Secret {arn}: version {version} is from an update that was interrupted, and a key that it "
            "changes has been edited since. Its keys keep their live values, and its generations count as "
            "made. Raise a generation again for a new value."
            for version, (_, verdict) in self.verdicts.items()
            if verdict is Verdict.DOUBTFUL
        )


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
    links = {
        version: found
        for version, labels in secret.stages.items()
        if (found := record.link(version, labels)) is not None
    }
    for version, labels in secret.stages.items():
        if unconfirmed := record.writing(version, labels):
            label, writing = unconfirmed
            verdicts[version] = (label, _verdict(secret, version, writing, current, read, now))
    return Settlement(verdicts, links)


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
    mine = read(version)
    if mine is None:
        return Verdict.NOT_APPLIED
    origin = read(writing.base) if writing.base else None
    if origin is None:
        names = _names(secret, version)
        changed = {key for key in mine if key_hash(key) in names}
        origin = EMPTY
    else:
        changed = {key for key in (*mine, *origin) if not mine.agrees(key, origin)}
    if any(current.agrees(key, mine) for key in changed):
        return Verdict.APPLIED
    before = {key for key in changed if key in origin}
    if all(current.agrees(key, origin) for key in before) and (before or PREVIOUS in base):
        return Verdict.NOT_APPLIED
    # never current and then edited, or current, rolled back and then edited: both leave the same, and what
    # somebody has written since is not to be overwritten
    return Verdict.DOUBTFUL if before else Verdict.APPLIED


def _names(secret: Description, version: str) -> Record:
    """The record that a version was written with, wherever it is."""
    found = [
        record.read(holder, labels) or {}
        for holder, labels in secret.stages.items()
        if holder == version or (record.link(holder, labels) or ("", ""))[1] == version
    ]
    return record.merged(found) or {}


def tidy(arn: str, secret: Description, settlement: Settlement) -> Description:
    """Confirm what was applied and forget what was not; returns the description that this leaves."""
    stages = dict(secret.stages)
    for version, (label, verdict) in settlement.verdicts.items():
        if verdict in _COUNTING:
            store.remove(arn, label, version)
            stages[version] -= {label}
        elif verdict is Verdict.NOT_APPLIED:
            # the record first: without the version's label it would count
            for holder, (link, named) in settlement.links.items():
                if named == version:
                    forget(arn, holder, link, stages[holder], None)
                    del stages[holder]
            forget(arn, version, label, stages[version], secret.version_with(CURRENT))
            del stages[version]
            if INITIAL in secret.stages[version] and (current := secret.version_with(CURRENT)):
                stages[current] |= {INITIAL}
    for holder, (link, named) in settlement.links.items():
        if holder in stages and not settlement.is_open(named):
            store.remove(arn, link, holder)
            stages[holder] -= {link}
    return replace(secret, stages=stages)


def forget(arn: str, version: str, label: str, labels: frozenset[str], current: str | None) -> None:
    """Take our labels off a version that never was the secret's value; the one that says so comes last."""
    if INITIAL in labels and current is not None:
        store.attach(arn, INITIAL, current, version)
    for other in sorted(labels):
        if record.is_record(other) or other == UNFILLED:
            store.remove(arn, other, version)
    store.remove(arn, label, version)
