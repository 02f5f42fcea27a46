"""A status as lines of text, for logs and pipes; the words are shared with the other forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from automation.status.model import Kind, Reader, Secret, Status, Workload
from automation.status.rotation import shown
from components.visible import visible

# Worst first: what cannot be read, what may soon not work, what is not as declared, what is not finished.
KINDS: tuple[Kind, ...] = ("unavailable", "rotation", "drift", "waiting", "unknown")
_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def clean(text: str) -> str:
    """Return the text as one harmless line: AWS takes any character in descriptions, tags and policies."""
    return visible(text)


def ago(moment: datetime | None, now: datetime) -> str:
    """`3 days ago`, `in 27 days`, `now`; a dash for never."""
    if moment is None:
        return "-"
    distance = abs(now - moment)
    for unit, length in _UNITS:
        number = distance // length
        if number:
            plural = "" if number == 1 else "s"
            return f"{number} {unit}{plural} ago" if moment < now else f"in {number} {unit}{plural}"
    return "now"


def state(secret: Secret) -> str:
    """What a secret is like, in a few words."""
    found = [problem.kind for problem in secret.problems]
    words = [_word(kind, secret) for kind in KINDS if kind in found]
    if not words:
        words = ["filled by hand"] if secret.filled == "filled" else ["well"]
    if secret.filled == "unclear":
        words.append("rotated before anybody was seen to fill it")
    if secret.existing:
        unasked = secret.presence == "unknown" and not secret.problems
        words = [*([] if unasked else words), origin(secret)]
    return ", ".join(words)


def origin(secret: Secret) -> str:
    """Return where a secret comes from that the stack does not make."""
    if secret.name.startswith("arn:"):
        return "in another account, which is not asked"
    return f"managed by {secret.managed_by}" if secret.managed_by else "made elsewhere"


def _word(kind: Kind, secret: Secret) -> str:
    if kind == "unavailable":
        return {"missing": "missing", "deletion-scheduled": "being deleted"}.get(
            secret.presence, "unreadable"
        )
    if kind == "rotation":
        return f"rotation {secret.rotation.state}" if secret.rotation else "rotation"
    if kind == "drift":
        what = dict.fromkeys(one.what for one in secret.drift)
        return f"differs: {', '.join(what) or 'replicas'}"
    return "waits for a person" if kind == "waiting" else "not known"


def rotation(secret: Secret, now: datetime) -> str:
    """When it rotated and will, in a few words."""
    found = secret.rotation
    if found is None:
        return "-"
    if found.state == "off":
        return "off"
    last = f"{ago(found.last_rotated, now)}" if found.last_rotated else "never yet"
    if found.state != "on-schedule":
        return f"{last}, {found.state}"
    return f"{last}, next {ago(found.next_by, now)}"


def headline(status: Status) -> str:
    """Counts in a sentence."""
    found = status.summary
    parts = [f"{found.well} of {found.secrets} well"]
    counts = {
        "unavailable": found.unavailable,
        "with a rotation to look at": found.rotation,
        "not as declared": found.drift,
        "waiting for a person": found.waiting,
        "not known": found.unknown,
    }
    return ", ".join([*parts, *(f"{number} {words}" for words, number in counts.items() if number)])


def place(status: Status) -> str:
    """Which stack, where and when."""
    where = f"account {status.account}, {status.region}"
    return f"{status.project}/{status.stack} in {where}, {shown(status.asked_at)}"


def attention(status: Status) -> Iterator[tuple[Kind, str, str, str]]:
    """Kind, whose, what and what to do of every problem, worst first."""
    found = [
        *((problem, secret.name) for secret in status.secrets for problem in secret.problems),
        *(
            (problem, f"function {function.arn.rpartition(':')[2]}")
            for function in status.functions
            for problem in function.problems
        ),
    ]
    for kind in KINDS:
        for problem, whose in found:
            if problem.kind == kind:
                yield kind, whose, problem.text, problem.remedy


@dataclass(frozen=True, kw_only=True)
class Attention:
    """All that is wrong with one secret or function, in sentences, and what to do about it."""

    whose: str
    kinds: tuple[Kind, ...]
    texts: tuple[str, ...]
    remedies: tuple[str, ...]


def groups(status: Status) -> list[Attention]:
    """What wants attention, the worst first, all of one secret or function together."""
    found: dict[str, list[tuple[Kind, str, str]]] = {}
    for kind, whose, text, remedy in attention(status):
        found.setdefault(whose, []).append((kind, text, remedy))
    return [
        Attention(
            whose=whose,
            kinds=tuple(dict.fromkeys(kind for kind, _, _ in problems)),
            texts=tuple(text for _, text, _ in problems),
            remedies=tuple(dict.fromkeys(remedy for _, _, remedy in problems)),
        )
        for whose, problems in found.items()
    ]


def contents(secret: Secret) -> str:
    """Return what a secret's value is, in few words."""
    if secret.content == "keys":
        return f"keys {', '.join(secret.keys)}"
    return "one text" if secret.content == "text" else "binary"


def reads_of(secret: Secret, reader: Reader) -> str:
    """Return what a workload reads of a secret, as a part of a sentence."""
    return f"{', '.join(reader.keys)} of {secret.name}" if reader.keys else secret.name


def reads(secret: Secret, reader: Reader, start: str, end: str = "") -> str:
    """Return what a workload reads of a secret: its name, and its keys between `start` and `end`."""
    return f"{secret.name}{start}{', '.join(reader.keys)}{end}" if reader.keys else secret.name


def role_of(workload: Workload) -> str:
    """The role in words."""
    return workload.role or "a role that the stack makes"


def lines(status: Status) -> Iterator[str]:
    """Everything, a line each: the secrets, who reads them, what wants attention, the counts."""
    for secret in status.secrets:
        changed = ago(secret.last_changed, status.asked_at)
        yield clean(
            f"{secret.name}: {state(secret)}; changed {changed}; "
            f"rotated {rotation(secret, status.asked_at)}; {contents(secret)}"
        )
    for workload in status.workloads:
        read = "; ".join(
            reads(secret, reader, " (", ")")
            for secret in status.secrets
            for reader in secret.readers
            if reader.workload == workload.name
        )
        yield clean(f"workload {workload.name} ({workload.runs_as}, {role_of(workload)}) reads {read}")
    for kind, whose, text, remedy in attention(status):
        yield clean(f"{kind}: {whose}: {text}. {remedy}")
    yield clean(f"{place(status)}: {headline(status)}")
