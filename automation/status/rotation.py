"""What AWS says of a secret's rotation, judged.

RotateSecret gives the label AWSPENDING to a new version. After a rotation that succeeded AWS removes it, or
leaves it on the current version; both were seen. PutSecretValue then removes it from the version that loses
AWSCURRENT, UpdateSecretVersionStage does not. A rotation that failed leaves it on another version, maybe one
without a value.
NextRotationDate is the latest date of the next rotation; after failures it may be in the past. Neither tells
of failures otherwise: RotationFailed is an event of CloudTrail alone.

Source: AWS Secrets Manager API Reference, RotateSecret, DescribeSecret, RotationRulesType; User Guide,
"Secrets Manager event logs".
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from automation.status.aws import Denied
from automation.status.drift import in_words
from automation.status.model import Problem, Rotation

# A function runs 15 minutes at the most, four times for one rotation.
_RUNNING = timedelta(hours=1)
# A rotation may begin at the end of its window, and a window is a day at the most.
_LATE = timedelta(hours=1)
_WINDOW = timedelta(days=1)

Versions = Mapping[str, datetime] | Denied
_REMEDY = (
    "The last [ERROR] in the function's log says why. Then start it again, as docs/rotation.md says under "
    '"When a rotation fails".'
)
# of a secret that AWS rotates itself, for RDS or a partner: there is no function, and no log but CloudTrail's
_REMEDY_MANAGED = (
    "AWS rotates it without a function of yours: the event RotationFailed in CloudTrail says why. "
    "Then start it again: aws secretsmanager rotate-secret --secret-id "
)


def rotation_of(described: Mapping[str, Any]) -> Rotation | None:
    """What DescribeSecret says; the state is judged later. None where it never rotated."""
    function = described.get("RotationLambdaARN")
    if function is None and not described.get("RotationEnabled"):
        return None
    return Rotation(
        state="on-schedule" if described.get("RotationEnabled") else "off",
        schedule=in_words(described.get("RotationRules") or {}),
        last_rotated=described.get("LastRotatedDate"),
        next_by=described.get("NextRotationDate"),
        pending_since=None,
        function=str(function or ""),
    )


def version_with(label: str, described: Mapping[str, Any]) -> str | None:
    """Id of the version that has a staging label."""
    stages: Mapping[str, list[str]] = described.get("VersionIdsToStages") or {}
    return next((version for version, labels in stages.items() if label in labels), None)


def pending_version(described: Mapping[str, Any]) -> str | None:
    """Id of the version that a rotation has begun and not made current."""
    pending = version_with("AWSPENDING", described)
    return None if pending == version_with("AWSCURRENT", described) else pending


def asks_for_versions(described: Mapping[str, Any], now: datetime) -> bool:
    """Whether the dates of its versions are needed to judge it."""
    known = rotation_of(described)
    if known is None:
        return False
    return pending_version(described) is not None or (
        known.state != "off" and _is_old(known.last_rotated, described, now)
    )


def judged(
    known: Rotation, described: Mapping[str, Any], versions: Versions, now: datetime
) -> tuple[Rotation, list[Problem]]:
    """The rotation with its state, and what is wrong with it.

    Args:
        known: as `rotation_of` gives it.
        described: DescribeSecret's answer.
        versions: when each version was made; empty where nobody asked.
        now: the moment to judge for.
    """
    dates = {} if isinstance(versions, Denied) else versions
    pending = pending_version(described)
    if pending is not None:
        # without a value it is no younger than the last change of anything
        since = dates.get(pending)
        begun = since or described.get("LastChangedDate") or now
        left = pending == version_with("AWSPREVIOUS", described)
        running = now - begun < _RUNNING and not left
        state: Literal["running", "unfinished"] = "running" if running else "unfinished"
        found = replace(known, state=state, pending_since=since)
        problem = (
            _left_behind(described, pending) if left else _unfinished(found, begun, _remedy(known, described))
        )
        return found, [] if running else [problem]
    if known.state == "off":
        return known, []
    current = version_with("AWSCURRENT", described)
    written = dates.get(current or "")
    last = max((date for date in (known.last_rotated, written) if date), default=None)
    if known.next_by is not None and now > known.next_by + _LATE:
        text = f"The rotation is overdue: it was due by {shown(known.next_by)}"
    elif known.last_rotated and _is_old(last, described, now):
        text = f"The rotation is overdue: the last one was on {shown(known.last_rotated)}, {known.schedule}"
    else:
        return known, []
    problem = Problem(kind="rotation", text=text, remedy=_remedy(known, described))
    return replace(known, state="overdue"), [problem]


def _remedy(known: Rotation, described: Mapping[str, Any]) -> str:
    return _REMEDY if known.function else f"{_REMEDY_MANAGED}{described['Name']}"


def _is_old(last: datetime | None, described: Mapping[str, Any], now: datetime) -> bool:
    """Whether the last rotation or edit, which AWS counts as one, is longer ago than the schedule allows."""
    days = (described.get("RotationRules") or {}).get("AutomaticallyAfterDays")
    return bool(last and days and now > last + timedelta(days=days) + _WINDOW + _LATE)


def _unfinished(found: Rotation, begun: datetime, remedy: str) -> Problem:
    value = "has a value" if found.pending_since else "has no value"
    return Problem(
        kind="rotation",
        text=f"A rotation has not ended since {shown(begun)}; the version labelled AWSPENDING {value}",
        remedy=remedy,
    )


def _left_behind(described: Mapping[str, Any], version: str) -> Problem:
    return Problem(
        kind="rotation",
        text="AWSPENDING is still on the previous version: AWS takes that rotation for not ended, so no new "
        "one can start, and trying it again may bring that version back",
        remedy="Take the label off: aws secretsmanager update-secret-version-stage --secret-id "
        f"{described['Name']} --version-stage AWSPENDING --remove-from-version-id {version}",
    )


def shown(moment: datetime) -> str:
    """In UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
