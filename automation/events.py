"""The engine's event log, as data and as typed progress."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from automation.results import change_of
from automation.secrecy import Redactor

Severity = Literal["info", "warning", "error"]

# The engine marks colours in diagnostics, for a terminal to show them.
_COLOUR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class StepStarted:
    """The engine begins a step on a resource; in a preview, it plans one."""

    operation: str
    urn: str
    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """The step is done and recorded; in a preview, it is planned."""

    operation: str
    urn: str
    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class StepFailed:
    """The step failed; a `Message` of severity error says why."""

    operation: str
    urn: str
    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """What the engine, a provider or the program says. `urn` is empty where it is about no resource."""

    severity: Severity
    text: str
    urn: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The engine has ended, with these counts by operation."""

    counts: Mapping[str, int]


Progress = StepStarted | StepDone | StepFailed | Message | Ended

_STEPS: Mapping[str, type[StepStarted | StepDone | StepFailed]] = {
    "resourcePreEvent": StepStarted,
    "resOutputsEvent": StepDone,
    "resOpFailedEvent": StepFailed,
}


def progress_of(event: Mapping[str, Any]) -> Progress | None:
    """One event in typed form; None for those that tell a caller nothing."""
    for key, made in _STEPS.items():
        if key in event:
            change = change_of(event[key]["metadata"])
            return made(operation=change.operation, urn=change.urn, type=change.type, name=change.name)
    if "diagnosticEvent" in event:
        said = event["diagnosticEvent"]
        severity = said.get("severity")
        if severity == "info#err":
            severity = "info"
        text = said_by(said)
        if severity in {"info", "warning", "error"} and text and not said.get("ephemeral"):
            return Message(severity=severity, text=text, urn=said.get("urn", ""))
    if "stdoutEvent" in event:
        text = said_by(event["stdoutEvent"])
        return Message(severity="info", text=text, urn="") if text else None
    if "summaryEvent" in event:
        return Ended(counts=dict(event["summaryEvent"].get("resourceChanges") or {}))
    return None


def said_by(diagnostic: Mapping[str, Any]) -> str:
    """The words of a diagnostic event, without colours."""
    return without_colours(str(diagnostic.get("message", ""))).strip()


def without_colours(text: str) -> str:
    """The text without the engine's marks and a terminal's sequences for colours."""
    return _COLOUR.sub("", text)


@dataclass(frozen=True)
class EventLog:
    """A log that the engine writes. No value that the redactor knows comes out of it."""

    file: Path
    redactor: Redactor

    def begun(self) -> bool:
        """Whether the engine has written something."""
        return self.file.exists() and self.file.stat().st_size > 0

    def whole_lines(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """The events from this offset in bytes, and the offset behind them. A line without end yet waits."""
        text = self._text(offset)
        whole = text[: text.rfind(b"\n") + 1]
        return self._told(map(_parsed, whole.splitlines())), offset + len(whole)

    def all(self) -> tuple[list[dict[str, Any]], bool]:
        """All events, and whether they are complete: from the engine's first to its last, none cut off."""
        lines = [_parsed(line) for line in self._text(0).splitlines()]
        complete = (
            bool(lines)
            and None not in lines
            and (lines[0] or {}).get("sequence") == 0
            and "cancelEvent" in (lines[-1] or {})
        )
        return self._told(lines), complete

    def _text(self, offset: int) -> bytes:
        try:
            with self.file.open("rb") as opened:
                opened.seek(offset)
                return opened.read()
        except FileNotFoundError:
            return b""

    def _told(self, events: Iterable[dict[str, Any] | None]) -> list[dict[str, Any]]:
        return [
            self.redactor.data(event)
            for event in events
            if event is not None and event.get("diagnosticEvent", {}).get("severity") != "debug"
        ]


def _parsed(line: bytes) -> dict[str, Any] | None:
    """None for a line that was cut off."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
