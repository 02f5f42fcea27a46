"""Parameters of a request, checked as AWS checks them before an operation runs.

Source: the limits in the SDK's own description of the service; the texts are AWS's.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.utils import get_service_model

from tools.localcloud.emulator.secrets_rules import ServiceError

_TYPES: Mapping[str, type] = {
    "string": str,
    "blob": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "list": list,
    "structure": dict,
}
# Refused by the operation itself, in words of its own.
_NOT_HERE = {"ClientRequestToken"}


def check(service: str, operation: str, asked: object) -> None:
    """Reject a request with parameters that are missing or outside their limits.

    Raises:
        ServiceError: ValidationException, which names every such parameter but shows no sensitive value;
            SerializationException, for a value of another type.
    """
    shape = get_service_model(service).operation_model(operation).input_shape
    found = list(_violations(shape, asked, ""))
    if not found:
        return
    errors = "error" if len(found) == 1 else "errors"
    raise ServiceError(
        "ValidationException", f"{len(found)} validation {errors} detected: {'; '.join(found)}"
    )


def _violations(shape: Any, value: object, path: str) -> Iterator[str]:  # noqa: ANN401  botocore has no types
    wanted = _TYPES[shape.type_name]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ServiceError("SerializationException", f"{path or 'The request'} must be a {shape.type_name}.")
    size: int | None = None
    match value:
        case dict():
            yield from _structure(shape, value, path)
        case list():
            size = len(value)
            for position, item in enumerate(value, 1):
                yield from _violations(shape.member, item, f"{path}.{position}.member")
        case str():
            size = _size(shape, value)
        case _:
            pass
    for constraint in _constraints(shape, value, size):
        shown = "Value" if shape.metadata.get("sensitive") else f"Value '{value}'"
        yield f"{shown} at '{path}' failed to satisfy constraint: Member must {constraint}"


def _structure(shape: Any, value: dict[str, object], path: str) -> Iterator[str]:  # noqa: ANN401  the same
    for name, member in shape.members.items():
        inner = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
        if value.get(name) is not None and name not in _NOT_HERE:
            yield from _violations(member, value[name], inner)
        elif name in shape.required_members and value.get(name) is None:
            yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"


def _size(shape: Any, value: str) -> int:  # noqa: ANN401  the same
    """Return a size in characters; in bytes for a secret value, as AWS states its limit."""
    if shape.type_name == "blob":
        try:
            return len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            raise ServiceError("SerializationException", "A binary value must be base64.") from None
    return len(value.encode()) if shape.metadata.get("sensitive") else len(value)


def _constraints(shape: Any, value: object, size: int | None) -> Iterator[str]:  # noqa: ANN401  the same
    """Yield the constraints that a value violates, in AWS's words."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    what, measured = ("value", value) if isinstance(value, int) else ("length", size)
    if isinstance(measured, int) and not isinstance(value, bool):
        if least is not None and measured < least:
            yield f"have {what} greater than or equal to {least}"
        if most is not None and measured > most:
            yield f"have {what} less than or equal to {most}"
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not re.fullmatch(pattern, value):
        yield f"satisfy regular expression pattern: {pattern}"
    choices = getattr(shape, "enum", None)
    if choices and value not in choices:
        yield f"satisfy enum value set: [{', '.join(choices)}]"
