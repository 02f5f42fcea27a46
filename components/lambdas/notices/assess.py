"""Assess a secret from what AWS says about it without a value.

The rules are those of `python -m operations status`; a unit test compares the two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from . import age, outcomes
from .labels import CURRENT, INITIAL, PENDING, PREVIOUS, UNFILLED, deferral_of

# A function runs for 15 minutes at most, four times per rotation.
_RUNNING = timedelta(hours=1)
# A rotation may start at the end of its window, and a window lasts a day at most.
_LATE = timedelta(hours=1)
_WINDOW = timedelta(days=1)

KINDS = {
    "expired": "Expired",
    "unavailable": "Unavailable",
    "rotation": "Rotation",
    "rehearsal": "The next rotation would fail, or was not rehearsed",
    "waiting": "Waiting for manual input",
    "aging": "Expires soon, or too old",
    "unknown": "Could not be checked",
}
"""Kinds of findings with their headings, worst first."""


@dataclass(frozen=True)
class Attention:
    """One thing that needs attention: a key of KINDS, a sentence without its period, and what to do."""

    secret: str
    kind: str
    text: str
    remedy: str = ""


Dates = Callable[[], Mapping[str, datetime]]


def assess(
    declared: age.Declared,
    described: Mapping[str, Any] | None,
    dates: Dates,
    now: datetime,
    rehearsed: outcomes.Outcome | None = None,
) -> list[Attention]:
    """Return what needs attention about a secret.

    Args:
        declared: what the stack file says.
        described: the answer of DescribeSecret; None if the secret does not exist.
        dates: returns the creation dates of its labelled versions; called only if they matter.
        now: the moment to assess for.
        rehearsed: its last rehearsal on a schedule; None if there was none in time, or there is no schedule.
    """

    def found(kind: str, text: str, remedy: str = "") -> Attention:
        return Attention(declared.name, kind, text, remedy)

    if described is None:
        return [found("unavailable", "AWS has no secret with this name", "Run `pulumi up --refresh`.")]
    deleted = described.get("DeletedDate")
    if deleted:
        remedy = f"Restore it: `aws secretsmanager restore-secret --secret-id {declared.name}`."
        return [found("unavailable", f"Its deletion is scheduled for {_utc(deleted)}", remedy)]
    current = _version_with(CURRENT, described)
    if current is None:
        remedy = "Run `pulumi up`; see docs/recovery.md."
        return [found("unavailable", "It has no current version; nobody can read it", remedy)]
    known = _Once(dates)
    waiting = bool(declared.hints) and current in {
        _version_with(INITIAL, described),
        _version_with(UNFILLED, described),
    }
    rotation = _rotation(described, known, now)
    attention = [found("rotation", rotation, _LOG)] if rotation else []
    if declared.rehearse_days:
        since = described.get("CreatedDate")
        troubles = outcomes.trouble(rehearsed, declared.rehearse_days, since, now)
        attention += [found("rehearsal", text, remedy) for text, remedy in troubles]
    copied = deferral_of(described["VersionIdsToStages"][current])
    if copied and described.get("RotationEnabled"):
        attention.append(found("rotation", copied.sentence, _KEEPING))
    if waiting:
        keys = ", ".join(key for key in declared.hints if key) or "The value"
        hints = "; ".join(dict.fromkeys(declared.hints.values()))
        verb = "are" if len(declared.hints) > 1 else "is"
        attention.append(
            found("waiting", f"{keys} {verb} not filled in yet", f"Get the value here: {hints}.")
        )
    created = known.get(current) if declared.max_age_days else None
    if created and copied:  # a deferred rotation: the value is older than its version
        created = copied.written(created)
    attention += [
        found(one.kind, one.text, one.remedy) for one in age.assess(declared, created, now, waiting=waiting)
    ]
    return sorted(attention, key=lambda one: list(KINDS).index(one.kind))


_KEEPING = 'The function\'s log names them: see docs/rotation.md, "Clients that keep an old password".'
_LOG = 'See docs/rotation.md, "When a rotation fails".'


class _Once:
    """Creation dates of versions, requested at most once."""

    def __init__(self, dates: Dates) -> None:
        self._dates = dates
        self._known: Mapping[str, datetime] | None = None

    def get(self, version: str | None) -> datetime | None:
        if self._known is None:
            self._known = self._dates()
        return self._known.get(version or "")


def _rotation(described: Mapping[str, Any], dates: _Once, now: datetime) -> str | None:
    """Return what is wrong with the rotation, as a sentence without its period; None if nothing is."""
    enabled = bool(described.get("RotationEnabled"))
    if not enabled and described.get("RotationLambdaARN") is None:
        return None
    pending = _version_with(PENDING, described)
    if pending is not None and pending != _version_with(CURRENT, described):
        if pending == _version_with(PREVIOUS, described):
            return "AWSPENDING is still on the previous version, so no new rotation can start"
        # a version without a value has no date; the last change of the secret is the closest one
        started = dates.get(pending) or described.get("LastChangedDate") or now
        return None if now - started < _RUNNING else f"A rotation has been pending since {_utc(started)}"
    return _overdue(described, dates, now) if enabled else None


def _overdue(described: Mapping[str, Any], dates: _Once, now: datetime) -> str | None:
    due, last = described.get("NextRotationDate"), described.get("LastRotatedDate")
    if due is not None and now > due + _LATE:
        return f"The rotation is overdue: it was due by {_utc(due)}"
    days = (described.get("RotationRules") or {}).get("AutomaticallyAfterDays")
    if not last or not days:
        return None
    longest = timedelta(days=days) + _WINDOW + _LATE
    # AWS counts an edit as a rotation
    if now <= last + longest or now <= (dates.get(_version_with(CURRENT, described)) or last) + longest:
        return None
    return f"The rotation is overdue: the last one was on {_utc(last)}"


def _version_with(label: str, described: Mapping[str, Any]) -> str | None:
    stages: Mapping[str, list[str]] = described.get("VersionIdsToStages") or {}
    return next((version for version, labels in stages.items() if label in labels), None)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
