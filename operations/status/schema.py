"""Print the JSON output's schema: `python -m operations status schema > docs/status.schema.json`."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from operations.status.model import VERSION, Status


def status_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12); unknown fields are allowed, because a version may gain fields."""
    schema = TypeAdapter(Status).json_schema(mode="serialization", by_alias=True)
    schema["properties"]["version"] = {"const": VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Status of a stack's secrets",
    }


def main(arguments: Sequence[str]) -> int:
    """Print the schema; return the exit code."""
    argparse.ArgumentParser(
        prog="python -m operations status schema",
        description="Print the JSON Schema of `python -m operations status --json`.",
    ).parse_args(arguments)
    sys.stdout.write(json.dumps(status_schema(), indent=2) + "\n")
    return 0
