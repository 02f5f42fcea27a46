"""The report of a run: as lines, and as a JSON document. It contains no value."""

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from operations.renewal import services
from operations.rotate.model import Holds, Plan, ReaderState, Report, SecretOutcome, Validity

_HOLDS: Mapping[Holds, str] = {
    "old": "has the old value",
    "new": "has the new value",
    "unknown": "may have either value",
}
_MARKS: Mapping[ReaderState, str] = {"failed": "FAILED: ", "by-hand": "to do: ", "waiting": "not restarted: "}
_VALIDITY: Mapping[Validity, str] = {
    "ended": "the old value no longer works: readers that have it fail at their next login",
    "as-readers-accept": "the old value is in AWSPREVIOUS until the next rotation, and works as long as the "
    "readers accept it",
    "own-function": "whether the old value still works, your own rotation function decides",
}


def exact(moment: datetime) -> str:
    """Return a time as --since takes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def way_back(plan: Plan, report: Report, command: str) -> Iterator[str]:
    """Yield the command that goes back, then the same step by step."""
    outcomes = report.secrets
    rotated = [
        one
        for one in reversed(plan.secrets)
        if outcomes[one.name].state == "rotated" and outcomes[one.name].before
    ]
    if not rotated:
        return
    yield command
    for one in rotated:
        target = shlex.join([one.name, "--stack", report.stack, "--to", outcomes[one.name].before])
        yield f"python -m operations rollback {target}"
    for reader in reversed(plan.readers):
        ecs = reader.workload.declared.ecs
        if ecs and ecs.redeploy and report.readers[reader.workload.name].holds != "old":
            yield services.redeploying(ecs.redeploy)


def plan_lines(plan: Plan, report: Report) -> Iterator[str]:
    """Yield what would be done, for the terminal."""
    for one in plan.secrets:
        outcome = report.secrets[one.name]
        if report.back:
            yield f"{one.name}: {_back(outcome)}"
        elif outcome.state == "planned":
            yield f"{one.name}: rotated by {one.function}"
            yield f"  then {_until(outcome)}"
        else:
            yield f"{one.name}: {'rotated already' if outcome.after else 'stays as it is'}"
    yield from report.notes
    readers = [report.readers[one.workload.name] for one in plan.readers]
    for number, reader in enumerate(reversed(readers) if report.back else readers, 1):
        yield f"{number}. reader {reader.name}: {_MARKS.get(reader.state, '')}{reader.text}"
        yield from (f"     {command}" for command in reader.commands)


def _back(outcome: SecretOutcome) -> str:
    if not outcome.after:
        return "not rotated by this run"
    if outcome.state == "rolled-back":
        return "rolled back already"
    return f"version {outcome.before} is made current again"


def lines(report: Report) -> Iterator[str]:
    """Yield the report, for the terminal."""
    for secret in report.secrets.values():
        yield f"{secret.name}: {_secret(secret)}"
    yield from report.notes
    readers = [*report.readers.values()]
    for reader in reversed(readers) if report.back else readers:
        text = f"{_MARKS.get(reader.state, '')}{reader.text}"
        yield f"reader {reader.name} {_HOLDS[reader.holds]}. {text}"
        yield from (f"  {command}" for command in reader.commands)
    if report.stopped:
        yield f"STOPPED: {report.stopped}"
    if report.go_on and report.stopped:
        yield "Go on, once the cause is corrected:"
        yield f"  {report.go_on}"
    elif report.go_on and (report.has_failures or report.is_left):
        yield "Go on, once that is done:"
        yield f"  {report.go_on}"
    if report.way_back and report.stopped:
        command, *steps = report.way_back
        yield "Go back:"
        yield f"  {command}"
        yield "or step by step, waiting for each:"
        yield from (f"  {step}" for step in steps)
    elif report.way_back:
        yield f"To go back: {report.way_back[0]}"


def _secret(outcome: SecretOutcome) -> str:
    if outcome.state == "failed":
        return f"FAILED: {outcome.problem}"
    if outcome.state == "rotated" and not outcome.before:
        return f"rotated, version {outcome.after}; another version has become current since"
    if outcome.state == "rotated":
        return f"rotated, version {outcome.after} is current, before {outcome.before}; {_until(outcome)}"
    if outcome.state == "rolled-back":
        return f"version {outcome.before} is current again, instead of {outcome.after}"
    return "not rotated"


def _until(outcome: SecretOutcome) -> str:
    if outcome.validity == "until-next-rotation":
        when = outcome.next_rotation
        by = f", at the latest {when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else ""
        return f"the old value works until the next rotation{by}"
    return _VALIDITY[outcome.validity]


def document(report: Report) -> dict[str, Any]:
    """Return the report as a JSON document."""
    return {
        "stack": report.stack,
        "account": report.account,
        "region": report.region,
        "dryRun": report.dry_run,
        "back": report.back,
        "since": exact(report.since),
        "started": report.started.isoformat(),
        "ended": report.ended.isoformat() if report.ended else None,
        "secrets": [
            {
                "name": one.name,
                "arn": one.arn,
                "state": one.state,
                "versionBefore": one.before or None,
                "versionAfter": one.after or None,
                "oldValueWorks": one.validity,
                "nextRotation": one.next_rotation.isoformat() if one.next_rotation else None,
                "failure": one.problem or None,
            }
            for one in report.secrets.values()
        ],
        "readers": [
            {
                "workload": one.name,
                "state": one.state,
                "value": one.holds,
                "text": one.text,
                "commands": list(one.commands),
            }
            for one in report.readers.values()
        ],
        "notes": list(report.notes),
        "stopped": report.stopped or None,
        "goOn": report.go_on or None,
        "wayBack": list(report.way_back),
    }
