"""A status as lines of text, for logs and pipes; the other forms use the same words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from markupsafe import Markup, escape

from components.visible import visible, visible_lines
from operations.status.model import (
    ActualReader,
    Kind,
    Observation,
    Reader,
    Secret,
    Status,
    Suggestion,
    Workload,
)
from operations.status.rotation import format_utc

# Worst first: no longer accepted, unreadable, failing, about to fail, read by others, not as declared,
# incomplete, old, unknown.
KINDS: tuple[Kind, ...] = get_args(Kind)
_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def clean(text: str) -> str:
    """Return the text as one harmless line: AWS accepts any character in descriptions, tags and policies."""
    return visible(text)


def clean_lines(text: str) -> Markup:
    """Return lines for the page, each harmless and escaped: the page's other texts become one line."""
    return escape(visible_lines(text))


def ago(moment: datetime | None, now: datetime) -> str:
    """Return `3 days ago`, `in 27 days` or `now`; a dash for None."""
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
    """Return the state of a secret in a few words."""
    kinds = [problem.kind for problem in secret.problems]
    words = [_word(kind, secret) for kind in KINDS if kind in kinds]
    if not words:
        words = ["healthy, filled in by hand"] if secret.filled == "filled" else ["healthy"]
    if secret.filled == "unclear":
        words.append("rotated, manual input unconfirmed")
    if secret.existing:
        not_queried = secret.presence == "unknown" and not secret.problems
        words = [*([] if not_queried else words), origin(secret)]
    return ", ".join(words)


def origin(secret: Secret) -> str:
    """Return who manages a secret that is managed outside this stack."""
    if secret.name.startswith("arn:"):
        return "in another account, not queried"
    return f"managed by {secret.managed_by}" if secret.managed_by else "managed outside this stack"


def _word(kind: Kind, secret: Secret) -> str:
    if kind == "unavailable":
        words = {"missing": "missing", "deletion-scheduled": "scheduled for deletion"}
        return words.get(secret.presence, "unreadable")
    if kind == "rehearsal":
        return "not rehearsed" if secret.rehearsal and secret.rehearsal.works is None else "rehearsal failed"
    if kind == "rotation":
        return f"rotation {secret.rotation.state}" if secret.rotation else "rotation"
    if kind == "drift":
        settings = dict.fromkeys(one.what for one in secret.drift)
        return f"drift: {', '.join(settings) or 'replicas'}"
    words = {
        "expired": "expired",
        "aging": "expires soon or too old",
        "waiting": "waiting for manual input",
        "readers": "undeclared readers",
    }
    return words.get(kind, "unknown")


def rotation(secret: Secret, now: datetime) -> str:
    """Return the last and the next rotation in a few words."""
    found = secret.rotation
    if found is None:
        return "-"
    if found.state == "off":
        return "off"
    last = ago(found.last_rotated, now) if found.last_rotated else "never"
    if found.deferred:
        last = f"deferred {found.deferred}x, {last}"
    if found.state != "on-schedule":
        return f"{last}, {found.state}"
    return f"{last}, next {ago(found.next_by, now)}"


def rehearsal(secret: Secret, now: datetime) -> str:
    """Return the last rehearsal on a schedule in a few words; a dash without one."""
    found = secret.rehearsal
    if found is None:
        return "-"
    if found.works is None:
        return "not yet, or not in time"
    return f"{ago(found.at, now)}, {'works' if found.works else 'fails: ' + ', '.join(found.steps)}"


def headline(status: Status) -> str:
    """Return the counts in a sentence."""
    summary = status.summary
    counts = {
        "expired": summary.expired,
        "unavailable": summary.unavailable,
        "with a rotation problem": summary.rotation,
        "whose next rotation would fail or was not rehearsed": summary.rehearsal,
        "with undeclared readers": summary.readers,
        "with drift": summary.drift,
        "waiting for manual input": summary.waiting,
        "expiring soon or too old": summary.aging,
        "unknown": summary.unknown,
    }
    problems = [f"{number} {words}" for words, number in counts.items() if number]
    return ", ".join([f"{summary.well} of {summary.secrets} healthy", *problems])


