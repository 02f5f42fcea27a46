"""Read a stack's configuration from its files, without the engine.

Source: Pulumi's documentation, "Configuration", "Pulumi project file reference", "Pulumi stack settings file
reference".
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stack_file.checking import STRUCTURE, Configuration
from stack_file.documents import (
    FileError,
    NoStackFileError,
    ProjectFile,
    as_engine_passes_it,
    full_key,
    has_encrypted,
    keyed,
    map_in,
    may_be_file,
    misplaced,
    not_as_written,
    project_file,
)
from stack_file.included import with_included
from stack_file.mistakes import Mistake
from stack_file.yaml_text import Altered, Document

__all__ = ["FileError", "project_values", "read", "stacks_in", "written_otherwise"]


def read(folder: Path, stack: str) -> Configuration:
    """Return the configuration in Pulumi.yaml, Pulumi.STACK.yaml and included files; nothing is decrypted.

    Args:
        folder: the project's folder.
        stack: the stack, as NAME or ORGANIZATION/PROJECT/NAME.

    Raises:
        NoStackFileError: the stack has no file.
        FileError: a file cannot be read, or is not YAML that the engine accepts.
    """
    project = project_file(folder)
    path = project.stack_file(stack)
    if not may_be_file(path):
        raise NoStackFileError(_no_such_stack(stack.rpartition("/")[2], project.stack_files))
    document = map_in(path)
    if document.value.get("environment"):
        raise FileError(
            f"{path} imports Pulumi ESC environments, which are not read here, so its configuration would be "
            "incomplete. Declare the structure in the file."
        )
    declared = _declared(project, document)
    own = Configuration(
        project=project.name,
        stack=stack.rpartition("/")[2],
        values={key: as_engine_passes_it(value) for key, value in declared.items()},
        encrypted=frozenset(key for key, value in declared.items() if has_encrypted(value)),
        mistakes=(
            *misplaced(document.value, path.name, STRUCTURE),
            *_not_as_written(project, document.altered),
        ),
    )
    return with_included(own, folder)


def written_otherwise(folder: Path, stack: str, values: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes that only the files show.

    The engine may have read another file (`--config-file`), so a key counts only if its value in the files is
    the engine's.

    Args:
        folder: the project's folder.
        stack: the stack's name.
        values: the engine's values: full key to value, parsed if it is JSON.
    """
    try:
        project = project_file(folder)
        path = project.stack_file(stack)
        document = map_in(path) if may_be_file(path) else Document({})
    except FileError:
        return []
    same = {
        key
        for key, value in _declared(project, document).items()
        if has_encrypted(value) or as_engine_passes_it(value) == values.get(key)
    }
    altered = [
        one
        for one in (*project.altered, *document.altered)
        if len(one.place) > 1 and full_key(str(one.place[1]), project.name) in same
    ]
    return [*misplaced(document.value, path.name, STRUCTURE), *_not_as_written(project, altered)]


def stacks_in(folder: Path) -> list[str]:
    """Return the names of the stacks with a file in a folder."""
    return sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in folder.glob("Pulumi.?*.yaml"))


def _no_such_stack(name: str, folder: Path) -> str:
    known = stacks_in(folder)
    near = difflib.get_close_matches(name, known, n=1)
    meant = f' (did you mean "{near[0]}"?)' if near else ""
    return (
        f'Stack "{name}" not found: {folder / f"Pulumi.{name}.yaml"} does not exist{meant}. '
        f"Stacks with a file: {', '.join(known) or 'none'}."
    )


def _declared(project: ProjectFile, document: Document) -> dict[str, Any]:
    """Return full key to value: the stack file's, else the project's."""
    return {**project_values(project), **keyed(document.value.get("config"), project.name)}


def project_values(project: ProjectFile) -> dict[str, Any]:
    """Return the values that Pulumi.yaml has for every stack, including defaults."""
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
