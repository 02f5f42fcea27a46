"""The outcome of a scheduled rehearsal as a line of the function's log, and what it means for a secret.

The log is the only place that keeps outcomes: only the function's role writes it, it costs nothing to speak
of, and reading it takes `logs:FilterLogEvents` on one log group. A metric would cost nearly as much as a
secret, and whoever may call PutMetricData could forge it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MARK = "aws-secrets-rehearsal"
"""In every line of an outcome, and the term by which the log is filtered."""

_MOST_FINDINGS = 20
_MOST_CHARACTERS = 2_000
_LATE = timedelta(days=1)
_START = 'Start a rehearsal as in docs/rehearsal.md, "On a schedule".'


@dataclass(frozen=True)
class Finding:
    """Something that would break the next rotation: its step, what is wrong, and what would happen."""

    step: str
    problem: str
    consequence: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of rehearsing a secret at a time; without findings, the next rotation would work."""

    secret: str
    at: datetime
    findings: tuple[Finding, ...]


def line(secret: str, findings: Iterable[Finding]) -> str:
    """Return the line about one secret, which the log keeps as one event."""
    return json.dumps(
        {
            "event": MARK,
            "secret": secret,
            "findings": [
                [text[:_MOST_CHARACTERS] for text in (one.step, one.problem, one.consequence)]
                for one in list(findings)[:_MOST_FINDINGS]
            ],
        }
    )


def latest(events: Iterable[tuple[int, str]]) -> dict[str, Outcome]:
    """Return the last outcome of each secret.

    Args:
        events: of the log, each with its time in milliseconds since 1970; lines of any other kind are
            skipped.
    """
    found: dict[str, Outcome] = {}
    for milliseconds, text in events:
        one = _outcome(milliseconds, text)
        if one and (one.secret not in found or one.at >= found[one.secret].at):
            found[one.secret] = one
    return found


def _outcome(milliseconds: int, text: str) -> Outcome | None:
    try:
        event = json.loads(text)
        if event["event"] != MARK or not isinstance(event["secret"], str):
            return None
        findings = tuple(Finding(*map(_one_line, one)) for one in event["findings"])
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, OSError):
        return None
    return Outcome(event["secret"], at, findings)


def _one_line(text: object) -> str:
    """Return a text that cannot look like several lines where it is shown."""
    return "".join(one if one.isprintable() else "?" for one in " ".join(str(text).split()))


def window(every_days: int) -> timedelta:
    """Return how far back the log is read: to the last outcome that is not overdue."""
    return timedelta(days=every_days) + _LATE


def trouble(
    outcome: Outcome | None, every_days: int, since: datetime | None, now: datetime
) -> list[tuple[str, str]]:
    """Return what is wrong, each as a sentence without its period, and what to do.

    Args:
        outcome: the last one; None if there is none in the window.
        every_days: the declared days between two rehearsals.
        since: when the secret was created, before which there is nothing to rehearse.
        now: the moment to assess for.
    """
    if outcome is None or now - outcome.at > window(every_days):
        if since is not None and now - since <= window(every_days):
            return []
        days = f"{every_days} day{'' if every_days == 1 else 's'}"
        text = f"Its rotation was not rehearsed in time; the schedule is every {days}"
        return [(text, _START)]
    when = f"The rehearsal on {outcome.at:%Y-%m-%d %H:%M} UTC found that"
    then = f"Once it is corrected, {_START[0].lower()}{_START[1:]}"
    return [
        (f"{when} {one.step} would fail: {one.problem.rstrip('.')}", f"{one.consequence} {then}")
        for one in outcome.findings
    ]


def filters(log_group: str, every_days: int, now: datetime) -> Mapping[str, object]:
    """Return the arguments of FilterLogEvents that select the outcomes that are not overdue."""
    start = int((now - window(every_days)).timestamp() * 1000)
    return {"logGroupName": log_group, "filterPattern": f'"{MARK}"', "startTime": start}
