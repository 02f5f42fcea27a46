"""Documents that `make record-terraform` recorded from a real terraform, with their marks filled in."""

import gzip
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
SINGLE = ("thoughtbot", "terraform_aws_modules")
MANY = ("thoughtbot_40", "terraform_aws_modules_40")
WORKSPACES = ("workspace_default", "workspace_staging")

_MARK = re.compile(r"@([A-Z]+)(?: ([\w/-]+))?@")
_REGION = "us-east-1:123456789012"
_FAKES = {
    "ARN": f"arn:aws:secretsmanager:{_REGION}:secret:{{name}}{{label}}-AbCdEf",
    "FUNCTION": f"arn:aws:lambda:{_REGION}:function:{{name}}-rotation",
    "KEY": f"arn:aws:kms:{_REGION}:key/{{label}}-of-{{name}}",
    "KEYID": "{label}-of-{name}",
    "NAME": "{name}",
    "VERSION": "terraform-of-{name}-{label}",
}


def text_of(name: str) -> str:
    """Return a recorded document, with its marks."""
    file = DATA / f"{name}.json"
    compressed = DATA / f"{name}.json.gz"
    return gzip.decompress(compressed.read_bytes()).decode() if compressed.exists() else file.read_text()


def filled(text: str, of: Callable[[str, str], str | None]) -> str:
    """Return a text with something else in the place of each mark.

    Args:
        text: with marks such as `@NAME@` and `@ARN app-07@`.
        of: returns what stands for a kind and a label; None leaves the mark.
    """
    return _MARK.sub(lambda found: _or(of(found[1], found[2] or ""), found[0]), text)


def _or(value: str | None, mark: str) -> str:
    return mark if value is None else value


def document(name: str, prefix: str = "app") -> dict[str, Any]:
    """Return a recorded document of secrets that are in no AWS, with names that begin with `prefix`."""

    def fake(kind: str, label: str) -> str | None:
        return _FAKES[kind].format(name=prefix, label=label.replace("/", "-")) if kind in _FAKES else None

    made: dict[str, Any] = json.loads(filled(text_of(name), fake))
    return made


def attributes_of(state: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the attributes of each managed instance of a type in a state file."""
    return [
        instance["attributes"]
        for resource in state["resources"]
        if resource["mode"] == "managed" and resource["type"] == kind
        for instance in resource["instances"]
    ]
