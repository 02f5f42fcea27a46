"""Read Pulumi.yaml and Pulumi.STACK.yaml as the engine does.

Source: Pulumi's documentation, "Pulumi project file reference", "Pulumi stack settings file reference".
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack_file.mistakes import Mistake, nearest, path_of
from stack_file.yaml_text import Altered, Document, YamlError, read

_WRITE_MAP = 'Write "key: value" lines'

# stands for an encrypted value that is nested in a structure
_ENCRYPTED = "(encrypted)"

STACK_FILE_KEYS = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")


class FileError(Exception):
    """A stack's files cannot be read. The message has the cause and the remedy."""


class NoStackFileError(FileError):
    """The stack has no file."""


class UnreadableError(FileError):
    """A file cannot be read.

    Attributes:
        wrong: what is wrong, without the file's name.
        remedy: what to do.
    """

    def __init__(self, path: Path, wrong: str, remedy: str) -> None:
        super().__init__(f"{path}{'' if wrong.startswith((',', ':')) else ' '}{wrong}. {remedy}.")
        self.wrong = wrong.lstrip(",: ")
        self.remedy = remedy


@dataclass(frozen=True)
class ProjectFile:
    """Pulumi.yaml.

    Attributes:
        folder: the project's folder.
        content: the file's content.
        altered: values that the engine reads as another text.
    """

    folder: Path
    content: Mapping[str, Any]
    altered: tuple[Altered, ...]

    @property
    def name(self) -> str:
        """The project's name: the namespace of its configuration."""
        return str(self.content.get("name", ""))

    @property
    def stack_files(self) -> Path:
        """Folder of the stack files."""
        return self.folder / str(self.content.get("stackConfigDir") or ".")

    def stack_file(self, stack: str) -> Path:
        """Return the file of a stack, given by NAME or ORGANIZATION/PROJECT/NAME."""
        return self.stack_files / f"Pulumi.{stack.rpartition('/')[2]}.yaml"


def may_be_file(path: Path) -> bool:
    """Return whether a path is a file, or cannot be looked up: reading it then has the reason."""
    try:
        return path.is_file()
    except OSError:  # not readable by this user, or too long a name
        return True


def project_file(folder: Path) -> ProjectFile:
    """Read Pulumi.yaml.

    Raises:
        FileError: it cannot be read.
    """
    document = map_in(folder / "Pulumi.yaml")
    return ProjectFile(folder, document.value, document.altered)


def map_in(path: Path) -> Document:
    """Read a file of the engine that is a map, or empty.

    Raises:
        FileError: it cannot be read, or it or its `config` is not a map.
    """
    document = any_map_in(path, "Run this in the project's folder")
    if not isinstance(document.value.get("config"), dict | None):
        raise UnreadableError(path, ": config is not a map", f"{_WRITE_MAP}, indented below it")
    return document


def any_map_in(path: Path, remedy: str) -> Document:
    """Read a file that is a map, or empty.

    Args:
        path: the file.
        remedy: what to do if the system cannot read it.

    Raises:
        UnreadableError: it cannot be read, or is not a map.
    """
    try:
        document = read(path.read_text("utf-8").removeprefix("\ufeff"))
    except OSError as error:
        raise UnreadableError(path, f"cannot be read: {error.strerror}", remedy) from None
    except UnicodeDecodeError:
        raise UnreadableError(path, "is not UTF-8 text", "Save it as UTF-8") from None
    except YamlError as error:
        raise UnreadableError(path, f", {str(error).removesuffix('.')}", "Correct the file") from None
    if document.value is None:
        return Document({})
    if not isinstance(document.value, dict):
        raise UnreadableError(path, "is not a map", _WRITE_MAP)
    return document


def keyed(config: object, namespace: str) -> dict[str, Any]:
    """Return configuration with full keys; a key without a namespace is the project's."""
    if not isinstance(config, dict):
        return {}
    return {full_key(key, namespace): value for key, value in config.items()}


def full_key(key: str, namespace: str) -> str:
    """Return a key with its namespace."""
    return key if ":" in key else f"{namespace}:{key}"


def not_as_written(altered: Altered, namespace: str) -> Mistake | None:
    """Return a mistake if the program would get another text than the file has; None outside `config`."""
    start, *place = altered.place
    if start != "config" or not place:
        return None
    prefix, _, key = full_key(str(place[0]), namespace).rpartition(":")
    return not_as_written_at(path_of(prefix, (key, *place[1:])), altered)


def not_as_written_at(path: str, altered: Altered) -> Mistake:
    """Return the mistake that the program would get another text than the file has."""
    what = "this key is" if altered.key is not None else "this value is"
    return Mistake(
        path,
        f"{what} without quotes, and YAML reads it as a date or as another number (line {altered.line})",
        "AWS would get another text",
        'Put it in quotes: "..."',
    )


def misplaced(content: Mapping[str, Any], file: str, settings: tuple[str, ...]) -> Iterator[Mistake]:
    """Yield settings of the program that are outside `config:`, where they are ignored.

    Args:
        content: the content of a stack file.
        file: the file's name.
        settings: the program's settings, without namespace.
    """
    for key in content:
        if key in STACK_FILE_KEYS:
            continue
        below = key.rpartition(":")[2] in settings
        yield Mistake(
            f"{file}: {key}",
            "it is outside config:" if below else f"unknown key{nearest(key, STACK_FILE_KEYS)}",
            "It would be ignored",
            "Indent it below config:" if below else f"Known keys here: {', '.join(STACK_FILE_KEYS)}",
        )


def parsed(text: str) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return a config value; Pulumi keeps structures, numbers and booleans as JSON texts."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def as_engine_passes_it(value: object) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return a file's value as the engine passes it to the program, parsed; encrypted values are marked."""
    known = _without_encrypted(value)
    return parsed(known) if isinstance(known, str) else json.loads(json.dumps(known))


def encrypted_places(value: object, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Yield the places of encrypted values."""
    if isinstance(value, dict):
        if is_encrypted(value):
            yield place
            return
        for key, item in value.items():
            yield from encrypted_places(item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from encrypted_places(item, (*place, index))


def has_encrypted(value: object) -> bool:
    """Return whether a value is encrypted, in whole or in part."""
    return any(True for _ in encrypted_places(value, ()))


def is_encrypted(value: object) -> bool:
    """Return whether the engine takes a value for an encrypted one: a map of the key "secure" to a text."""
    return isinstance(value, dict) and value.keys() == {"secure"} and isinstance(value["secure"], str)


def _without_encrypted(value: object) -> object:
    if isinstance(value, dict):
        if is_encrypted(value):
            return _ENCRYPTED
        return {key: _without_encrypted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_encrypted(item) for item in value]
    return value
