"""The JSON documents of the command line, with camelCase keys as in Pulumi's own."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from operations import errors
from operations.report.as_json import as_json
from operations.results import Result, UpdateRecord
from operations.secrecy import without_markers


def render(document: object) -> str:
    """Return a document as JSON without terminal control sequences and workflow commands."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(
            one if one.isprintable() or one == "\n" else json.dumps(one).strip('"') for one in text
        )
    return text.replace("##", "#\\u0023")  # occurs only inside strings


def result_document(result: Result) -> dict[str, Any]:
    """Return a result without the engine's events."""
    return {
        "kind": result.kind,
        "stack": result.stack,
        "counts": dict(result.counts),
        "changes": [{**asdict(change), "properties": list(change.properties)} for change in result.changes],
        "durationSeconds": round(result.duration_seconds, 3),
        "outputs": outputs_document(result.outputs),
        "warnings": list(result.warnings),
    }


def outputs_document(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return stack outputs with `[secret]` in place of secret values, as the CLI prints them."""
    return {name: without_markers(value) for name, value in outputs.items()}


def record_document(record: UpdateRecord) -> dict[str, Any]:
    """Return an entry of a stack's history, with times in ISO 8601."""
    return {
        "kind": record.kind,
        "result": record.result,
        "started": record.started.isoformat(),
        "ended": record.ended.isoformat() if record.ended else None,
        "version": record.version,
        "counts": dict(record.counts),
        "message": record.message,
    }


def error_document(error: errors.OperationError) -> dict[str, Any]:
    """Return `{"error": {"type", "message", ...}, "done": ...}`; `done` is the partial result, or null."""
    document: dict[str, Any] = {"type": error.json_type, "message": str(error)}
    if isinstance(error, errors.InvalidConfigurationError):
        document["mistakes"] = [asdict(mistake) for mistake in error.mistakes]
    if isinstance(error, errors.ConcurrentUpdateError):
        document["holders"] = [_with_iso_times(asdict(holder)) for holder in error.holders]
    if isinstance(error, errors.ProviderError):
        document["failures"] = [asdict(failure) for failure in error.failures]
    if isinstance(error, errors.NotReviewedError):
        document["report"] = json.loads(as_json(error.report))
    return {"error": document, "done": result_document(error.done) if error.done else None}


def _with_iso_times(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in fields.items()}
