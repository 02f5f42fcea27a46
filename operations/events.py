"""The engine's event log, as data and as typed progress events."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from operations.results import change_of
from operations.secrecy import Redactor

Severity = Literal["info", "warning", "error"]

# The engine's colour markup, and the escape sequences that it becomes on a terminal.
_COLOUR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class StepStarted:
    """The engine began a step on a resource; in a preview, it planned one."""

    operation: str
    urn: str
    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """The step succeeded and is recorded in the state; in a preview, it is planned."""

    operation: str
    urn: str
    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class StepFailed:
    """The step failed. A `Message` of severity error has the cause."""

    operation: str
    urn: str
    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of the engine, a provider or the program. `urn` is empty if it concerns no resource."""

    severity: Severity
    text: str
    urn: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The engine ended; `counts` has the number of resources by operation."""

    counts: Mapping[str, int]


Progress = StepStarted | StepDone | StepFailed | Message | Ended

_STEPS: Mapping[str, type[StepStarted | StepDone | StepFailed]] = {
    "resourcePreEvent": StepStarted,
    "resOutputsEvent": StepDone,
    "resOpFailedEvent": StepFailed,
}


def progress_of(event: Mapping[str, Any]) -> Progress | None:
    """Return an engine event in typed form; None if it is not progress."""
    for key, step in _STEPS.items():
        if key in event:
            change = change_of(event[key]["metadata"])
            return step(operation=change.operation, urn=change.urn, type=change.type, name=change.name)
    if "diagnosticEvent" in event:
        diagnostic = event["diagnosticEvent"]
        severity = diagnostic.get("severity")
        if severity == "info#err":
            severity = "info"
        text = text_of(diagnostic)
        if severity in {"info", "warning", "error"} and text and not diagnostic.get("ephemeral"):
            return Message(severity=severity, text=text, urn=diagnostic.get("urn", ""))
    if "stdoutEvent" in event:
        text = text_of(event["stdoutEvent"])
        return Message(severity="info", text=text, urn="") if text else None
    if "summaryEvent" in event:
        return Ended(counts=dict(event["summaryEvent"].get("resourceChanges") or {}))
    return None


def without_repetitions(progress: Iterable[Progress]) -> Iterator[Progress]:
    """Yield each finished step once: a preview reports a component again once its outputs are known."""
    done = set()
    for event in progress:
        if isinstance(event, StepDone):
            if event in done:
                continue
            done.add(event)
        yield event


def text_of(diagnostic: Mapping[str, Any]) -> str:
    """Return the message of a diagnostic event, without colours."""
    return without_colours(str(diagnostic.get("message", ""))).strip()


def without_colours(text: str) -> str:
    """Return the text without colour markup and terminal colour sequences."""
    return _COLOUR.sub("", text)


@dataclass(frozen=True)
class EventLog:
    """The engine's event log, read with known secret values redacted."""

    file: Path
    redactor: Redactor

    def begun(self) -> bool:
        """Return whether the engine has written to the log."""
        return self.file.exists() and self.file.stat().st_size > 0

    def whole_lines(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return the complete events from a byte offset on, and the offset after them."""
        text = self._read(offset)
        whole = text[: text.rfind(b"\n") + 1]
        return self._redacted(map(_parsed, whole.splitlines())), offset + len(whole)

    def all(self) -> tuple[list[dict[str, Any]], bool]:
        """Return all events, and whether the log is complete, from the engine's first event to its last."""
        lines = [_parsed(line) for line in self._read(0).splitlines()]
        complete = (
            bool(lines)
            and None not in lines
            and (lines[0] or {}).get("sequence") == 0
            and "cancelEvent" in (lines[-1] or {})
        )
        return self._redacted(lines), complete

    def _read(self, offset: int) -> bytes:
        try:
            with self.file.open("rb") as opened:
                opened.seek(offset)
                return opened.read()
        except FileNotFoundError:
            return b""

    def _redacted(self, events: Iterable[dict[str, Any] | None]) -> list[dict[str, Any]]:
        return [
            self.redactor.data(event)
            for event in events
            if event is not None and event.get("diagnosticEvent", {}).get("severity") != "debug"
        ]


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line; None for a truncated line."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
