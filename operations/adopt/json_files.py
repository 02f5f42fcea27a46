"""Read JSON of which every part may be damaged, without showing any of it."""

import json
from pathlib import Path
from typing import Any

from operations.adopt.model import SourceError


def read_text(path: Path, what: str) -> str:
    """Return the text of a file, or of standard input for `-`.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        text = Path("/dev/stdin").read_text("utf-8") if str(path) == "-" else path.read_text("utf-8")
    except IsADirectoryError:
        raise SourceError(f"{path} is a folder. Name the file of {what}.") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path} is not UTF-8 text. Name the file of {what}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise SourceError(f"{path} cannot be read: {reason}. Name the file of {what}.") from None
    return text.removeprefix("\ufeff")


def parsed_object(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that a text is.

    Raises:
        SourceError: it is not one; the message has a line number and nothing of the text.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise SourceError(
            f"{what} is not valid JSON (line {error.lineno}, column {error.colno}): it is damaged or "
            "cut off. "
            "Take it from its source again."
        ) from None
    except (RecursionError, ValueError):
        raise SourceError(f"{what} is not valid JSON. Take it from its source again.") from None
    if not isinstance(found, dict):
        raise SourceError(f"{what} is not a JSON object. Name another file.")
    return found


def as_object(value: object, where: str) -> dict[str, Any]:
    """Return a JSON object; None counts as empty.

    Raises:
        SourceError: it is anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SourceError(f"{where} is not an object: the file is damaged. Take it from its source again.")
    return value


def as_list(value: object, where: str) -> list[Any]:
    """Return a JSON list; None counts as empty.

    Raises:
        SourceError: it is anything else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise SourceError(f"{where} is not a list: the file is damaged. Take it from its source again.")
    return value


def text_of(value: object) -> str:
    """Return a text; empty for anything else."""
    return value if isinstance(value, str) else ""
