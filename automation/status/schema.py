"""The JSON Schema of the JSON output: `python -m automation.status.schema > docs/status.schema.json`."""

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from automation.status.model import VERSION, Status


def status_schema() -> dict[str, Any]:
    """JSON Schema (2020-12). Fields may be added to a version, so unknown ones are allowed."""
    schema = TypeAdapter(Status).json_schema(mode="serialization", by_alias=True)
    schema["properties"]["version"] = {"const": VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Status of a stack's secrets",
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(status_schema(), indent=2) + "\n")