def cost(status: Status) -> str:
    """Return the monthly price in a sentence; empty if it is unknown."""
    found = status.cost
    if found is None:
        return ""
    secrets = _number(found.secrets, "secret")
    replicas = f" and {_number(found.replicas, 'replica')}" if found.replicas else ""
    more = [_number(found.keys, "KMS key")] * bool(found.keys)
    more += [_number(found.alarms, "alarm")] * bool(found.alarms)
    return (
        f"{found.monthly_usd:.2f} USD a month for {', '.join([secrets + replicas, *more])} "
        f"({found.basis}, as of {found.price_list}; not counted: {found.not_counted})"
    )


def _number(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def place(status: Status) -> str:
    """Return the stack, its account and region, and the time of the query."""
    where = f"account {status.account}, {status.region}"
    return f"{status.project}/{status.stack} in {where}, {format_utc(status.asked_at)}"


def problems(status: Status) -> Iterator[tuple[Kind, str, str, str]]:
    """Return kind, owner, text and remedy of every problem, worst first."""
    owned = [
        *((problem, secret.name) for secret in status.secrets for problem in secret.problems),
        *(
            (problem, f"function {function.arn.rpartition(':')[2]}")
            for function in status.functions
            for problem in function.problems
        ),
        *((problem, "readers") for problem in (status.observation.problems if status.observation else ())),
    ]
    for kind in KINDS:
        for problem, owner in owned:
            if problem.kind == kind:
                yield kind, owner, problem.text, problem.remedy


@dataclass(frozen=True, kw_only=True)
class Attention:
    """All problems of one secret or function.

    Attributes:
        owner: name of the secret, or `function` and its name.
        kinds: worst first.
        texts, remedies: sentences.
        readers: the workloads that read the secret.
        console: URL of the secret in the AWS console.
    """

    owner: str
    kinds: tuple[Kind, ...]
    texts: tuple[str, ...]
    remedies: tuple[str, ...]
    readers: tuple[str, ...]
    console: str | None


def groups(status: Status) -> list[Attention]:
    """Return everything that needs attention by secret or function, worst first."""
    owners: dict[str, list[tuple[Kind, str, str]]] = {}
    for kind, owner, text, remedy in problems(status):
        owners.setdefault(owner, []).append((kind, text, remedy))
    secrets = {secret.name: secret for secret in status.secrets}
    return [
        Attention(
            owner=owner,
            kinds=tuple(dict.fromkeys(kind for kind, _, _ in found)),
            texts=tuple(text for _, text, _ in found),
            remedies=tuple(dict.fromkeys(remedy for _, _, remedy in found)),
            readers=tuple(reader.workload for reader in secrets[owner].readers) if owner in secrets else (),
            console=secrets[owner].console if owner in secrets else None,
        )
        for owner, found in owners.items()
    ]


def parts(remedy: str) -> list[tuple[str, bool]]:
    """Return the parts of a remedy, each with whether it is a command: commands are in backticks."""
    return [(part, bool(index % 2)) for index, part in enumerate(remedy.split("`")) if part]


def contents(secret: Secret) -> str:
    """Return the form of a secret's value in a few words."""
    if secret.content == "keys":
        return f"keys {', '.join(secret.keys)}" if secret.keys else "keys unknown"
    return "one text" if secret.content == "text" else "binary"


def reads_of(secret: Secret, reader: Reader) -> str:
    """Return what a workload reads of a secret, as part of a sentence."""
    return f"{', '.join(reader.keys)} of {secret.name}" if reader.keys else secret.name


def reads(secret: Secret, reader: Reader, start: str, end: str = "") -> str:
    """Return what a workload reads of a secret: its name, and its keys between `start` and `end`."""
    return f"{secret.name}{start}{', '.join(reader.keys)}{end}" if reader.keys else secret.name


def role_of(workload: Workload) -> str:
    """Return the workload's role in words."""
    return workload.role or "role created by this stack"


_KINDS_OF_READERS = {
    "workload": "workload",
    "policy": "declared in the resource policy",
    "function": "function of the stack",
    "deployment": "deployment",
    "person": "person",
    "service": "AWS service",
    "other": "unknown to the stack file",
}


def is_foreign(reader: ActualReader) -> bool:
    """Return whether a reader needs attention: it is not declared, and not a person, whom nobody declares."""
    return not reader.declared and reader.kind != "person"


def reader_kind(reader: ActualReader) -> str:
    """Return what a reader is in a few words."""
    words = f"workload {', '.join(reader.workloads)}" if reader.workloads else _KINDS_OF_READERS[reader.kind]
    return words if reader.declared or reader.kind in {"person", "other"} else f"{words}, not declared"


def readings(secret: Secret) -> Iterator[str]:
    """Return the readings of a secret in sentences without their periods."""
    found = secret.readings
    if found is None:
        return
    for one in found.actual:
        times = "once" if one.reads == 1 else f"{one.reads} times"
        yield (
            f"{one.principal} ({reader_kind(one)}) read it {times}, last on {format_utc(one.last_read)} from "
            f"{', '.join(one.sources)}"
        )
    if found.silent:
        yield f"not read by {', '.join(found.silent)}, although declared"
    if found.unread:
        seen = f"{secret.last_accessed:%Y-%m-%d}" if secret.last_accessed else "never"
        yield f"nobody reads it; AWS last saw a read: {seen}; {found.monthly_usd:.2f} USD a month"
    if found.unread_keys:
        yield f"no workload reads {', '.join(found.unread_keys)}"


def suggestion(one: Suggestion) -> str:
    """Return a suggestion in a sentence, without its lines."""
    verb = "add to" if one.change == "add" else "remove from"
    return f"{one.reason}: {verb} {one.path}"


def observation(found: Observation) -> str:
    """Return what was observed in sentences."""
    source = "a trail's files" if found.source == "trail" else "CloudTrail's event history"
    damaged = f", {found.damaged} of them damaged" if found.damaged else ""
    incomplete = "" if found.is_complete else ", incomplete: nothing is reported as unread"
    return (
        f"{found.events} events of {source} since {found.since:%Y-%m-%d}{damaged}{incomplete}. "
        f"Unread secrets cost {found.unread_usd:.2f} USD a month, at {found.usd_per_secret:.2f} USD for each "
        f"(US list price of {found.price_date}). Events name secrets, not keys."
    )


def _rehearsed(secret: Secret, now: datetime) -> str:
    return f"rehearsed {rehearsal(secret, now)}; " if secret.rehearsal else ""


def lines(status: Status) -> Iterator[str]:
    """Return one line per secret, workload and problem, then the counts."""
    for secret in status.secrets:
        changed = ago(secret.last_changed, status.asked_at)
        yield clean(
            f"{secret.name}: {state(secret)}; changed {changed}; "
            f"rotated {rotation(secret, status.asked_at)}; {_rehearsed(secret, status.asked_at)}"
            f"{contents(secret)}"
        )
    for workload in status.workloads:
        read = "; ".join(
            reads(secret, reader, " (", ")")
            for secret in status.secrets
            for reader in secret.readers
            if reader.workload == workload.name
        )
        yield clean(f"workload {workload.name} ({workload.runs_as}, {role_of(workload)}) reads {read}")
    for secret in status.secrets:
        for sentence in readings(secret):
            yield clean(f"readers: {secret.name}: {sentence}")
        for one in secret.readings.suggestions if secret.readings else ():
            yield clean(f"suggestion: {suggestion(one)}: {on_one_line(one.lines)}")
    if status.observation:
        yield clean(f"readers: {observation(status.observation)}")
    for kind, owner, text, remedy in problems(status):
        yield clean(f"{kind}: {owner}: {text}. {remedy}")
    if status.cost:
        yield clean(f"cost: {cost(status)}")
    yield clean(f"{place(status)}: {headline(status)}")


def on_one_line(lines: str) -> str:
    """Return lines of YAML as one line that means the same: what is below a key is in braces or brackets."""
    blocks: list[list[str]] = []
    for line in lines.splitlines():
        if line.startswith((" ", "- ")):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return ", ".join(_flow(key, below) for key, *below in blocks)


def _flow(key: str, below: list[str]) -> str:
    items = ", ".join(line.strip().removeprefix("- ") for line in below)
    if not below:
        return key
    return f"{key} [{items}]" if below[0].startswith("- ") else f"{key} {{{items}}}"
