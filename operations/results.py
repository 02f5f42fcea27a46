"""Results of operations, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from operations import signatures
from operations.secrecy import with_markers

Kind = Literal["preview", "up", "refresh", "destroy"]

_STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A step on a resource.

    Attributes:
        operation: Pulumi's name of the step: create, update, delete, replace, create-replacement ...
        urn, type, name: the resource.
        properties: top-level properties that differ, in Pulumi's spelling.
    """

    operation: str
    urn: str
    type: str
    name: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished operation.

    Attributes:
        kind, stack: the operation and its stack.
        counts: number of resources by operation, as in the engine's summary; includes `same`.
        changes: steps that change a resource, in the engine's order; in a preview, planned ones.
        duration_seconds: time from the call until the engine ended, including the wait for a free slot.
        outputs: the stack's outputs after an up; empty otherwise. Secret values are `operations.SECRET`.
        warnings: warnings of the program and of providers. If the operation succeeded, also the errors that a
            provider logged, such as an invoke that found nothing.
        engine_events: the engine's events as `pulumi --event-log` writes them (apitype.EngineEvent), without
            debug diagnostics.
    """

    kind: Kind
    stack: str
    counts: Mapping[str, int]
    changes: tuple[Change, ...]
    duration_seconds: float
    outputs: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    engine_events: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class UpdateRecord:
    """An entry of a stack's history. `version` is None on backends without versions."""

    kind: str
    result: str
    started: datetime
    ended: datetime | None
    version: int | None
    counts: Mapping[str, int]
    message: str


def result_of(kind: Kind, stack: str, events: Sequence[Mapping[str, Any]], seconds: float) -> Result:
    """Return the result of an operation from its events, which may be truncated."""
    summaries = [event["summaryEvent"] for event in events if "summaryEvent" in event]
    changes = tuple(
        change
        for event in events
        if "resourcePreEvent" in event
        for change in [change_of(event["resourcePreEvent"]["metadata"])]
        if _is_change(change)
    )
    if kind == "refresh":
        changes = _refreshed(events)
    return Result(
        kind=kind,
        stack=stack,
        counts=dict(summaries[-1].get("resourceChanges") or {}) if summaries else _counted(changes),
        changes=changes,
        duration_seconds=seconds,
        outputs=_outputs(events) if kind == "up" else {},
        warnings=(*_messages(events, "warning"), *non_fatal_errors(events)),
        engine_events=tuple(events),
    )


def non_fatal_errors(events: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the errors that were logged during an operation that succeeded; none if it failed."""
    summaries = [event["summaryEvent"] for event in events if "summaryEvent" in event]
    if not summaries or summaries[-1].get("result") != "succeeded":
        return ()
    return _messages(events, "error")


def _messages(events: Sequence[Mapping[str, Any]], severity: str) -> tuple[str, ...]:
    diagnostics = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    return tuple(
        str(diagnostic["message"]).strip()
        for diagnostic in diagnostics
        if diagnostic.get("severity") == severity
    )


def change_of(metadata: Mapping[str, Any]) -> Change:
    """Return the change that a step's metadata describes."""
    detailed = metadata.get("detailedDiff") or {}
    properties = {path.partition(".")[0].partition("[")[0] for path in detailed}
    return Change(
        operation=metadata["op"],
        urn=metadata["urn"],
        type=metadata["type"],
        name=name_of(metadata["urn"]),
        properties=tuple(sorted(properties or metadata.get("diffs") or ())),
    )


def name_of(urn: str) -> str:
    """Return the logical name in a URN, which is its last part."""
    return urn.rpartition("::")[2]


def _refreshed(events: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """Return the changes that a refresh found, which are known only after each read."""
    changes = [
        change_of(event["resOutputsEvent"]["metadata"]) for event in events if "resOutputsEvent" in event
    ]
    return tuple(change for change in changes if _is_change(change))


def _is_change(change: Change) -> bool:
    """Return whether a step changes a resource. Default providers do not count, as in the engine's counts."""
    default_provider = change.type.startswith("pulumi:providers:") and change.name.startswith("default")
    return change.operation not in {"same", "read", "refresh"} and not default_provider


def _counted(changes: Sequence[Change]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.operation] = counts.get(change.operation, 0) + 1
    return counts


def _outputs(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    for event in reversed(events):
        metadata = event.get("resOutputsEvent", {}).get("metadata", {})
        if metadata.get("type") == _STACK_TYPE:
            outputs: dict[str, Any] = (metadata.get("new") or {}).get("outputs") or {}
            return {name: with_markers(_plain(value)) for name, value in outputs.items()}
    return {}


def _plain(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return a value of an event as `pulumi stack output --json` prints it."""
    if isinstance(value, dict):
        if signatures.KEY in value and "ciphertext" in value:
            return value["ciphertext"]
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
