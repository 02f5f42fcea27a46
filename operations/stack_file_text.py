"""Edits the text of a stack file, preserving comments and quoting where possible."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from stack_file.yaml_text import YamlError, read, write

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INDENTATION = "  "


@dataclass(frozen=True)
class _Entry:
    """An entry of a map in block style.

    Attributes:
        key: the key.
        leading: comments and blank lines above the entry.
        lines: the lines of the entry.
    """

    key: str
    leading: tuple[str, ...]
    lines: tuple[str, ...]


def with_config(text: str, content: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return a stack file's text with another configuration.

    Unchanged entries keep their text at every level, changed ones are rewritten in place, and new ones are
    appended to their map. If that is not possible (aliases between entries, flow style), the whole file is
    rewritten and only the comments above its first key are kept.

    Args:
        text: text of the file; may be empty.
        content: content of the file.
        config: new value of `config`.

    Raises:
        YamlError: the configuration cannot be written as YAML.
    """
    expected = {**content, "config": dict(config)}
    edited = _edited(text, content.get("config") or {}, config)
    if edited is not None and _contains(edited, expected):
        return edited
    return _heading(text) + write(expected)


def _contains(text: str, expected: Mapping[str, Any]) -> bool:
    try:
        return bool(read(text).value == expected)
    except YamlError:
        return False


def _edited(text: str, previous: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    root = yaml.compose(text, Loader=_LOADER)  # `text` is known to be valid YAML
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
    written = _with_entries(root.value[place][1], lines, range(start, end), previous, config)
    return "".join([*lines[:start], *written, *lines[end:]])


def _with_entries(
    node: "yaml.Node",
    lines: list[str],
    span: range,
    previous: Mapping[str, Any],
    wanted: Mapping[str, Any],
) -> list[str]:
    """Return the lines of a key and the map in block style below it, with other content of the map.

    Args:
        node: the map.
        lines: all lines of the file.
        span: the lines of the key and the map; the key is on the first one.
        previous: content of the map.
        wanted: its new content.
    """
    indentation = " " * node.value[0][0].start_mark.column
    below = {str(key.value): value for key, value in node.value}
    written, place, existing = [lines[span.start]], span.start + 1, set()
    for entry in _entries(node, lines, span.start + 1, span.stop):
        first = place + len(entry.leading)
        place = first + len(entry.lines)
        existing.add(entry.key)
        if entry.key not in wanted:
            continue
        before, value, inner = previous.get(entry.key), wanted[entry.key], below[entry.key]
        if value == before:
            own: Sequence[str] = entry.lines
        elif _is_block(inner) and isinstance(before, Mapping) and isinstance(value, Mapping) and value:
            own = _with_entries(inner, lines, range(first, place), before, value)
        else:
            own = _indented({entry.key: value}, indentation)
        written += [*entry.leading, *own]
    for key, value in wanted.items():
        if key not in existing:
            written += _indented({key: value}, indentation)
    return written


def _is_block(node: "yaml.Node") -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style and bool(node.value)


def _entries(node: "yaml.Node", lines: list[str], start: int, end: int) -> Iterator[_Entry]:
    """Yield the entries of a map that spans the lines from `start` to `end`, exclusive."""
    firsts = [key.start_mark.line for key, _ in node.value]
    begins = [start]
    for first in firsts[1:]:
        begin = first
        while begin > firsts[len(begins) - 1] + 1 and _is_blank_or_comment(lines[begin - 1]):
            begin -= 1
        begins.append(begin)
    for number, (key, _) in enumerate(node.value):
        stop = begins[number + 1] if number + 1 < len(begins) else end
        yield _Entry(
            key=str(key.value),
            leading=tuple(lines[begins[number] : firsts[number]]),
            lines=tuple(lines[firsts[number] : stop]),
        )


def _is_blank_or_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _indented(value: Mapping[str, Any], indentation: str) -> list[str]:
    return [
        f"{indentation or _INDENTATION}{line}" if line.strip() else line
        for line in write(value).splitlines(keepends=True)
    ]


def _heading(text: str) -> str:
    """Return the comments above the first key, such as an editor's schema."""
    lines = text.splitlines(keepends=True)
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:first])
