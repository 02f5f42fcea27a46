"""Raise the generations of generated keys where they are declared; everything else stays as it is written.

A comment next to each raised generation has the start of the incident. A repetition raises a generation again
unless it finds that comment: a value too many is harmless, one too few is not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from operations.adopt.model import SourceError
from operations.files import locked, replace_text
from operations.fleet.stack_files import edited_configuration, load_fleet_file
from stack_file import Configuration
from stack_file.documents import FileError, full_key, project_file
from stack_file.files import read as read_configuration
from stack_file.files import stacks_in
from stack_file.yaml_text import YamlError, read

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MARK = "compromised"
# What may follow on a generation's line: a comment there must not be about another key.
_REST = r"[}\],\s]*(#.*)?"
_COMMENT = re.compile(rf"{_REST}# {_MARK} (?P<since>\d{{4}}-\d\d-\d\dT[0-9:.]+\+00:00)\s*")
Place = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A generated key.

    Attributes:
        secret: name in AWS.
        key: the JSON key; empty for a whole value.
        place: of its entry in the stack file, below the project's settings.
        declared: its generation in the stack file.
        applied: the generation that the writer has applied, from the labels in AWS.
    """

    secret: str
    key: str
    place: Place
    declared: int
    applied: int


@dataclass(frozen=True, kw_only=True)
class Edited:
    """The result of an edit.

    Attributes:
        wanted: keys with the generation that the writer must have applied in the end.
        raised: the keys whose generation was raised now.
        impossible: keys whose entry could not be found or edited; a person has to write their generation.
    """

    wanted: Mapping[tuple[str, str], int]
    raised: Sequence[Key]
    impossible: Sequence[Key]


def raise_generations(
    folder: Path, configuration: Configuration, keys: Sequence[Key], since: datetime, *, write: bool = True
) -> Edited:
    """Raise each key's generation, unless it was raised for this incident already.

    Args:
        folder: of the project.
        configuration: of the stack.
        keys: the keys.
        since: start of the incident.
        write: whether to write the file; otherwise only the result is returned.

    Raises:
        SourceError: the file cannot be written.
        InvalidConfigurationError: the group's file cannot be generated from the fleet's.
    """
    project = configuration.project
    edited_in = _edited(folder, configuration)
    own = project_file(folder).stack_file(edited_in.stack)
    texts: dict[Path, str] = {}
    with locked(folder / "Pulumi.yaml"):
        wanted: dict[tuple[str, str], int] = {}
        raised, impossible = [], []
        for key in keys:
            included = edited_in.included.get((str(key.place[0]), str(key.place[1])))
            file = (folder / included if included else own).resolve()  # a link is followed
            namespace = None if included else project
            text = texts.setdefault(file, _text_of(file))
            declared = max(key.declared, _declared(text, namespace, key.place))
            target = max(declared, key.applied) + 1
            known = _raised_for(text, namespace, key.place)
            if declared > key.applied:  # raised, but not applied yet: that is this incident's, too
                wanted[key.secret, key.key] = declared
                texts[file] = _with_generation(text, namespace, key.place, declared, since) or text
                continue
            if known is not None and known >= since:
                wanted[key.secret, key.key] = declared
                continue
            edited = _with_generation(text, namespace, key.place, target, since)
            if edited is None:
                impossible.append(key)
                continue
            texts[file] = edited
            wanted[key.secret, key.key] = target
            raised.append(key)
        for file, text in texts.items() if write else ():
            if text == _text_of(file):
                continue
            try:
                replace_text(file, text)
            except OSError as error:
                raise SourceError(f"{file} cannot be written: {error.strerror}.") from None
    if write and edited_in.stack != configuration.stack:
        _write_group(folder, edited_in.stack, configuration.stack)
    return Edited(wanted=wanted, raised=raised, impossible=impossible)


def sharing_stacks(folder: Path, configuration: Configuration, keys: Sequence[Key]) -> dict[str, list[str]]:
    """Return the included files that declare keys, to the other stacks for which they declare them, too.

    Args:
        folder: of the project.
        configuration: of the stack.
        keys: the keys.
    """
    places = {(str(key.place[0]), str(key.place[1])) for key in keys}
    edited_in = _edited(folder, configuration)
    own = {place: file for place, file in edited_in.included.items() if place in places}
    found: dict[str, list[str]] = {}
    if not own:
        return found
    for stack in stacks_in(project_file(folder).stack_files):
        if stack == edited_in.stack:
            continue
        try:
            theirs = read_configuration(folder, stack).included
        except FileError:  # the engine could not update it, either
            continue
        for file in sorted({file for place, file in own.items() if theirs.get(place) == file}):
            found.setdefault(file, []).append(stack)
    return found


