"""The JSON Schema of stack files, for editors: `python -m settings.schema > stack-file.schema.json`."""

import json
import sys
from typing import Any

from settings.stack_file import StackFile

PROJECT = "aws-secrets"


def _or_quoted(described: dict[str, Any]) -> dict[str, Any]:
    """`pulumi config set` writes numbers and booleans in quotes; they are read as what they are."""
    patterns = {"integer": "^[0-9]+$", "boolean": "^(true|false)$"}
    pattern = patterns.get(described.get("type", ""))
    if pattern is None:
        return described
    return {
        "description": described["description"],
        "anyOf": [described, {"type": "string", "pattern": pattern}],
    }


def stack_file_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole Pulumi.STACK.yaml of this project."""
    structure = StackFile.model_json_schema(by_alias=True)
    # Pulumi's own keys, other packages' keys and the values that {config: ...} names stay free
    config = {
        "type": "object",
        "properties": {
            f"{PROJECT}:{key}": _or_quoted(described) for key, described in structure["properties"].items()
        },
        # a stack has one of these at least
        "anyOf": [
            {"required": [f"{PROJECT}:{key}"]} for key in ("secrets", "databases", "workloads", "pipeline")
        ],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Stack file of {PROJECT}",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
        "$defs": structure["$defs"],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(stack_file_schema(), indent=2) + "\n")
