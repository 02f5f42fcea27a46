"""The report of an answer to a leak: as lines, as Markdown, and as a JSON document. It contains no value."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from components.visible import visible, visible_lines
from operations.compromised.model import Plan, Report, SecretOutcome, SecretPlan, Task


def continuation(arguments: Sequence[str], since: datetime) -> str:
    """Return the command that goes on with this incident."""
    return f"python -m operations compromised {shlex.join(arguments)} --since {exact(since)}"


def exact(moment: datetime) -> str:
    """Return a time as --since takes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def plan_lines(plan: Plan, report: Report) -> Iterator[str]:
    """Yield what would be done, for the terminal."""
    for one in plan.secrets:
        yield f"{one.name}:"
        steps = [*_planned(one), *report.secrets[one.name].problems]
        yield from (f"  {step}" for step in steps or ["nothing is renewed by this command"])
    for reader in report.readers:
        yield f"reader {reader.name}: {reader.text}"
        yield from (f"  {command}" for command in reader.commands)
    yield from _tasks("A person must then:", report.tasks)


def _planned(one: SecretPlan) -> Iterator[str]:
    if one.rotations:
        times = "once" if one.rotations == 1 else "twice, because two values stay valid"
        yield f"rotated {times}, by {one.function or 'AWS'}"
    if one.is_login:
        yield "every session of its users is ended"
    if one.keys:
        yield f"regenerated: {', '.join(key or 'its value' for key in one.keys)}"


def lines(report: Report) -> Iterator[str]:
    """Yield the report, for the terminal."""
    yield f"Incident since {exact(report.since)}; ended {_when(report.ended)}."
    for one in report.secrets.values():
        yield f"{one.name}: {'; '.join(_done(one)) or 'nothing was renewed by this command'}"
        yield from (f"  FAILED: {problem}" for problem in one.problems)
    for reader in report.readers:
        mark = {"failed": "FAILED: ", "by-hand": "to do: "}.get(reader.outcome, "")
        yield f"reader {reader.name}: {mark}{reader.text}"
        yield from (f"  {command}" for command in reader.commands)
    yield from _tasks("A person must still:", report.tasks)
    yield from _tasks("Prove that the old values are dead:", report.checks)


def _done(one: SecretOutcome) -> Iterator[str]:
    if one.rotated:
        yield f"rotated {len(one.rotated)} times, the old value was dead by {_when(one.dead_at)}"
    if one.sessions is not None:
        yield f"{one.sessions} sessions ended"
    if one.regenerated:
        yield f"regenerated {', '.join(key or 'its value' for key in one.regenerated)}"
    if one.after and one.after != one.before:
        yield f"current version {one.after}, before {one.before}"


def _tasks(heading: str, tasks: Sequence[Task]) -> Iterator[str]:
    if tasks:
        yield heading
    for task in tasks:
        yield f"  {task.where}: {task.text}"
        yield from (f"    {command}" for command in task.commands)


def markdown(report: Report) -> str:
    """Return the report as a Markdown page."""
    return "\n".join(_markdown(report)) + "\n"


def _markdown(report: Report) -> Iterator[str]:
    yield f"# Leak in stack {_text(report.stack)}"
    yield ""
    yield f"- account {report.account}, region {report.region}"
    yield f"- incident since {exact(report.since)} (`--since`, to run the command again)"
    yield f"- command from {_when(report.started)} to {_when(report.ended)}"
    if report.update:
        yield f"- {_text(report.update)}"
    yield from ("", "## Secrets", "", "| secret | done | version before | version now |", "|---|---|---|---|")
    for one in report.secrets.values():
        problems = "".join(f"<br>**failed:** {_cell(problem)}" for problem in one.problems)
        done = "; ".join(_cell(each) for each in _done(one) if not each.startswith("current version"))
        versions = f"{_cell(one.before)} | {_cell(one.after)}"
        yield f"| {_cell(one.name)} | {done or 'nothing'}{problems} | {versions} |"
    if report.readers:
        yield from ("", "## Readers", "")
    for reader in report.readers:
        mark = {"failed": "**failed:** ", "by-hand": "**to do:** "}.get(reader.outcome, "")
        yield f"- {_text(reader.name)}: {mark}{_text(reader.text)}"
        yield from _code(reader.commands)
    for heading, tasks in (
        ("What a person must still do", report.tasks),
        ("How to prove that the old values are dead", report.checks),
    ):
        if tasks:
            yield from ("", f"## {heading}", "")
        for task in tasks:
            yield f"- {_text(task.where)}: {_text(task.text)}"
            yield from _code(task.commands)


def _code(commands: Sequence[str]) -> Iterator[str]:
    if commands:
        yield from ("", "  ```sh", *(f"  {visible(command)}" for command in commands), "  ```", "")


def _text(text: str) -> str:
    """Return a text that Markdown does not interpret, on one line."""
    shown = visible(" ".join(visible_lines(text).split("\n")))
    return "".join(f"\\{one}" if one in "\\`*_[]<>|@#" else one for one in shown)


_cell = _text


def document(plan: Plan, report: Report) -> dict[str, Any]:
    """Return the plan and the report as a JSON document."""
    return {
        "stack": report.stack,
        "account": report.account,
        "region": report.region,
        "dryRun": report.dry_run,
        "since": exact(report.since),
        "started": report.started.isoformat(),
        "ended": report.ended.isoformat() if report.ended else None,
        "plan": [
            {
                "name": one.name,
                "rotations": one.rotations,
                "function": one.function or None,
                "endsSessions": one.is_login,
                "regenerates": list(one.keys),
            }
            for one in plan.secrets
        ],
        "secrets": [
            {
                "name": one.name,
                "arn": one.arn,
                "versionBefore": one.before,
                "versionAfter": one.after,
                "rotations": one.rotated,
                "deadAt": one.dead_at.isoformat() if one.dead_at else None,
                "regenerated": one.regenerated,
                "sessionsEnded": one.sessions,
                "failures": one.problems,
            }
            for one in report.secrets.values()
        ],
        "readers": [
            {
                "workload": one.name,
                "outcome": one.outcome,
                "text": one.text,
                "commands": list(one.commands),
            }
            for one in report.readers
        ],
        "toDo": [_task(task) for task in report.tasks],
        "checks": [_task(task) for task in report.checks],
    }


def _task(task: Task) -> dict[str, Any]:
    return {"where": task.where, "text": task.text, "commands": list(task.commands)}


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "not ended"
