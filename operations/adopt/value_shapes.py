"""Find out what a value looks like: its form and the names of its keys, and nothing else."""

import json
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from operations.adopt.model import Generated, Hidden, LoginFields, Shape
from stack_file.secrets import JsonKey

_PORT_DIGITS = 5
_JSON_KEY: TypeAdapter[str] = TypeAdapter(JsonKey)


def unknown(_value: Hidden) -> None:
    """Return that it is not known what generated a value."""


def shape_of(text: str, generated: Callable[[Hidden], Generated | None] = unknown) -> Shape:
    """Return the shape of a text.

    Args:
        text: the value of a secret.
        generated: returns how a value was generated, None if that is not known.
    """
    document = _object_in(text)
    if document is None:
        return Shape(content="text", whole=generated(Hidden(text)))
    hidden = {key: Hidden(value) for key, value in document.items() if isinstance(value, str)}
    return Shape(
        content="keys",
        keys={
            key: generated(hidden[key]) if key in hidden and not hidden[key].empty else None
            for key in document
        },
        empty_keys=frozenset(key for key, value in hidden.items() if value.empty),
    )


def login_fields(text: str) -> LoginFields | None:
    """Return what a text says of a database login; None if it is not one. Its password is not kept.

    Args:
        text: the value of a secret.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not found.keys() >= {"username", "password"}:
        return None
    # a value in the wrong key would otherwise show: no other field may be the password
    password = found["password"]

    def text_at(key: str) -> str | None:
        value = found.get(key)
        return value if isinstance(value, str) and value and value != password else None

    port = str(found.get("port", ""))
    return LoginFields(
        engine=text_at("engine"),
        host=text_at("host"),
        port=int(port) if port.isascii() and port.isdecimal() and len(port) <= _PORT_DIGITS else None,
        database=text_at("dbname"),
        username=text_at("username"),
        admin_arn=text_at("masterarn"),
    )


def _object_in(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is; None if a stack file cannot declare its keys."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not found:
        return None
    return found if all(_is_key(key) for key in found) else None


def _is_key(key: str) -> bool:
    try:
        _JSON_KEY.validate_python(key)
    except ValidationError:
        return False
    return True
