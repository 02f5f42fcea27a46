"""The report as data, before it is rendered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeAlias

_MOST_NAMES = 8


@dataclass(frozen=True)
class Name:
    """A text that others chose, such as a secret's name; every format renders it as inert text."""

    text: str


@dataclass(frozen=True)
class Day:
    """A date in AWS, which may pass without any change to the stack."""

    day: date

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"


Text: TypeAlias = tuple[str | Name | Day, ...]


class Kind(StrEnum):
    """Kinds of dangers, worst first; docs/preview.md explains each one and what to do."""

    DELETES_SECRET = "deletes-secret"
    REPLACES_SECRET = "replaces-secret"
    DELETES_REPLICA = "deletes-replica"
    OVERWRITES_VALUE = "overwrites-value"
    DELETES_KEY = "deletes-key"
    WIDENS_ACCESS = "widens-access"
    REVERTS_EDIT = "reverts-edit"
    CHANGES_LOGIN = "changes-login"
    REMOVES_ROTATION = "removes-rotation"
    ROTATES_LESS_OFTEN = "rotates-less-often"
    REMOVES_PROTECTION = "removes-protection"
    SHORTENS_RECOVERY = "shortens-recovery"
    BLOCKED_IN_AWS = "blocked-in-aws"
    STAYS_OUT_OF_AWS = "stays-out-of-aws"
    CANNOT_BE_JUDGED = "cannot-be-judged"


@dataclass(frozen=True, kw_only=True, order=True)
class Component:
    """The component that a finding belongs to.

    Attributes:
        what: its kind in words, such as `secret`.
        name: its logical name.
        stack: its stack, in a report on several stacks; empty otherwise.
    """

    what: str
    name: str
    stack: str = ""


@dataclass(frozen=True, kw_only=True)
class Danger:
    """A finding that a person must review before the update.

    Attributes:
        kind: what is at risk.
        component: the affected component.
        text: a sentence without its final period.
        code: code that a person must review, such as SQL, each quoted in full.
    """

    kind: Kind
    component: Component
    text: Text
    code: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """A harmless finding; `text` is a sentence without its final period."""

    component: Component
    text: Text


Finding: TypeAlias = Danger | Change


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A resource that changes.

    Attributes:
        op: create, update, replace, delete, read or import.
        urn: the resource's URN.
        type, name: the type and name in the URN.
        properties: paths of the properties that change, without values.
        stack: its stack, in a report on several stacks; empty otherwise.
    """

    op: str
    urn: str
    type: str
    name: str
    properties: tuple[str, ...]
    stack: str = ""


@dataclass(frozen=True, kw_only=True)
class Since:
    """The difference between a report and the one before the last push.

    Attributes:
        revision: the commit that was previewed; may be empty.
        known: whether a previous report exists and its findings are known.
        new: findings that the previous report does not have.
        gone: findings that only the previous report has, in the form that comments store.
    """

    revision: str
    known: bool = False
    new: frozenset[Finding] = frozenset()
    gone: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report on what a preview or an update does to live secrets.

    Attributes:
        stack: name of the stack; empty if the events do not name it.
        preview: False for an update.
        verdict: a summary of one line.
        problems: why the report is incomplete, in sentences.
        dangers: dangerous findings, worst kind first.
        changes: harmless findings, by component.
        details: every resource that changes.
        counts: operation of the engine to number of resources, components included.
        does: verb and noun, such as (`create`, `secret`), to number of components.
        stacks: the reports that this one combines; empty for a report on one stack.
        notes: what the report is based on, such as the comparison with AWS.
        digest: ties an update to this report; empty if the report is incomplete.
        since: the difference from the previous report; None without one.
    """

    stack: str
    preview: bool
    verdict: Text
    problems: tuple[Text, ...]
    dangers: tuple[Danger, ...]
    changes: tuple[Change, ...]
    details: tuple[Detail, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    does: Mapping[tuple[str, str], int] = field(default_factory=dict)
    stacks: tuple["Report", ...] = ()
    notes: tuple[Text, ...] = ()
    digest: str = ""
    since: Since | None = None

    @property
    def complete(self) -> bool:
        """Return whether the report covers everything that happens."""
        return not self.problems

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the dangers, then the changes."""
        return (*self.dangers, *self.changes)

    @property
    def unchanged(self) -> bool:
        """Return whether the report is complete and nothing changes."""
        return self.complete and not (self.dangers or self.changes or self.details)

    def is_new(self, finding: Finding) -> bool:
        """Return whether the previous report does not have this finding."""
        return self.since is not None and finding in self.since.new


def labels(report: Report) -> tuple[str, ...]:
    """Return the labels of a pull request: the kinds of its dangers, worst first."""
    kinds = {danger.kind for danger in report.dangers}
    names = tuple(kind.value for kind in Kind if kind in kinds)
    return names if report.complete else ("incomplete", *names)


def plain(text: Text) -> str:
    """Return a text as a string, with names as they are."""
    return "".join(part.text if isinstance(part, Name) else str(part) for part in text)


def named(names: Iterable[str]) -> Text:
    """Return a short sorted list of names, such as `a, b and 3 more`."""
    distinct = sorted(set(names))
    shown = distinct[:_MOST_NAMES]
    return (*joined([(Name(name),) for name in shown], ", "), *_more(len(distinct) - len(shown)))


def _more(number: int) -> Text:
    return (f" and {number} more",) if number else ()


def joined(texts: Sequence[Text], separator: str) -> Text:
    """Return texts as one, with a separator between them."""
    parts: list[str | Name | Day] = []
    for text in texts:
        parts += [separator, *text] if parts else text
    return tuple(parts)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 secret` or `2 secrets`."""
    return f"{number} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """Return a noun in the form for this number."""
    return noun if number == 1 else f"{noun}s"
