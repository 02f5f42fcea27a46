"""The recorded schema of the official provider."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _recorded() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(files(__package__).joinpath("schema.json").read_text())
    return recorded


def shape(token: str) -> dict[str, Any]:
    """`token`, `inputs`, `outputs` and `types` of a resource, as arguments for Resource."""
    found = _recorded()["resources"][token]
    return {
        "token": token,
        "inputs": found["inputs"],
        "outputs": found["outputs"],
        "types": _recorded()["types"],
    }
