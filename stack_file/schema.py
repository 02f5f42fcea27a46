"""Print a JSON Schema.

python -m stack_file.schema > stack-file.schema.json
python -m stack_file.schema declarations > declarations.schema.json
"""

import json
import sys
from typing import Any

from stack_file.include import SECTIONS
from stack_file.top_level import StackFile

PROJECT = "aws-secrets"
STACK_FILE = "stack-file.schema.json"


def _or_quoted(described: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that also accepts quoted numbers and booleans, as `pulumi config set` writes them."""
    patterns = {"integer": "^[0-9]+$", "boolean": "^(true|false)$"}
    pattern = patterns.get(described.get("type", ""))
    if pattern is None:
        return described
    return {
        "description": described["description"],
        "anyOf": [described, {"type": "string", "pattern": pattern}],
    }


def stack_file_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a whole Pulumi.STACK.yaml of this project."""
    structure = StackFile.model_json_schema(by_alias=True)
    # Pulumi's own keys, other packages' keys and secret config values stay unrestricted
    config = {
        "type": "object",
        "properties": {
            f"{PROJECT}:{key}": _or_quoted(described) for key, described in structure["properties"].items()
        },
        # a stack has at least one of these
        "anyOf": [{"required": [f"{PROJECT}:{key}"]} for key in (*SECTIONS, "include", "pipeline")],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Stack file of {PROJECT}",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
        "$defs": structure["$defs"],
    }


def declarations_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file that a stack file includes; it refers to that of stack files."""
    structure = f"{STACK_FILE}#/properties/config/properties"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Declarations that a stack file of {PROJECT} includes",
        "type": "object",
        "properties": {section: {"$ref": f"{structure}/{PROJECT}:{section}"} for section in SECTIONS},
        "additionalProperties": False,
    }


if __name__ == "__main__":
    wanted = declarations_schema() if sys.argv[1:] == ["declarations"] else stack_file_schema()
    sys.stdout.write(json.dumps(wanted, indent=2) + "\n")
