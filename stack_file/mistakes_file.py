"""Hands configuration mistakes as data from the program to the process that started the engine.

The engine's own channel carries text for people. A caller that needs the mistakes sets a variable to the path
of a file; the program writes them there before it fails.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from stack_file.mistakes import Mistake

VARIABLE = "AWS_SECRETS_MISTAKES_FILE"


def report_mistakes(mistakes: Iterable[Mistake]) -> None:
    """Write the mistakes to the caller's file, if the caller asked for one."""
    if path := os.environ.get(VARIABLE):
        Path(path).write_text(json.dumps([asdict(mistake) for mistake in mistakes]), "utf-8")


def reported_mistakes(file: Path) -> list[Mistake]:
    """Return the mistakes that the program wrote; none if it wrote no file, or not all of it."""
    try:
        return [Mistake(**fields) for fields in json.loads(file.read_text("utf-8"))]
    except (FileNotFoundError, json.JSONDecodeError):
        return []
