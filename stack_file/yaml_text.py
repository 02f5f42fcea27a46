"""Read YAML as Pulumi's engine does, and write YAML that the engine reads back unchanged.

The engine parses stack files with Go's yaml.v3, which follows neither YAML 1.1 nor 1.2: `off` and `12:30` are
texts, `1e3` and `0o17` are numbers, `2024-06-20` is a date. The parser is PyYAML's (libyaml, which yaml.v3 is
a port of); plain scalars are resolved here.

If the engine would pass the program another text than the file's (a date, a key `1.10`, an account ID with a
leading zero), the value is reported as `Altered` for the caller to reject.

Sources: gopkg.in/yaml.v3 v3.0.1, resolve.go and decode.go; Pulumi's sdk/go/common/resource/config/object.go.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import yaml

Place: TypeAlias = tuple[str | int, ...]

DEEPEST = 100
"""Maximum nesting of maps and lists, far above what a stack file needs."""

# Limits on nodes read through aliases; the engine also rejects "excessive aliasing", with higher limits.
_COPIES_OF_EACH = 10
_COPIES_OF_ALL = 10_000

_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_MERGE = "<<"
_TAG = "tag:yaml.org,2002:"


class YamlError(Exception):
    """A text is not YAML that the engine accepts. The message has the line, and no part of the text."""


@dataclass(frozen=True)
class Altered:
    """A value or key that the engine reads as another text.

    Attributes:
        place: keys and indexes that lead to it.
        line: line in the file, from 1.
        key: the key as written, if the key itself is altered.
    """

    place: Place
    line: int
    key: str | None = None


@dataclass(frozen=True)
class Document:
    """A document as the engine reads it.

    Attributes:
        value: maps with text keys, lists, texts, numbers, booleans and None; None for an empty document.
        altered: values and keys that the engine reads as another text.
    """

    value: Any
    altered: tuple[Altered, ...] = ()


@dataclass
class _Scalar:
    text: str
    plain: bool
    line: int


@dataclass
class _List:
    line: int
    items: list["_Node"] = field(default_factory=list)
    whole: bool = False


@dataclass
class _Map:
    line: int
    keys: list["_Node"] = field(default_factory=list)
    values: list["_Node"] = field(default_factory=list)
    whole: bool = False


_Node: TypeAlias = _Scalar | _List | _Map


def read(text: str) -> Document:
    """Read a document.

    Raises:
        YamlError: the engine would reject it, or ignore a part of it.
    """
    root, count = _root(text)
    if root is None:
        return Document(None)
    reader = _Reader(_COPIES_OF_EACH * count + _COPIES_OF_ALL)
    value = reader.value(root, ())
    return Document(value, tuple(reader.altered))


def is_text(text: str) -> bool:
    """Return whether the engine reads a text unchanged if it is written without quotes."""
    return isinstance(_resolved(text), str)


def write(value: Mapping[str, Any]) -> str:
    """Return a map as YAML that the engine reads back unchanged.

    Raises:
        YamlError: it cannot be written as such.
    """
    text: str = yaml.dump(dict(value), Dumper=_Quoting, sort_keys=False, allow_unicode=True, width=10_000)
    found = read(text)
    if found.value != value or found.altered:
        raise YamlError("a value cannot be written as YAML.")
    return text


class _Quoting(_DUMPER):  # type: ignore[misc, valid-type]  # selected at import
    """Quotes texts that the engine would read as another type, and writes no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(f"{_TAG}str", text, style=None if is_text(text) else "'")


_Quoting.add_representer(str, _represent_text)


