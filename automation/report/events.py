"""The engine's events, from a log that may have been cut off or damaged."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automation.report.model import Name, Text

Event = Mapping[str, Any]

# Source: pulumi/sdk, apitype.EngineEvent: an event has one of these; others carry nothing that changes.
_STEP, _FAILED_STEP = "resourcePreEvent", "resOpFailedEvent"
# A summary counts the steps that stand for a resource, without providers (pulumi/pkg, deploy.Display).
_UNCOUNTED = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a log holds of its last run.

    Attributes:
        steps: metadata of each step, in their order.
        problems: why something may be missing.
        preview: False for an update.
        went_on: what a provider or the program logged an error about in a run that succeeded: names, empty
            for the run itself.
    """

    steps: tuple[Mapping[str, Any], ...]
    problems: tuple[Text, ...]
    preview: bool
    went_on: tuple[str, ...] = ()


def parsed(lines: Iterable[bytes]) -> Iterator[Event | None]:
    """The events of a log file, None for each line that is none."""
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
    """Collects the steps of the last run, and all that speaks against their being all."""
    run: list[Event] = []
    unreadable = 0
    for event in events:
        if event is None:
            unreadable += 1
        elif "preludeEvent" in event:  # `pulumi up` writes its preview before the update
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
        went_on=_went_on(run, summary),
    )


def _steps(run: Iterable[Event]) -> tuple[list[Mapping[str, Any]], int]:
    steps, malformed = [], 0
    for event in run:
        if _STEP not in event:
            continue
        metadata = event[_STEP].get("metadata") if isinstance(event[_STEP], Mapping) else None
        if isinstance(metadata, Mapping) and _has_the_engines_form(metadata):
            steps.append(metadata)
        else:
            malformed += 1
    return steps, malformed


def _has_the_engines_form(metadata: Mapping[str, Any]) -> bool:
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
        yield (f"{number} of the log's events cannot be read",)


def _unfinished(summary: object, steps: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    if not isinstance(summary, Mapping) or not isinstance(summary.get("resourceChanges"), Mapping):
        yield ("the log ends before the engine was done",)
        return
    if summary.get("result") not in {None, "succeeded"} or {step["op"] for step in steps} == {"refresh"}:
        return  # said elsewhere; the counts are others then
    found: dict[str, int] = {}
    for step in steps:
        if step.get("logical") and not step["type"].startswith(_UNCOUNTED):
            found[step["op"]] = found.get(step["op"], 0) + 1
    counted = {op: number for op, number in summary["resourceChanges"].items() if number}
    if counted != found:
        yield ("the log lacks steps that the engine counted",)


def _errors(run: Iterable[Event]) -> set[str]:
    """URNs that errors were logged about."""
    abouts = [event.get("diagnosticEvent") for event in run]
    return {
        str(about.get("urn") or "")
        for about in abouts
        if isinstance(about, Mapping) and about.get("severity") == "error"
    }


def _result(summary: object) -> object:
    return summary.get("result") if isinstance(summary, Mapping) else None


def _went_on(run: Iterable[Event], summary: object) -> tuple[str, ...]:
    """Errors in a run that succeeded, such as a provider's about an invoke that found nothing."""
    if _result(summary) != "succeeded":
        return ()
    return tuple(sorted(urn.split("::", 3)[-1] if urn.count("::") >= 3 else "" for urn in _errors(run)))  # noqa: PLR2004  as above


def _failures(run: Sequence[Event], summary: object) -> Iterator[Text]:
    """Who failed; why is in texts that nobody vouches for, so they stay in the log."""
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
            "; the reason is in the log of pulumi, which this report does not repeat",
        )


def _named(names: list[str]) -> Text:
    first, *others = names
    return (Name(first), *((f" and {len(others)} more",) if others else ()))
