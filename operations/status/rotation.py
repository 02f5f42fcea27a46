"""Assess a secret's rotation from what AWS reports.

RotateSecret puts the label AWSPENDING on a new version. After a successful rotation AWS removes it, or
leaves it on the current version; both occur. PutSecretValue then removes it from the version that loses
AWSCURRENT, UpdateSecretVersionStage does not. A failed rotation leaves it on another version, perhaps one
without a value.
NextRotationDate is the latest time of the next rotation; after failures it may be in the past. AWS reports
failures nowhere else except in CloudTrail, as the event RotationFailed.

Source: AWS Secrets Manager API Reference, RotateSecret, DescribeSecret, RotationRulesType; User Guide,
"Secrets Manager event logs".
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from components.lambdas.common import labels
from components.lambdas.common.labels import Deferred
from operations.status.aws import Denied
from operations.status.drift import in_words
from operations.status.model import Problem, Rotation

# A function runs for 15 minutes at most, four times per rotation.
_RUNNING = timedelta(hours=1)
# A rotation may start at the end of its window, and a window lasts a day at most.
_LATE = timedelta(hours=1)
_WINDOW = timedelta(days=1)

Versions = Mapping[str, datetime] | Denied


def rotation_of(described: Mapping[str, Any]) -> Rotation | None:
    """Return the rotation that DescribeSecret reports, not yet assessed; None if the secret never rotated."""
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
        deferred=deferral.times if (deferral := deferral_of(described)) else 0,
    )


def version_with(label: str, described: Mapping[str, Any]) -> str | None:
    """Return the id of the version that has a staging label."""
    stages: Mapping[str, list[str]] = described.get("VersionIdsToStages") or {}
    return next((version for version, labels in stages.items() if label in labels), None)


def deferral_of(described: Mapping[str, Any]) -> Deferred | None:
    """Return the deferred rotation that made the current version; None if it has a value of its own."""
    current = version_with("AWSCURRENT", described)
    return labels.deferral_of(described["VersionIdsToStages"][current]) if current else None


def deferral_problems(described: Mapping[str, Any]) -> list[Problem]:
    """Return the problem that clients keep the rotation from renewing the value, if they do."""
    deferral = deferral_of(described)
    if deferral is None or not described.get("RotationEnabled"):
        return []
    function = str(described.get("RotationLambdaARN") or "")
    command = log_command(function, '"an old value is still in use"', "30d") if function else ""
    since = format_utc(datetime.fromtimestamp(deferral.since, UTC))
    remedy = (
        f"The value is unchanged since {since}. The function's log names the clients"
        f'{f": {command}" if command else ""}. Have them read the secret again: docs/rotation.md, "Clients '
        'that keep an old password".'
    )
    return [Problem(kind="rotation", text=deferral.sentence, remedy=remedy)]


def pending_version(described: Mapping[str, Any]) -> str | None:
    """Return the id of the version that a rotation has created and not made current."""
    pending = version_with("AWSPENDING", described)
    return None if pending == version_with("AWSCURRENT", described) else pending


def needs_version_dates(described: Mapping[str, Any], now: datetime) -> bool:
    """Return whether the rotation can only be assessed with the creation dates of the versions."""
    known = rotation_of(described)
    if known is None:
        return False
    return pending_version(described) is not None or (
        known.state != "off" and _is_old(known.last_rotated, described, now)
    )


def assess(
    known: Rotation, described: Mapping[str, Any], versions: Versions, now: datetime
) -> tuple[Rotation, list[Problem]]:
    """Return the rotation with its state, and its problems.

    Args:
        known: as returned by `rotation_of`.
        described: the response of DescribeSecret.
        versions: creation dates by version id; empty if they were not requested.
        now: the moment to assess for.
    """
    dates = {} if isinstance(versions, Denied) else versions
    pending = pending_version(described)
    if pending is not None:
        # a version without a value has no date; the last change of the secret is the closest one
        since = dates.get(pending)
        started = since or described.get("LastChangedDate") or now
        left_behind = pending == version_with("AWSPREVIOUS", described)
        running = now - started < _RUNNING and not left_behind
        state: Literal["running", "unfinished"] = "running" if running else "unfinished"
        rotation = replace(known, state=state, pending_since=since)
        if running:
            return rotation, []
        if left_behind:
            return rotation, [_left_behind(described, pending)]
        return rotation, [_unfinished(rotation, described, started)]
    if known.state == "off":
        return known, []
    written = dates.get(version_with("AWSCURRENT", described) or "")
    last = max((date for date in (known.last_rotated, written) if date), default=None)
    if known.next_by is not None and now > known.next_by + _LATE:
        text = f"The rotation is overdue: it was due by {format_utc(known.next_by)}"
    elif known.last_rotated and _is_old(last, described, now):
        since_last = format_utc(known.last_rotated)
        text = f"The rotation is overdue: the last one was on {since_last}, the schedule is {known.schedule}"
    else:
        return known, []
    problem = Problem(kind="rotation", text=text, remedy=_remedy(known, described))
    return replace(known, state="overdue"), [problem]


def log_command(function: str, pattern: str = "ERROR", since: str = "1d") -> str:
    """Return the command, in backticks, that shows the errors in a function's log.

    Args:
        function: ARN of the function.
        pattern: what to show instead of errors.
        since: how far back. Default: a day.
    """
    quoted = pattern if pattern.isalnum() else f"'{pattern}'"
    log_group = (
        f"aws lambda get-function-configuration --function-name {function.split(':')[6]} "
        "--query LoggingConfig.LogGroup --output text"
    )
    return f'`aws logs tail "$({log_group})" --since {since} --filter-pattern {quoted}`'


def format_utc(moment: datetime) -> str:
    """Return a time in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _remedy(known: Rotation, described: Mapping[str, Any]) -> str:
    if known.function:
        return (
            f"The last [ERROR] in the function's log has the cause: {log_command(known.function)}. Then "
            'rotate again as in docs/rotation.md, "When a rotation fails".'
        )
    return (  # RDS and partners: no function, and no log except CloudTrail's
        "AWS rotates this secret without a function of yours: the event RotationFailed in CloudTrail has the "
        f"cause. Then rotate again: `aws secretsmanager rotate-secret --secret-id {described['Name']}`."
    )


def _is_old(last: datetime | None, described: Mapping[str, Any], now: datetime) -> bool:
    """Return whether the last rotation or edit (AWS counts it as one) is older than the schedule allows."""
    days = (described.get("RotationRules") or {}).get("AutomaticallyAfterDays")
    return bool(last and days and now > last + timedelta(days=days) + _WINDOW + _LATE)


def _unfinished(rotation: Rotation, described: Mapping[str, Any], started: datetime) -> Problem:
    value = "has a value" if rotation.pending_since else "has no value"
    return Problem(
        kind="rotation",
        text=f"A rotation has been pending since {format_utc(started)}; its AWSPENDING version {value}",
        remedy=_remedy(rotation, described),
    )


def _left_behind(described: Mapping[str, Any], version: str) -> Problem:
    return Problem(
        kind="rotation",
        text="AWSPENDING is still on the previous version: AWS considers that rotation unfinished, so no new "
        "one can start, and a retry may bring that version back",
        remedy="Remove the label: `aws secretsmanager update-secret-version-stage --secret-id "
        f"{described['Name']} --version-stage AWSPENDING --remove-from-version-id {version}`.",
    )
