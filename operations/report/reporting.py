"""Build a report from the engine's events."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from operations.report.digest import digest, of_several
from operations.report.events import Event, Reading, read
from operations.report.live import Comparison, Snapshot, compare
from operations.report.model import Change, Component, Danger, Detail, Kind, Name, Report, Text, plain
from operations.report.rules import findings
from operations.report.steps import Plan, build_plan
from operations.report.verdict import count_components, verdict, verdict_for

_KINDS = list(Kind)


def report(
    events: Iterable[Event | None],
    stack: str = "",
    origin: Sequence[Danger] = (),
    doubts: Sequence[Text] = (),
    *,
    live: Snapshot | None = None,
) -> Report:
    """Return the report on a preview or an update.

    Args:
        events: the engine's events, as in the lines of `pulumi preview --event-log FILE` or from the
            Automation API; None for an event that cannot be read. The last of several runs counts.
        stack: name of the stack, for events that end before they name it.
        origin: dangers of the program that wrote the events.
        doubts: reasons why the report is incomplete, whatever the events are.
        live: current settings in AWS (`operations.report.live.query.snapshot`); None to compare the stack
            file with Pulumi's state only.

    Returns:
        The report, which does not depend on the order of the steps. A truncated or damaged log results in an
        incomplete report, never in an exception.
    """
    reading = read(events)
    plan, more_problems = build_plan(reading.steps)
    problems = (*doubts, *reading.problems, *more_problems)
    of_steps = list(findings(plan))
    everything = [*of_steps, *map(_survived_error, reading.survived_errors)]
    comparison = compare(plan, everything, live) if live else Comparison()
    everything += comparison.findings
    dangers = sorted(
        {finding: None for finding in (*origin, *everything) if isinstance(finding, Danger)},
        key=lambda danger: (_KINDS.index(danger.kind), danger.component, plain(danger.text), danger.code),
    )
    changes = sorted(
        {finding: None for finding in everything if isinstance(finding, Change)},
        key=lambda change: (change.component, plain(change.text)),
    )
    return Report(
        stack=stack or _stack_of(reading),
        preview=reading.preview,
        verdict=verdict(plan, dangers, problems),
        problems=problems,
        dangers=tuple(dangers),
        changes=tuple(changes),
        details=_details(plan),
        counts=dict(sorted(Counter(step.op for step in plan.steps).items())),
        does=count_components(plan),
        notes=comparison.notes,
        digest=""
        if problems
        else digest(plan, of_steps, comparison.findings if comparison.complete else None),
    )


def _survived_error(name: str) -> Change:
    text = ("A provider logged an error and the run continued; see Pulumi's output for the message",)
    return Change(component=Component(what="resource", name=name or "(whole run)"), text=text)


def combined(reports: Sequence[Report], name: str) -> Report:
    """Return the reports on several stacks as one, in which each finding names its stack.

    Args:
        reports: one report for each stack.
        name: name of the whole group of stacks.
    """
    dangers = sorted(
        (
            replace(danger, component=replace(danger.component, stack=one.stack))
            for one in reports
            for danger in one.dangers
        ),
        key=lambda danger: (_KINDS.index(danger.kind), danger.component, plain(danger.text), danger.code),
    )
    changes = sorted(
        (
            replace(change, component=replace(change.component, stack=one.stack))
            for one in reports
            for change in one.changes
        ),
        key=lambda change: (change.component, plain(change.text)),
    )
    problems = tuple(
        ("stack ", Name(one.stack), ": ", *problem) for one in reports for problem in one.problems
    )
    does: Counter[tuple[str, str]] = Counter()
    counts: Counter[str] = Counter()
    for one in reports:
        does.update(one.does)
        counts.update(one.counts)
    return Report(
        stack=name,
        preview=all(one.preview for one in reports),
        verdict=verdict_for(does, dangers, problems),
        problems=problems,
        dangers=tuple(dangers),
        changes=tuple(changes),
        details=tuple(replace(detail, stack=one.stack) for one in reports for detail in one.details),
        counts=dict(sorted(counts.items())),
        does=does,
        stacks=tuple(reports),
        digest=of_several({one.stack: one.digest for one in reports}),
        notes=tuple(("stack ", Name(one.stack), ": ", *note) for one in reports for note in one.notes),
    )


def _stack_of(reading: Reading) -> str:
    return reading.steps[0]["urn"].split("::")[0].rpartition(":")[2] if reading.steps else ""


def _details(plan: Plan) -> tuple[Detail, ...]:
    return tuple(
        Detail(op=step.op, urn=step.urn, type=step.type, name=step.name, properties=step.properties)
        for step in plan.steps
        if step.op != "same"
    )
