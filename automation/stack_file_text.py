"""Edits the text of a stack file: what stays is left as it is written, comments and quotes included."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from settings.yaml_text import YamlError, read, write

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INDENTATION = "  "


@dataclass(frozen=True)
class _Entry:
    """An entry of a map in block style.

    Attributes:
        key: its key.
        leading: comments and blank lines above it.
        lines: its own.
    """

    key: str
    leading: tuple[str, ...]
    lines: tuple[str, ...]


def with_config(text: str, content: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return a stack file's text with another configuration.

    Entries whose value stays are left as they are written; others are written anew in their place, and new
    ones come last. Where that is not possible (aliases between entries, flow style) the whole file is
    written anew, with the comments above its first key.

    Args:
        text: of the file; it may be empty.
        content: what the file holds.
        config: what its `config` shall hold.

    Raises:
        YamlError: the configuration cannot be written as YAML.
    """
    wanted = {**content, "config": dict(config)}
    edited = _edited(text, content.get("config") or {}, config)
    if edited is not None and _holds(edited, wanted):
        return edited
    return _heading(text) + write(wanted)


def _holds(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return bool(read(text).value == wanted)
    except YamlError:
        return False


def _edited(text: str, before: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    root = yaml.compose(text, Loader=_LOADER)  # `text` was read before
    lines = text.splitlines(keepends=True)
    if root is None or not lines or not lines[-1].endswith("\n") or not _is_block(root):
        return None
    entries = list(_entries(root, lines, 0, len(lines)))
    place = next((number for number, entry in enumerate(entries) if entry.key == "config"), None)
    if place is None or not _is_block(root.value[place][1]):
        return None
    start = sum(len(entry.leading) + len(entry.lines) for entry in entries[:place]) + len(
        entries[place].leading
    )
    end = start + len(entries[place].lines)
    below = root.value[place][1]
    indentation = " " * below.value[0][0].start_mark.column
    kept = {entry.key: entry for entry in _entries(below, lines, start + 1, end)}
    written = [lines[start]]
    for key, entry in kept.items():
        if key in config:
            stays = config[key] == before.get(key)
            own = entry.lines if stays else _indented({key: config[key]}, indentation)
            written += [*entry.leading, *own]
    for key, value in config.items():
        if key not in kept:
            written += _indented({key: value}, indentation)
    return "".join([*lines[:start], *written, *lines[end:]])


def _is_block(node: "yaml.Node") -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style and bool(node.value)


def _entries(node: "yaml.Node", lines: list[str], start: int, end: int) -> Iterator[_Entry]:
    """Yield a map's entries, which take the lines from `start` up to, and without, `end`."""
    firsts = [key.start_mark.line for key, _ in node.value]
    begins = [start]
    for first in firsts[1:]:
        begin = first
        while begin > firsts[len(begins) - 1] + 1 and _is_aside(lines[begin - 1]):
            begin -= 1
        begins.append(begin)
    for number, (key, _) in enumerate(node.value):
        stop = begins[number + 1] if number + 1 < len(begins) else end
        yield _Entry(
            key=str(key.value),
            leading=tuple(lines[begins[number] : firsts[number]]),
            lines=tuple(lines[firsts[number] : stop]),
        )


def _is_aside(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _indented(value: Mapping[str, Any], indentation: str) -> list[str]:
    return [
        f"{indentation or _INDENTATION}{line}" if line.strip() else line
        for line in write(value).splitlines(keepends=True)
    ]


def _heading(text: str) -> str:
    """Return the comments above the first key: an editor's schema, a person's words."""
    lines = text.splitlines(keepends=True)
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:first])
