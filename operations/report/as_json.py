"""Render a report as JSON, for programs."""

import json

from operations.report.model import Finding, Name, Report, Text, labels
from operations.report.terminal import in_words

# Fields may be added within a version; none is removed or changes its meaning.
VERSION = 1


def as_json(report: Report) -> str:
    """Return the report as one JSON document in ASCII, as docs/preview.md describes it."""
    document = {
        "version": VERSION,
        "stack": report.stack,
        "preview": report.preview,
        "complete": report.complete,
        "verdict": in_words(report.verdict),
        "problems": [in_words(problem) for problem in report.problems],
        "dangers": [
            {
                "kind": danger.kind.value,
                **_finding(danger, report),
                **({"code": list(danger.code)} if danger.code else {}),
            }
            for danger in report.dangers
        ],
        "changes": [_finding(change, report) for change in report.changes],
        "resources": [
            {
                "op": detail.op,
                "urn": detail.urn,
                "type": detail.type,
                "name": detail.name,
                "properties": list(detail.properties),
                **_stack(detail.stack),
            }
            for detail in report.details
        ],
        "counts": dict(report.counts),
        "notes": [in_words(note) for note in report.notes],
        "unchanged": report.unchanged,
        "labels": list(labels(report)),
        "digest": report.digest,
    }
    if report.stacks:
        document["stacks"] = [
            {
                "stack": one.stack,
                "complete": one.complete,
                "verdict": in_words(one.verdict),
                "counts": dict(one.counts),
            }
            for one in report.stacks
        ]
    # GitHub reads "##[" anywhere in a line as a workflow command; \u0023 is the same character in JSON
    return json.dumps(document, indent=2).replace("##", "#\\u0023") + "\n"


def _finding(finding: Finding, report: Report) -> dict[str, object]:
    return {
        "component": {
            "what": finding.component.what,
            "name": finding.component.name,
            **_stack(finding.component.stack),
        },
        "text": in_words(finding.text),
        "names": _names(finding.text),
        **({"new": report.is_new(finding)} if report.since and report.since.known else {}),
    }


def _stack(name: str) -> dict[str, str]:
    return {"stack": name} if name else {}


def _names(text: Text) -> list[str]:
    return [part.text for part in text if isinstance(part, Name)]
