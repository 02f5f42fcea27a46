"""What `--json` prints, in Pulumi's habit: camelCase keys."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from automation import errors
from automation.report.as_json import as_json
from automation.results import Result, UpdateRecord
from automation.secrecy import without_markers


def written(document: object) -> str:
    """Return a document as JSON that steers no terminal and holds no workflow command, whatever is in it."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(
            one if one.isprintable() or one == "\n" else json.dumps(one).strip('"') for one in text
        )
    return text.replace("##", "#\\u0023")  # only within texts of JSON


def of_result(result: Result) -> dict[str, Any]:
    """Everything but the engine's events."""
    return {
        "kind": result.kind,
        "stack": result.stack,
        "counts": dict(result.counts),
        "changes": [{**asdict(change), "properties": list(change.properties)} for change in result.changes],
        "durationSeconds": round(result.duration_seconds, 3),
        "outputs": of_outputs(result.outputs),
        "warnings": list(result.warnings),
    }


def of_outputs(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """With `[secret]` for what is secret, as the CLI shows it."""
    return {name: without_markers(value) for name, value in outputs.items()}


def of_record(record: UpdateRecord) -> dict[str, Any]:
    """One entry of the history; times in ISO 8601."""
    return {
        "kind": record.kind,
        "result": record.result,
        "started": record.started.isoformat(),
        "ended": record.ended.isoformat() if record.ended else None,
        "version": record.version,
        "counts": dict(record.counts),
        "message": record.message,
    }


def of_error(error: errors.AutomationError) -> dict[str, Any]:
    """`{"error": {"type", "message", ...}}`; under `done` what was done before it."""
    about: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, errors.BadSettings):
        about["mistakes"] = [asdict(mistake) for mistake in error.mistakes]
    if isinstance(error, errors.Conflict):
        about["holders"] = [_json_of(asdict(holder)) for holder in error.holders]
    if isinstance(error, errors.ProviderFailure):
        about["failures"] = [asdict(failure) for failure in error.failures]
    if isinstance(error, errors.NotReviewed):
        about["report"] = json.loads(as_json(error.report))
    return {"error": about, "done": of_result(error.done) if error.done else None}


def _json_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in fields.items()}
