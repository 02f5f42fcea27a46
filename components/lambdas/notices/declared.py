"""Read what the stack file says about its secrets, from the file in the archive."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .age import Declared
from .protocol import DECLARED_FILE


@dataclass(frozen=True)
class Stack:
    """The stack: its name for the message, and its secrets."""

    title: str
    secrets: tuple[Declared, ...]


def read() -> Stack:
    """Return what the archive's file says."""
    return parse(Path(__file__).with_name(DECLARED_FILE).read_text(encoding="utf-8"))


def parse(text: str) -> Stack:
    """Return what a file says."""
    found = json.loads(text)
    return Stack(found["title"], tuple(Declared(**secret) for secret in found["secrets"]))


def written(title: str, secrets: Sequence[Declared]) -> str:
    """Return the file's text; the same secrets give the same text."""
    defaults = asdict(Declared(""))
    rows: list[Mapping[str, object]] = [
        {key: value for key, value in asdict(secret).items() if value != defaults[key]} for secret in secrets
    ]
    return json.dumps({"title": title, "secrets": rows}, indent=1, sort_keys=True)
