"""Output for people. Progress goes to stderr: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from components.visible import visible, visible_lines
from operations import events, results
from operations.results import Result, UpdateRecord

_NOTHING_CHANGES = {"same", "read", "refresh"}


def follow_named(name: str, progress: Iterable[events.Progress]) -> None:
    """Print progress until it ends, in lines prefixed with a name. Several threads may do so at once."""
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    for event in progress:
        for line in _lines(event):
            console.print(f"[{visible(name)}] {line}")


def follow(progress: Iterable[events.Progress], total: int | None) -> None:
    """Print progress until it ends.

    Args:
        progress: progress events of an operation.
        total: number of resources, if known.
    """
    # no markup: rich would take "[secret]" for a style
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    if console.is_terminal:
        _bar(console, progress, total)
        return
    for event in progress:
        for line in _lines(event):
            console.print(line)


def _bar(console: Console, progress: Iterable[events.Progress], total: int | None) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=total)
        for event in progress:
            for line in _lines(event):
                bar.console.print(line)
            if isinstance(event, events.StepStarted):
                bar.update(task, description=visible(event.name))
            elif isinstance(event, (events.StepDone, events.StepFailed)):
                bar.advance(task)


def _lines(event: events.Progress) -> list[str]:
    if isinstance(event, events.StepDone) and event.operation not in _NOTHING_CHANGES:
        return [visible(f"{event.operation} {event.name} ({event.type})")]
    if isinstance(event, events.StepFailed):
        return [visible(f"FAILED: {event.operation} {event.name} ({event.type})")]
    if isinstance(event, events.Message) and event.severity != "error":  # errors are printed at the end
        return [f"{event.severity}: {visible_lines(event.text)}"]
    return []


def print_non_fatal_errors(result: Result) -> None:
    """Print to stderr, as warnings, the errors that were logged during an operation that succeeded."""
    for text in results.non_fatal_errors(result.engine_events):
        sys.stderr.write(f"warning: {visible_lines(events.without_colours(text))}\n")


def summary(result: Result) -> str:
    """Return one line with the number of changes and the duration."""
    changed = {name: count for name, count in result.counts.items() if name not in _NOTHING_CHANGES}
    counts = ", ".join(f"{count} {operation}" for operation, count in sorted(changed.items()))
    unchanged = sum(result.counts.values()) - sum(changed.values())
    changes = f"{counts or 'no changes'}; {unchanged} unchanged"
    return f"{result.kind} of stack {result.stack}: {changes} ({result.duration_seconds:.1f} s)"


def history(records: Sequence[UpdateRecord]) -> str:
    """Return a stack's history as a table."""
    table = Table("started", "kind", "result", "changes", box=None, pad_edge=False)
    for record in records:
        counts = ", ".join(f"{count} {operation}" for operation, count in sorted(record.counts.items()))
        table.add_row(f"{record.started:%Y-%m-%d %H:%M:%S %Z}", record.kind, record.result, counts)
    console = Console(markup=False, highlight=False, width=120)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())
