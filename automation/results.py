"""What an operation did, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from automation.secrecy import with_markers

Kind = Literal["preview", "up", "refresh", "destroy"]

_STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One step on one resource.

    Attributes:
        operation: Pulumi's name of it: create, update, delete, replace, create-replacement ...
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
        kind, stack: what was done, to which stack.
        counts: operation to how many resources, as the engine's summary has it; `same` included.
        changes: the steps that change something, in the engine's order; a preview's are those to come.
        duration_seconds: from the call until the engine ended, its start and any wait for a place included.
        outputs: the stack's outputs after an up; empty for the others. Secret ones are `automation.SECRET`.
        warnings: what the program or a provider warned about; of an operation that succeeded also what a
            provider logged as an error, such as an invoke's that found nothing.
        engine_events: the engine's events, one mapping each, as `pulumi --event-log` writes them
            (apitype.EngineEvent), without those of severity debug.
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
    """One entry of a stack's history. `version` is absent where the backend counts none."""

    kind: str
    result: str
    started: datetime
    ended: datetime | None
    version: int | None
    counts: Mapping[str, int]
    message: str


def result_of(kind: Kind, stack: str, events: Sequence[Mapping[str, Any]], seconds: float) -> Result:
    """What these events say that was done; they may end anywhere."""
    summaries = [event["summaryEvent"] for event in events if "summaryEvent" in event]
    changes = tuple(
        change
        for event in events
        if "resourcePreEvent" in event
        for change in [change_of(event["resourcePreEvent"]["metadata"])]
        if _changes(change)
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
        warnings=(*_said(events, "warning"), *survived(events)),
        engine_events=tuple(events),
    )


def survived(events: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what was logged as an error in an operation that succeeded all the same; nothing of another."""
    summaries = [event["summaryEvent"] for event in events if "summaryEvent" in event]
    if not summaries or summaries[-1].get("result") != "succeeded":
        return ()
    return _said(events, "error")


def _said(events: Sequence[Mapping[str, Any]], severity: str) -> tuple[str, ...]:
    diagnostics = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    return tuple(
        str(diagnostic["message"]).strip()
        for diagnostic in diagnostics
        if diagnostic.get("severity") == severity
    )


def change_of(metadata: Mapping[str, Any]) -> Change:
    """A step's metadata as the engine writes it."""
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
    """The resource's logical name: the last part of its URN."""
    return urn.rpartition("::")[2]


def _refreshed(events: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """What a refresh found different: known only after each read."""
    found = [
        change_of(event["resOutputsEvent"]["metadata"]) for event in events if "resOutputsEvent" in event
    ]
    return tuple(change for change in found if _changes(change))


def _changes(change: Change) -> bool:
    """Default providers are the engine's own affair: its counts leave them out too."""
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


# How the engine marks a special value in JSON, and which of them is a secret.
_SIGNATURE = "4dabf18193072939515e22adb298388d"


def _plain(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """An event's value as `pulumi stack output --json` shows it."""
    if isinstance(value, dict):
        if _SIGNATURE in value and "ciphertext" in value:
            return value["ciphertext"]
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
