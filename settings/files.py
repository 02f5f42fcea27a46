"""A stack's configuration read from its files, where no engine hands it over.

Source: Pulumi's documentation, "Configuration", "Pulumi project file reference", "Pulumi stack settings file
reference".
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from settings.checking import STRUCTURE, Configuration, parsed
from settings.documents import (
    FileError,
    NoStackFileError,
    ProjectFile,
    full_key,
    keyed,
    map_in,
    misplaced,
    not_as_written,
    project_file,
)
from settings.mistakes import Mistake
from settings.yaml_text import Altered, Document

__all__ = ["FileError", "project_values", "read", "stacks_in", "written_otherwise"]

# An encrypted value is not read: where one is nested in a structure, this stands for it.
_ENCRYPTED = "(encrypted)"


def read(folder: Path, stack: str) -> Configuration:
    """Return what Pulumi.yaml and Pulumi.STACK.yaml in a folder say; encrypted values stay unread.

    Args:
        folder: of the project.
        stack: name of the stack, also as ORGANIZATION/PROJECT/STACK.

    Raises:
        FileError: there is no such stack, or a file is not the YAML that the engine takes.
    """
    project = project_file(folder)
    path = project.stack_file(stack)
    if not path.is_file():
        raise NoStackFileError(_no_such_stack(stack.rpartition("/")[2], project.stack_files))
    document = map_in(path)
    if document.value.get("environment"):
        raise FileError(
            f"{path} takes configuration from Pulumi ESC environments. Only the file itself is read here, so "
            "what it declares would be known in part. Write the structure into the file."
        )
    declared = _declared(project, document)
    return Configuration(
        project=project.name,
        stack=stack.rpartition("/")[2],
        values={key: _as_engine_gives_it(value) for key, value in declared.items()},
        encrypted=frozenset(key for key, value in declared.items() if _has_encrypted(value)),
        mistakes=(
            *misplaced(document.value, path.name, STRUCTURE),
            *_not_as_written(project, document.altered),
        ),
    )


def written_otherwise(folder: Path, stack: str, values: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes that only the files show, where they are what the engine has read.

    The engine may have taken another file (`--config-file`), so a key counts only if its value in the files
    is the one that the engine handed over.

    Args:
        folder: of the project.
        stack: its name.
        values: what the engine handed over: full key to value, parsed where it is JSON.
    """
    try:
        project = project_file(folder)
        path = project.stack_file(stack)
        document = map_in(path) if path.is_file() else Document({})
    except FileError:
        return []
    same = {
        key
        for key, value in _declared(project, document).items()
        if _has_encrypted(value) or _as_engine_gives_it(value) == values.get(key)
    }
    altered = [
        one
        for one in (*project.altered, *document.altered)
        if len(one.place) > 1 and full_key(str(one.place[1]), project.name) in same
    ]
    return [*misplaced(document.value, path.name, STRUCTURE), *_not_as_written(project, altered)]


def stacks_in(folder: Path) -> list[str]:
    """Return the names of the stacks that have a file there."""
    return sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in folder.glob("Pulumi.?*.yaml"))


def _no_such_stack(name: str, folder: Path) -> str:
    known = stacks_in(folder)
    near = difflib.get_close_matches(name, known, n=1)
    meant = f' (did you mean "{near[0]}"?)' if near else ""
    return (
        f'There is no stack "{name}" here: {folder / f"Pulumi.{name}.yaml"} does not exist{meant}. '
        f"Stacks with a file: {', '.join(known) or 'none'}."
    )


def _declared(project: ProjectFile, document: Document) -> dict[str, Any]:
    """Return full key to value: the stack file's, or the project's where it has none."""
    return {**project_values(project), **keyed(document.value.get("config"), project.name)}


def project_values(project: ProjectFile) -> dict[str, Any]:
    """Return what Pulumi.yaml declares for every stack: a value, or what a stack without one gets."""
    found = {}
    for key, about in keyed(project.content.get("config"), project.name).items():
        if not isinstance(about, dict):
            found[key] = about
        elif "value" in about or "default" in about:
            found[key] = about.get("value", about.get("default"))
    return found


def _not_as_written(project: ProjectFile, altered: Sequence[Altered]) -> Iterator[Mistake]:
    for one in altered:
        mistake = not_as_written(one, project.name)
        if mistake:
            yield mistake


def _is_encrypted(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"secure"}


def _has_encrypted(value: object) -> bool:
    if isinstance(value, dict):
        return _is_encrypted(value) or any(_has_encrypted(item) for item in value.values())
    return isinstance(value, list) and any(_has_encrypted(item) for item in value)


def _as_engine_gives_it(value: object) -> Any:  # noqa: ANN401  whatever JSON holds
    known = _without_encrypted(value)
    return parsed(known) if isinstance(known, str) else json.loads(json.dumps(known))


def _without_encrypted(value: object) -> object:
    if _is_encrypted(value):
        return _ENCRYPTED
    if isinstance(value, dict):
        return {key: _without_encrypted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_encrypted(item) for item in value]
    return value
