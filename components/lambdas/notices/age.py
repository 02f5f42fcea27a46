"""The age of a secret's value and its expiry, compared with what the stack file declares.

`python -m operations status` uses this module too, so that both report the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal


@dataclass(frozen=True)
class Declared:
    """The declared maximum age and expiry dates of a secret's value.

    Attributes:
        name: name of the secret in AWS.
        max_age_days: days after which the value is too old; None for never.
        expires: JSON key to the last day on which its value is valid, in ISO format; the key of a whole value
            is empty.
        hints: JSON key to where a person gets the value, for placeholders; the key likewise.
        rotates: whether a schedule renews the value.
        remind_days: days before, from which the value is reported.
        rehearse_days: days between two rehearsals of its rotation on a schedule; None for none.
    """

    name: str
    max_age_days: int | None = None
    expires: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    rotates: bool = False
    remind_days: int = 30
    rehearse_days: int | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that needs attention.

    Attributes:
        kind: `expired`, or `aging` for a value that is too old, or that soon expires or is too old.
        text: what is wrong, as one sentence without its period.
        remedy: what to do, in sentences; commands are in backticks.
    """

    kind: Literal["expired", "aging"]
    text: str
    remedy: str


def assess(declared: Declared, created: datetime | None, now: datetime, *, waiting: bool) -> list[Finding]:
    """Return what is wrong with the age of a value, worst first.

    Args:
        declared: what the stack file says.
        created: when AWS stored the current version; None if that is unknown.
        now: the moment to assess for.
        waiting: whether a placeholder is not filled in yet, which has no value that could expire.
    """
    found = [] if waiting else _expiring(declared, now)
    if declared.max_age_days and created is not None:
        found += _aging(declared, declared.max_age_days, created, now)
    return sorted(found, key=lambda finding: finding.kind == "aging")


def _expiring(declared: Declared, now: datetime) -> list[Finding]:
    found = []
    today = now.astimezone(UTC).date()
    for key, text in declared.expires.items():
        what, days = key or "The value", (date.fromisoformat(text) - today).days
        if days > declared.remind_days:
            continue
        if days < 0:
            when = f"expired on {text}, {_days(-days)} ago"
        else:
            when = f"expires on {text}, {f'in {_days(days)}' if days else 'today'}"
        hint = declared.hints.get(key)
        found.append(
            Finding(
                kind="expired" if days < 0 else "aging",
                text=f"{what} {when}",
                remedy=f"Get a new value{f' here: {hint}.' if hint else ' where it was issued.'} Write it "
                "into the secret, and its date into the stack file (expires).",
            )
        )
    return found


def _aging(declared: Declared, most: int, created: datetime, now: datetime) -> list[Finding]:
    age = (now - created).days
    # a rotation renews the value in time, or is reported as overdue
    notice = 0 if declared.rotates else min(declared.remind_days, most // 4)
    if age < most - notice:
        return []
    if age >= most:
        text = f"The value is {_days(age)} old; maxAgeDays is {most}"
    else:
        day = (created + timedelta(days=most)).astimezone(UTC).date()
        text = f"The value is {_days(age)} old, and will be too old on {day}; maxAgeDays is {most}"
    return [Finding(kind="aging", text=text, remedy=_renewal(declared))]


def _renewal(declared: Declared) -> str:
    if declared.rotates:
        return f"Rotate it: `aws secretsmanager rotate-secret --secret-id {declared.name}`."
    hints = "; ".join(dict.fromkeys(declared.hints.values()))
    if hints:
        return f"Get a new value here: {hints}. Then write it into the secret."
    return (
        "Raise its generation in the stack file, unless initialValues is once; or write a new value into the "
        "secret. See docs/initial-values.md."
    )


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
