"""Render a report as plain text, for a terminal."""

import itertools
from collections.abc import Iterator

from operations.report.model import Component, Detail, Name, Report, Text, counted
from operations.report.names import code_lines, visible
from operations.report.verdict import phrase


def terminal(report: Report) -> str:
    """Return the whole report as text; names in it cannot control the terminal."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    what = "Preview" if report.preview else "Update"
    stack = f" of {visible(report.stack)}" if report.stack else ""
    if report.stacks:
        stack += f" in {counted(len(report.stacks), 'stack')}"
    yield f"{what}{stack}: {in_words(report.verdict)}."
    yield from (f"{in_words(note)}." for note in report.notes)
    if report.problems:
        yield from ("", "Incomplete")
        yield from (f"  {in_words(problem)}" for problem in report.problems)
    if report.dangers:
        yield from ("", "Dangers (see docs/preview.md for what to do)")
        for kind, of_kind in itertools.groupby(report.dangers, key=lambda danger: danger.kind):
            dangers = list(of_kind)
            yield f"  {phrase(kind, len(dangers))}"
            for danger in dangers:
                new = "new: " if report.is_new(danger) else ""
                yield f"    {new}{_component(danger.component)}: {in_words(danger.text)}"
                yield from (f"      | {line}" for code in danger.code for line in code_lines(code))
    if report.changes:
        yield from ("", "Other changes" if report.dangers else "Changes")
        for component, changes in itertools.groupby(report.changes, key=lambda change: change.component):
            yield f"  {_component(component)}"
            yield from (
                f"    {'new: ' if report.is_new(change) else ''}{in_words(change.text)}" for change in changes
            )
    if report.details:
        yield from ("", "Resources")
        yield from map(_detail, report.details)
    if report.digest:
        yield from ("", f"Digest: {report.digest}")


def _detail(detail: Detail) -> str:
    properties = f": {', '.join(map(visible, detail.properties))}" if detail.properties else ""
    return f"  {_in(detail.stack)}{detail.op} {visible(detail.type)} {visible(detail.name)}{properties}"


def _component(component: Component) -> str:
    return f"{_in(component.stack)}{component.what} {visible(component.name)}"


def _in(stack: str) -> str:
    return f"{visible(stack)}: " if stack else ""


def in_words(text: Text) -> str:
    """Return a text as one line, with harmless names."""
    return "".join(visible(part.text) if isinstance(part, Name) else str(part) for part in text)