def _edited(folder: Path, configuration: Configuration) -> Configuration:
    """Return the configuration whose file is edited.

    The file of a fleet's group is generated: `fleet` would write it again without the raised generation.
    """
    try:
        return edited_configuration(folder, configuration)
    except FileError as error:
        raise SourceError(f"The fleet's file cannot be edited: {error}") from None


def _write_group(folder: Path, fleet: str, stack: str) -> None:
    file = load_fleet_file(folder, fleet)
    groups = [group for group in file.partition.groups if group.stack == stack]
    if not groups:
        raise SourceError(
            f"{stack} is not a group of {fleet} any more. Put its secrets back into this group, then run "
            "this command again."
        )
    file.write(groups)


def _text_of(file: Path) -> str:
    return file.read_text("utf-8") if file.exists() else ""


def _node(text: str, project: str | None, place: Place) -> "yaml.MappingNode | None":
    """Return the map at a place of a file; None if it is not written there as a map of its own.

    Args:
        text: the file's.
        project: the namespace of a stack file; None for an included file.
        place: below the project's settings.
    """
    root = yaml.compose(text, Loader=_LOADER) if text else None
    if project is None:
        node = _child(root, lambda name: name == place[0])
    else:
        node = _child(root, lambda name: name == "config")
        node = _child(node, lambda name: full_key(name, project) == f"{project}:{place[0]}")
    for part in place[1:]:
        node = _child(node, lambda name, part=part: name == str(part))
    return node if isinstance(node, yaml.MappingNode) and node.value else None


def _child(node: "yaml.Node | None", wanted: Any) -> "yaml.Node | None":  # noqa: ANN401  a predicate
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if wanted(name.value)), None)


def _declared(text: str, project: str | None, place: Place) -> int:
    """Return the generation in the text, which may be newer than the configuration; 1 without one."""
    value = _child(_node(text, project, place), lambda name: name == "generation")
    return int(value.value) if isinstance(value, yaml.ScalarNode) and value.value.isdecimal() else 1


def _raised_for(text: str, project: str | None, place: Place) -> datetime | None:
    """Return the incident for which a generation was raised, from the comment on its line."""
    node = _node(text, project, place)
    value = _child(node, lambda name: name == "generation")
    if value is None:
        return None
    comment = _COMMENT.fullmatch(text.splitlines()[value.end_mark.line][value.end_mark.column :])
    try:
        return datetime.fromisoformat(comment["since"]) if comment else None
    except ValueError:
        return None


def _with_generation(
    text: str, project: str | None, place: Place, generation: int, since: datetime
) -> str | None:
    """Return the text with another generation and its comment; None if that cannot be written safely."""
    node = _node(text, project, place)
    if node is None:
        return None
    lines = text.splitlines(keepends=True)
    value = _child(node, lambda name: name == "generation")
    if value is not None:
        line = value.end_mark.line
        before, rest = lines[line][: value.start_mark.column], lines[line][value.end_mark.column :]
        written = f"{before}{generation}"
    elif node.flow_style:
        line, column = node.end_mark.line, node.end_mark.column - 1
        before, rest = lines[line][:column].rstrip(), lines[line][column:]
        if not before or before.endswith(","):
            return None
        written = f"{before}, generation: {generation}"
    else:
        first = node.value[0][0].start_mark
        line, rest = first.line, "\n"
        if lines[line][: first.column].strip():  # the map begins on the line of something else
            return None
        written = f"{' ' * first.column}generation: {generation}"
        lines.insert(line, "")
    if not re.fullmatch(_REST, rest.rstrip("\n")):
        return None
    lines[line] = written + rest
    comment = f"# {_MARK} {since.astimezone(UTC).isoformat()}"
    content, found, _ = lines[line].rstrip("\n").partition(f"# {_MARK} ")
    lines[line] = f"{content.rstrip()}  {comment}\n" if not found else f"{content}{comment}\n"
    edited = "".join(lines)
    return edited if _differs_only(text, edited, project, place, generation) else None


def _differs_only(text: str, edited: str, project: str | None, place: Place, generation: int) -> bool:
    """Return whether the edit did what it should, and nothing else."""
    try:
        before, after = read(text).value, read(edited).value
    except YamlError:
        return False
    config = before if project is None else before.get("config") or {}
    top = next((name for name in config if name in {place[0], f"{project}:{place[0]}"}), None)
    if top is None:
        return False
    entry = config[top]
    for part in place[1:]:
        entry = entry[part]
    entry["generation"] = generation
    return bool(before == after)
