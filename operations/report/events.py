"""Read the engine's events from a log that may be truncated or damaged."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.report.model import Name, Text, counted

Event = Mapping[str, Any]

# Source: pulumi/sdk, apitype.EngineEvent. Events of other types describe no change.
_STEP, _FAILED_STEP = "resourcePreEvent", "resOpFailedEvent"
# The summary counts logical steps, except those of providers (pulumi/pkg, deploy.Display).
_UNCOUNTED = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The last run in a log.

    Attributes:
        steps: metadata of each step, in order.
        problems: why steps may be missing.
        preview: False for an update.
        survived_errors: names of the resources that errors were logged about in a run that succeeded; an
            empty name stands for the run itself.
    """

    steps: tuple[Mapping[str, Any], ...]
    problems: tuple[Text, ...]
    preview: bool
    survived_errors: tuple[str, ...] = ()


def parse_log(lines: Iterable[bytes]) -> Iterator[Event | None]:
    """Yield the events of a log file, and None for each line that is not an event."""
    for line in lines:
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            yield None
        else:
            yield event if isinstance(event, dict) else None


def read(events: Iterable[Event | None]) -> Reading:
    """Collect the steps of the last run, and every sign that the log is incomplete."""
    run: list[Event] = []
    unreadable = 0
    for event in events:
        if event is None:
            unreadable += 1
        elif "preludeEvent" in event:  # begins a run: `pulumi up` logs its preview before the update
            run = [event]
        else:
            run.append(event)
    steps, malformed = _steps(run)
    summary = next((event["summaryEvent"] for event in reversed(run) if "summaryEvent" in event), None)
    problems = [
        *_unreadable(unreadable + malformed),
        *_unfinished(summary, steps),
        *_failures(run, summary),
    ]
    preview = summary.get("isPreview") if isinstance(summary, Mapping) else None
    return Reading(
        steps=tuple(steps),
        problems=tuple(problems),
        preview=preview is not False,
        survived_errors=_survived_errors(run, summary),
    )


def _steps(run: Iterable[Event]) -> tuple[list[Mapping[str, Any]], int]:
    steps, malformed = [], 0
    for event in run:
        if _STEP not in event:
            continue
        metadata = event[_STEP].get("metadata") if isinstance(event[_STEP], Mapping) else None
        if isinstance(metadata, Mapping) and _is_valid(metadata):
            steps.append(metadata)
        else:
            malformed += 1
    return steps, malformed


def _is_valid(metadata: Mapping[str, Any]) -> bool:
    states = [metadata.get(side) for side in ("old", "new")]
    return (
        all(isinstance(metadata.get(key), str) for key in ("op", "urn", "type"))
        and metadata["urn"].count("::") >= 3  # noqa: PLR2004  urn:pulumi:STACK::PROJECT::TYPES::NAME
        and any(state is not None for state in states)
        and all(state is None or _is_state(state) for state in states)
        and isinstance(metadata.get("detailedDiff") or {}, Mapping)
        and all(isinstance(metadata.get(key) or [], list) for key in ("diffs", "keys"))
    )


def _is_state(state: object) -> bool:
    return isinstance(state, Mapping) and all(
        isinstance(state.get(key) or {}, Mapping) for key in ("inputs", "outputs")
    )


def _unreadable(number: int) -> Iterator[Text]:
    if number:
        yield (f"{counted(number, 'event')} in the log cannot be read",)


def _unfinished(summary: object, steps: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    if not isinstance(summary, Mapping) or not isinstance(summary.get("resourceChanges"), Mapping):
        yield ("the log ends before the engine finished",)
        return
    if summary.get("result") not in {None, "succeeded"} or {step["op"] for step in steps} == {"refresh"}:
        return  # reported elsewhere, and the counts differ
    actual: dict[str, int] = {}
    for step in steps:
        if step.get("logical") and not step["type"].startswith(_UNCOUNTED):
            actual[step["op"]] = actual.get(step["op"], 0) + 1
    expected = {op: number for op, number in summary["resourceChanges"].items() if number}
    if actual != expected:
        yield ("the steps in the log do not match the engine's summary",)


def _errors(run: Iterable[Event]) -> set[str]:
    """Return the URNs of the resources that errors were logged about."""
    diagnostics = [event.get("diagnosticEvent") for event in run]
    return {
        str(diagnostic.get("urn") or "")
        for diagnostic in diagnostics
        if isinstance(diagnostic, Mapping) and diagnostic.get("severity") == "error"
    }


def _result(summary: object) -> object:
    return summary.get("result") if isinstance(summary, Mapping) else None


def _survived_errors(run: Iterable[Event], summary: object) -> tuple[str, ...]:
    """Return the names of resources with errors in a run that succeeded, such as a failed invoke."""
    if _result(summary) != "succeeded":
        return ()
    return tuple(sorted(urn.split("::", 3)[-1] if urn.count("::") >= 3 else "" for urn in _errors(run)))  # noqa: PLR2004  as above


def _failures(run: Sequence[Event], summary: object) -> Iterator[Text]:
    """Yield which resources failed. Error messages may hold anything, so they stay in the log."""
    failed = set() if _result(summary) == "succeeded" else _errors(run)
    for event in run:
        step = event.get(_FAILED_STEP)
        if isinstance(step, Mapping) and isinstance(step.get("metadata"), Mapping):
            failed.add(str(step["metadata"].get("urn") or ""))
    if _result(summary) not in {None, "succeeded"} or failed:
        names = sorted(urn.split("::", 3)[-1] for urn in failed if urn.count("::") >= 3)  # noqa: PLR2004  as above
        yield (
            "the run failed",
            *((" at ", *_named(names)) if names else ()),
            "; see Pulumi's output for the reason, which this report does not repeat",
        )


def _named(names: list[str]) -> Text:
    first, *others = names
    return (Name(first), *((f" and {len(others)} more",) if others else ()))
