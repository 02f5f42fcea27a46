"""A stack's configuration read from its files, where no engine hands it over.

Source: Pulumi's documentation, "Configuration", "Pulumi project file reference", "Pulumi stack settings file
reference".
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from settings.checking import Configuration, parsed

# An encrypted value is not read: where one is nested in a structure, this stands for it.
_ENCRYPTED = "(encrypted)"


class FileError(Exception):
    """A stack's files cannot be read. The message says what is wrong and what to do."""


def read(folder: Path, stack: str) -> Configuration:
    """What Pulumi.yaml and Pulumi.STACK.yaml in a folder say; encrypted values stay unread.

    Args:
        folder: of the project.
        stack: name of the stack, also as ORGANIZATION/PROJECT/STACK.

    Raises:
        FileError: there is no such stack, or a file is no YAML map.
    """
    project = _map_in(folder / "Pulumi.yaml")
    namespace, name = str(project.get("name", "")), stack.rpartition("/")[2]
    stacks = folder / str(project.get("stackConfigDir") or ".")
    path = stacks / f"Pulumi.{name}.yaml"
    if not path.is_file():
        raise FileError(_no_such_stack(name, stacks))
    file = _map_in(path)
    if file.get("environment"):
        raise FileError(
            f"{path} takes configuration from Pulumi ESC environments. Only the file itself is read here, so "
            "what it declares would be known in part. Write the structure into the file."
        )
    declared = {**_defaults(project, namespace), **_keyed(file.get("config"), namespace)}
    return Configuration(
        project=namespace,
        stack=name,
        values={key: _as_engine_gives_it(value) for key, value in declared.items()},
        encrypted=frozenset(key for key, value in declared.items() if _has_encrypted(value)),
    )


def stacks_in(folder: Path) -> list[str]:
    """Names of the stacks that have a file there."""
    return sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in folder.glob("Pulumi.?*.yaml"))


def _no_such_stack(name: str, folder: Path) -> str:
    known = stacks_in(folder)
    near = difflib.get_close_matches(name, known, n=1)
    meant = f' (did you mean "{near[0]}"?)' if near else ""
    return (
        f'There is no stack "{name}" here: {folder / f"Pulumi.{name}.yaml"} does not exist{meant}. '
        f"Stacks with a file: {', '.join(known) or 'none'}."
    )


def _map_in(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise FileError(f"{path} cannot be read: {reason}. Run this in the project's folder.") from None
    except yaml.YAMLError as error:
        # yaml's own message shows a piece of the file
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise FileError(f"{path}{where}: this is no YAML ({problem}). Correct it, then try again.") from None
    if not isinstance(found, dict):
        raise FileError(f'{path} holds no map. Write "key: value" lines.')
    return found


def _defaults(project: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """What Pulumi.yaml declares for every stack: a value, or what to take where a stack has none."""
    found = {}
    for key, about in _keyed(project.get("config"), namespace).items():
        if not isinstance(about, dict):
            found[key] = about
        elif "value" in about or "default" in about:
            found[key] = about.get("value", about.get("default"))
    return found


def _keyed(config: object, namespace: str) -> dict[str, Any]:
    """With full keys: one without a namespace is the project's."""
    if not isinstance(config, dict):
        return {}
    return {key if ":" in key else f"{namespace}:{key}": value for key, value in config.items()}


def _is_encrypted(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"secure"}


def _has_encrypted(value: object) -> bool:
    if isinstance(value, dict):
        return _is_encrypted(value) or any(_has_encrypted(item) for item in value.values())
    return isinstance(value, list) and any(_has_encrypted(item) for item in value)


def _as_engine_gives_it(value: object) -> Any:  # noqa: ANN401  whatever JSON holds
    known = _without_encrypted(value)
    # of what YAML knows and JSON does not, such as dates, Pulumi makes texts
    return parsed(known) if isinstance(known, str) else json.loads(json.dumps(known, default=str))


def _without_encrypted(value: object) -> object:
    if _is_encrypted(value):
        return _ENCRYPTED
    if isinstance(value, dict):
        return {key: _without_encrypted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_encrypted(item) for item in value]
    return value