class _Reader:
    """Converts nodes to values."""

    def __init__(self, most: int) -> None:
        self.altered: list[Altered] = []
        self._left = most

    def value(self, node: _Node, place: Place) -> Any:  # noqa: ANN401  whatever YAML holds
        self._left -= 1
        if self._left < 0:
            raise YamlError(f"line {node.line}: aliases (*) expand to too many values.")
        if isinstance(node, _Scalar):
            return self._scalar(node, place)
        if isinstance(node, _List):
            return [self.value(item, (*place, number)) for number, item in enumerate(node.items)]
        return self._map(node, place)

    def _scalar(self, node: _Scalar, place: Place) -> Any:  # noqa: ANN401  as above
        if not node.plain:
            return node.text
        found = _resolved(node.text)
        if isinstance(found, datetime):
            self.altered.append(Altered(place, node.line))
            return _date_text(found)
        if not _is_unchanged(found, node.text):
            self.altered.append(Altered(place, node.line))
        return found

    def _map(self, node: _Map, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[_Node] = []
        _check_unique(node)
        for key, item in zip(node.keys, node.values, strict=True):
            if isinstance(key, _Scalar) and key.plain and key.text == _MERGE:
                merged += item.items if isinstance(item, _List) else [item]
                continue
            name = self._key(key, place)
            found[name] = self.value(item, (*place, name))
        for source in merged:
            if not isinstance(source, _Map):
                raise YamlError(f"line {node.line}: only maps can be merged (<<).")
            below = self._map(source, place)
            found |= {name: item for name, item in below.items() if name not in found}
        return found

    def _key(self, node: _Node, place: Place) -> str:
        if not isinstance(node, _Scalar):
            raise YamlError(f"line {node.line}: a map or a list cannot be a key.")
        if node.text == _MERGE:
            # the engine writes the parsed file again, without the quotes, and then reads a merge
            raise YamlError(f'line {node.line}: "<<" cannot be a key, even in quotes.')
        if node.plain and not is_text(node.text):
            found = _resolved(node.text)
            engines = _as_key(found)
            if engines != node.text:
                self.altered.append(Altered((*place, node.text), node.line, node.text))
                return engines
        return node.text


def _as_key(found: object) -> str:
    """Return the engine's text for a key of another type, as Go's %v formats it."""
    match found:
        case None:
            return "<nil>"
        case bool():
            return str(found).lower()
        case datetime():
            return _date_text(found)
        case float() if found.is_integer() and abs(found) < _WITHOUT_EXPONENT:
            return str(int(found))
    return str(found)


def _date_text(date: datetime) -> str:
    return f"{date:%Y-%m-%d %H:%M:%S} +0000 UTC"


def _is_unchanged(found: object, text: str) -> bool:
    """Return whether the engine passes a scalar on as written."""
    match found:
        case bool():
            return True
        case datetime():
            return False
        case int():
            return abs(found) <= _EXACT and str(found) == text
        case float():
            return not found.is_integer() and str(found) == text
    return True


def _resolved(text: str) -> str | bool | int | float | datetime | None:
    """Return the value of a plain scalar."""
    if text in _BOOLS:
        return _BOOLS[text]
    if text in _NULLS:
        return None
    if not text.isascii() or text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    if _DATE.fullmatch(text) and (date := _date(text)):
        return date
    digits = text.replace("_", "")
    number = _integer(digits)
    if number is None and _FLOAT.fullmatch(digits) and math.isfinite(float(digits)):
        number = float(digits)
    return text if number is None else number


_BASES = (("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2))
_WITHOUT_EXPONENT = 1e21
_EXACT = 2**53  # JSON's numbers are exact up to here
_LEAST, _MOST = -(2**63), 2**64 - 1


def _integer(digits: str) -> int | float | None:
    sign, rest = (digits[0], digits[1:]) if digits[:1] in {"+", "-"} else ("", digits)
    base = 10
    for prefix, its_base in _BASES:
        if rest.startswith(prefix):
            rest, base = rest[2:], its_base
            break
    else:
        if len(rest) > 1 and rest[0] == "0":
            rest, base = rest[1:], 8
    try:
        number = int(sign + rest, base) if rest.isalnum() else None
    except ValueError:
        return None
    return number if number is not None and _LEAST <= number <= _MOST else None


def _date(text: str) -> datetime | None:
    """Return the date that yaml.v3 reads, without time zone and fractions of a second."""
    found = re.fullmatch(
        r"(\d{4})-(\d{1,2})-(\d{1,2})"
        r"(?:(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[+-]\d{2}:\d{2}))"
        r"|(?: (\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?))?",
        text,
        re.ASCII,
    )
    if found is None:
        return None
    year, month, day, *time = (int(part) for part in found.groups() if part is not None)
    try:
        hour, minute, second = time or (0, 0, 0)
        return datetime(year or 1, month, day, hour, minute, second)  # noqa: DTZ001  see above
    except ValueError:
        return None


def _root(text: str) -> tuple[_Node | None, int]:
    """Return the root node, None for an empty document, and the number of nodes."""
    building: list[_List | _Map] = []
    anchors: dict[str, _Node] = {}
    root: _Node | None = None
    documents = count = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise YamlError(f"line {_line(event)}: a second document begins, which would be ignored.")
            elif isinstance(event, yaml.CollectionEndEvent):
                building.pop().whole = True
            elif isinstance(event, yaml.NodeEvent):
                count += 1
                node = _node(event, anchors)
                if building:
                    _add(building[-1], node)
                else:
                    root = node
                if isinstance(event, yaml.CollectionStartEvent):
                    building.append(node)  # type: ignore[arg-type]  # a collection's node
                    if len(building) > DEEPEST:
                        raise YamlError(f"line {_line(event)}: more than {DEEPEST} levels deep.")
    except yaml.YAMLError as error:
        # its own message quotes the text
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise YamlError(f"{where}not valid YAML ({problem}).") from None
    return root, count


def _node(event: "yaml.NodeEvent", anchors: dict[str, _Node]) -> _Node:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent):
        aliased = anchors.get(event.anchor or "")
        if aliased is None:
            raise YamlError(f"line {line}: unknown alias; its anchor must come first.")
        if not isinstance(aliased, _Scalar) and not aliased.whole:
            raise YamlError(f"line {line}: the anchor contains itself.")
        return aliased
    if isinstance(event, yaml.ScalarEvent):
        node: _Node = _scalar(event, line)
    elif isinstance(event, yaml.CollectionStartEvent):
        node = _collection(event, line)
    else:
        raise TypeError(f"not a node: {event}")
    if event.anchor:
        anchors[event.anchor] = node
    return node


def _scalar(event: "yaml.ScalarEvent", line: int) -> _Scalar:
    if event.tag in {f"{_TAG}str", "!"}:
        return _Scalar(event.value, plain=False, line=line)
    if event.tag is not None:
        raise YamlError(f"line {line}: tags (!) are not supported in stack files.")
    return _Scalar(event.value, plain=event.style in {None, ""}, line=line)


def _collection(event: "yaml.CollectionStartEvent", line: int) -> _List | _Map:
    if event.tag is not None:
        raise YamlError(f"line {line}: tags (!) are not supported in stack files.")
    return _List(line) if isinstance(event, yaml.SequenceStartEvent) else _Map(line)


def _add(parent: _List | _Map, node: _Node) -> None:
    if isinstance(parent, _List):
        parent.items.append(node)
    elif len(parent.keys) == len(parent.values):
        parent.keys.append(node)
    else:
        parent.values.append(node)


def _line(event: "yaml.Event") -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _check_unique(node: _Map) -> None:
    """Raise YamlError for a duplicate key; keys are compared as text, as in yaml.v3."""
    lines: dict[str, int] = {}
    for key in node.keys:
        if not isinstance(key, _Scalar):
            continue
        if key.text in lines:
            raise YamlError(
                f"line {key.line}: the key {key.text!r} is already on line {lines[key.text]}. Keep one."
            )
        lines[key.text] = key.line
