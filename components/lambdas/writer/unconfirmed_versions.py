"""Assess unconfirmed versions: their writer was killed, or is still running."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from . import generation_labels, store
from .document import EMPTY, Document
from .generation_labels import Record, Writing, key_hash
from .labels import CURRENT, INITIAL, PREVIOUS, UNFILLED
from .store import Description

DEAD_AFTER = 1_200
"""Seconds after which no writer can be running: the limit of a Lambda function is 900."""


class Status(Enum):
    """The status of an unconfirmed version."""

    APPLIED = "it has been the secret's value"
    DOUBTFUL = "it may have been the secret's value, and its keys were edited since: treated as applied"
    OPEN = "its writer may still make it the secret's value"
    NOT_APPLIED = "it has never been the secret's value"


_VALID = {Status.APPLIED, Status.DOUBTFUL}


@dataclass(frozen=True)
class Assessment:
    """The unconfirmed versions of a secret.

    Attributes:
        statuses: label and status of each unconfirmed version.
        links: link label of each record version, and the version that it names.
    """

    statuses: Mapping[str, tuple[str, Status]]
    links: Mapping[str, tuple[str, str]]

    def record(self, secret: Description) -> Record | None:
        """Return the union of all valid records; None if there are none."""
        return generation_labels.merged(
            record
            for version, labels in secret.stages.items()
            if (record := generation_labels.read(version, labels)) is not None and self._is_valid(version)
        )

    def is_open(self, version: str) -> bool:
        """Return whether a version, or the one that its record belongs to, may still become current."""
        _, named = self.links.get(version, ("", version))
        return named in self.statuses and self.statuses[named][1] is Status.OPEN

    def _is_valid(self, version: str) -> bool:
        # a named version without its unconfirmed label has been current: otherwise the record is removed
        # first
        _, named = self.links.get(version, ("", version))
        return named not in self.statuses or self.statuses[named][1] in _VALID

    def warnings(self, arn: str) -> tuple[str, ...]:
        """Return a sentence for each version that may or may not have been current."""
        return tuple(
            f"Secret {arn}: an interrupted update wrote version {version}, and a key that it changes was "
            "edited since. Its keys keep their live values, and its generations are recorded. To regenerate "
            "a value, increase its generation again."
            for version, (_, status) in self.statuses.items()
            if status is Status.DOUBTFUL
        )


def assess(
    secret: Description, current: Document, read: Callable[[str], Document | None], now: float
) -> Assessment:
    """Assess every unconfirmed version, without changing anything.

    Args:
        secret: the secret's description.
        current: the current version's document.
        read: returns another version's document; None if it does not exist.
        now: the time, in seconds since 1970.
    """
    statuses = {}
    links = {
        version: link
        for version, labels in secret.stages.items()
        if (link := generation_labels.link(version, labels)) is not None
    }
    for version, labels in secret.stages.items():
        if unconfirmed := generation_labels.writing(version, labels):
            label, writing = unconfirmed
            statuses[version] = (label, _status(secret, version, writing, current, read, now))
    return Assessment(statuses, links)


def _status(  # noqa: PLR0913, PLR0917  everything that the rules below depend on
    secret: Description,
    version: str,
    writing: Writing,
    current: Document,
    read: Callable[[str], Document | None],
    now: float,
) -> Status:
    if {CURRENT, PREVIOUS} & secret.stages[version]:
        return Status.APPLIED
    base_labels = secret.stages.get(writing.base or "", frozenset())
    if CURRENT in base_labels:
        return Status.OPEN if now - writing.since < DEAD_AFTER else Status.NOT_APPLIED
    written = read(version)
    if written is None:
        return Status.NOT_APPLIED
    base = read(writing.base) if writing.base else None
    if base is None:
        hashes = _record_of(secret, version)
        changed = {key for key in written if key_hash(key) in hashes}
        base = EMPTY
    else:
        changed = {key for key in (*written, *base) if not written.agrees(key, base)}
    if any(current.agrees(key, written) for key in changed):
        return Status.APPLIED
    replaced = {key for key in changed if key in base}
    if all(current.agrees(key, base) for key in replaced) and (replaced or PREVIOUS in base_labels):
        return Status.NOT_APPLIED
    # never current and then edited, or current, rolled back and then edited: these cannot be told apart, and
    # the later edit must not be overwritten
    return Status.DOUBTFUL if replaced else Status.APPLIED


def _record_of(secret: Description, version: str) -> Record:
    """Return the record that a version was written with, on that version or on one that links to it."""
    records = [
        generation_labels.read(holder, labels) or {}
        for holder, labels in secret.stages.items()
        if holder == version or (generation_labels.link(holder, labels) or ("", ""))[1] == version
    ]
    return generation_labels.merged(records) or {}


def clean_up(arn: str, secret: Description, assessment: Assessment) -> Description:
    """Confirm applied versions and remove the labels of others; return the resulting description."""
    stages = dict(secret.stages)
    for version, (label, status) in assessment.statuses.items():
        if status in _VALID:
            store.remove(arn, label, version)
            stages[version] -= {label}
        elif status is Status.NOT_APPLIED:
            # the record first: without the version's label it would be valid
            for holder, (link, named) in assessment.links.items():
                if named == version:
                    remove_labels(arn, holder, link, stages[holder], None)
                    del stages[holder]
            remove_labels(arn, version, label, stages[version], secret.version_with(CURRENT))
            del stages[version]
            if INITIAL in secret.stages[version] and (current := secret.version_with(CURRENT)):
                stages[current] |= {INITIAL}
    for holder, (link, named) in assessment.links.items():
        if holder in stages and not assessment.is_open(named):
            store.remove(arn, link, holder)
            stages[holder] -= {link}
    return replace(secret, stages=stages)


def remove_labels(arn: str, version: str, label: str, labels: frozenset[str], current: str | None) -> None:
    """Remove our labels from a version that has never been current; the one that marks it so comes last."""
    if INITIAL in labels and current is not None:
        store.attach(arn, INITIAL, current, version)
    for other in sorted(labels):
        if generation_labels.is_record(other) or other == UNFILLED:
            store.remove(arn, other, version)
    store.remove(arn, label, version)
