"""From the engine's events to a report."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from automation.report.digest import digest, of_several
from automation.report.events import Event, Reading, read
from automation.report.judging import findings
from automation.report.live import Sides, Snapshot, compare
from automation.report.model import Change, Component, Danger, Detail, Kind, Name, Report, Text, plain
from automation.report.steps import Plan, merged
from automation.report.verdict import done, verdict, worded

_KINDS = list(Kind)


def report(
    events: Iterable[Event | None],
    stack: str = "",
    origin: Sequence[Danger] = (),
    doubts: Sequence[Text] = (),
    *,
    live: Snapshot | None = None,
) -> Report:
    """What a preview or an update does.

    Args:
        events: as `pulumi preview --event-log FILE` writes them, one JSON object a line, and as the
            Automation API has them; None for one that cannot be read. Of several runs the last counts.
        stack: its name, where the events are too few to have it.
        origin: what makes the events themselves doubtful.
        doubts: why the report is incomplete, whatever the events are.
        live: what AWS has now (`automation.report.live.asking.snapshot`); None to compare the stack file with
            Pulumi's state alone.

    Returns:
        The report; the same for the same steps in whatever order the engine took them. A log that is cut
        off or damaged makes an incomplete report, never an exception.
    """
    reading = read(events)
    plan, more_problems = merged(reading.steps)
    problems = (*doubts, *reading.problems, *more_problems)
    meaning = list(findings(plan))
    found = [*meaning, *map(_went_on, reading.went_on)]
    sides = compare(plan, found, live) if live else Sides()
    found += sides.findings
    dangers = sorted(
        {finding: None for finding in (*origin, *found) if isinstance(finding, Danger)},
        key=lambda danger: (_KINDS.index(danger.kind), danger.component, plain(danger.text), danger.code),
    )
    changes = sorted(
        {finding: None for finding in found if isinstance(finding, Change)},
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
        does=done(plan),
        notes=sides.notes,
        digest="" if problems else digest(plan, meaning, sides.findings if sides.complete else None),
    )


def _went_on(name: str) -> Change:
    text = ("A provider logged an error, and the run went on; the log of pulumi has it",)
    return Change(component=Component(what="resource", name=name or "of the whole run"), text=text)


def combined(reports: Sequence[Report], name: str) -> Report:
    """Reports of several stacks as one: each finding with its stack, the dangers of all of them first.

    Args:
        reports: each of one stack, whose `stack` is known.
        name: what the stacks are together.
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
        verdict=worded(does, dangers, problems),
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
