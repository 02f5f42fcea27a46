"""Check inputs against the types of the recorded schema, and converts text and numbers as the bridge does.

A declared type is `string`, `boolean`, `integer`, `number`, `[T]` for a list, `{"*": T}` for a map, or the
name of an object type. Messages are those of Terraform's plugin SDK, without the value: it may be secret.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tools.localcloud.plugins.values import UNKNOWN, Asset, Properties

Described: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Property to {type, required, replace, secret}."""


@dataclass(frozen=True)
class Failure:
    """An input that Check rejects: the property's path below the resource's name, and the reason."""

    path: str
    reason: str


def snake_case(name: str) -> str:
    """Return Terraform's name of a property, as its messages use it."""
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)


def checked_object(
    described: Described, types: Mapping[str, Described], value: Properties, path: str = ""
) -> tuple[Properties, list[Failure]]:
    """Return an object's converted properties, without those that are None, and their errors."""
    failures = [
        missing(name, f"{path}{name}")
        for name, about in described.items()
        if about.get("required") and value.get(name) is None
    ]
    found: Properties = {}
    for name, item in value.items():
        if item is None or name == "__defaults":
            continue
        if name in described:
            found[name], wrong = _checked(described[name]["type"], types, item, f"{path}{name}")
            failures += wrong
        else:
            failures.append(Failure(f"{path}{name}", "Invalid or unknown key"))
    return found, failures


def missing(name: str, path: str) -> Failure:
    """Return the refusal of an object that lacks a property."""
    return Failure(
        path,
        f'Missing required argument. The argument "{snake_case(name)}" is required, but no definition was '
        "found.",
    )


def _checked(
    declared: Any,  # noqa: ANN401  JSON
    types: Mapping[str, Described],
    value: Any,  # noqa: ANN401  any property value
    path: str,
) -> tuple[Any, list[Failure]]:
    if value is UNKNOWN or isinstance(value, Asset):
        return value, []
    kind = "list" if isinstance(declared, list) else "map" if isinstance(declared, dict) else declared
    wanted: Any = {"list": list, "map": dict}.get(kind, dict if kind in types else object)
    if not isinstance(value, wanted):
        return value, [Failure(path, f"Attribute must be a {'list' if kind == 'list' else 'map'}")]
    if kind in types:
        return checked_object(types[kind], types, value, f"{path}.")
    if kind == "list":
        items = [_checked(declared[0], types, item, f"{path}[{at}]") for at, item in enumerate(value)]
        return [item for item, _ in items], [failure for _, wrong in items for failure in wrong]
    if kind == "map":
        given = {key: item for key, item in value.items() if item is not None and key != "__defaults"}
        entries = {key: _checked(declared["*"], types, item, f"{path}.{key}") for key, item in given.items()}
        wrong = [failure for _, failures in entries.values() for failure in failures]
        return {key: item for key, (item, _) in entries.items()}, wrong
    return _checked_scalar(kind, value, path)


def _checked_scalar(declared: str, value: Any, path: str) -> tuple[Any, list[Failure]]:  # noqa: ANN401  as above
    convert = _CONVERSIONS.get(declared)
    if convert is None:
        return value, []  # an asset, an archive or JSON: AWS judges it
    if isinstance(value, (list, dict)):
        given = "list" if isinstance(value, list) else "map"
        return value, [Failure(path, f"Attribute must be a single value, not a {given}")]
    try:
        return convert(value), []
    except (TypeError, ValueError):  # the first for nothing in a list
        if declared == "integer" and isinstance(value, float):
            return value, [Failure(path, f"Attribute must be a whole number, got {value}")]
        return value, [Failure(path, f"'' cannot parse '' as {_GO_TYPES[declared]}")]


def _boolean(value: Any) -> bool:  # noqa: ANN401  as above
    if isinstance(value, str):
        # the spellings of Go's strconv.ParseBool
        if value in {"1", "t", "T", "true", "TRUE", "True"}:
            return True
        if value in {"0", "f", "F", "false", "FALSE", "False", ""}:
            return False
        raise ValueError
    return bool(value)


def _integer(value: Any) -> int:  # noqa: ANN401  as above
    return int(str(value))  # whole numbers arrive as int, so that of a float is refused


def _string(value: Any) -> str:  # noqa: ANN401  as above
    return str(value).lower() if isinstance(value, bool) else str(value)


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "number": float,
    "string": _string,
}
_GO_TYPES = {"boolean": "bool", "integer": "int", "number": "float", "string": "string"}
