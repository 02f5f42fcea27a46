"""What a report says, before it is written for anybody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

_MOST_NAMES = 8


@dataclass(frozen=True)
class Name:
    """A text that others chose, such as a secret's name: each form of the report shows it as mere text."""

    text: str


Text: TypeAlias = tuple[str | Name, ...]


class Kind(StrEnum):
    """Kinds of dangers, worst first; docs/preview.md says what each means and what to do."""

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
    """What a change belongs to.

    Attributes:
        what: a word such as `secret`.
        name: its logical name.
        stack: that it is part of, in a report of several; empty otherwise.
    """

    what: str
    name: str
    stack: str = ""


@dataclass(frozen=True, kw_only=True)
class Danger:
    """Something that a person must have seen before the update.

    Attributes:
        text: a sentence without its end.
        code: texts that a person must read themselves, such as SQL, each quoted in full.
    """

    kind: Kind
    component: Component
    text: Text
    code: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that an update does. `text` is a sentence without its end."""

    component: Component
    text: Text


Finding: TypeAlias = Danger | Change


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A resource that changes.

    Attributes:
        op: create, update, replace, delete, read or import.
        urn: the resource's.
        type, name: parts of it.
        properties: paths of what changes; no values.
        stack: as of a component.
    """

    op: str
    urn: str
    type: str
    name: str
    properties: tuple[str, ...]
    stack: str = ""


@dataclass(frozen=True, kw_only=True)
class Since:
    """What a report says that the one before the last push did not.

    Attributes:
        revision: the commit that was previewed; may be empty.
        known: whether there was a report before, and what it said is known.
        new: what is new.
        gone: what is no longer said, in the form in which comments keep it.
    """

    revision: str
    known: bool = False
    new: frozenset[Finding] = frozenset()
    gone: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a preview or an update does.

    Attributes:
        stack: name of the stack; empty where the events do not say.
        preview: False for an update.
        verdict: one line.
        problems: why the report is incomplete, in sentences.
        dangers: worst kind first.
        changes: what is not dangerous, by component.
        details: every resource that changes.
        counts: operation of the engine to number of resources, components included.
        does: (`creates` and the like, `secret` and the like) to how many.
        stacks: the reports that this one brings together; empty in one of one stack.
        notes: what the report rests on, such as what AWS was asked.
        digest: by it an update is held to this report; empty for one that is incomplete.
        since: how it differs from the report before it; None if nobody asked.
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
        """Whether nothing that happens can be missing here."""
        return not self.problems

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the dangers and the changes."""
        return (*self.dangers, *self.changes)

    @property
    def unchanged(self) -> bool:
        """Return whether it is certain that nothing changes."""
        return self.complete and not (self.dangers or self.changes or self.details)

    def is_new(self, finding: Finding) -> bool:
        """Return whether the report before the last push did not say this."""
        return self.since is not None and finding in self.since.new


def labels(report: Report) -> tuple[str, ...]:
    """Return what a pull request is labelled with: the kinds of its dangers, worst first."""
    kinds = {danger.kind for danger in report.dangers}
    found = tuple(kind.value for kind in Kind if kind in kinds)
    return found if report.complete else ("incomplete", *found)


def plain(text: Text) -> str:
    """As one line for programs; the names are as they are."""
    return "".join(part if isinstance(part, str) else part.text for part in text)


def named(names: Iterable[str]) -> Text:
    """`a, b and 3 more`, sorted; never long."""
    distinct = sorted(set(names))
    shown = distinct[:_MOST_NAMES]
    return (*joined([(Name(name),) for name in shown], ", "), *_more(len(distinct) - len(shown)))


def _more(number: int) -> Text:
    return (f" and {number} more",) if number else ()


def joined(texts: Sequence[Text], separator: str) -> Text:
    """The texts as one."""
    parts: list[str | Name] = []
    for text in texts:
        parts += [separator, *text] if parts else text
    return tuple(parts)


def counted(number: int, noun: str) -> str:
    """`1 secret`, `2 secrets`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
