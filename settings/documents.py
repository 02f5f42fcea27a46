"""The files of a project as the engine reads them: Pulumi.yaml, and Pulumi.STACK.yaml of each stack.

Source: Pulumi's documentation, "Pulumi project file reference", "Pulumi stack settings file reference".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings.mistakes import Mistake, nearest, path_of
from settings.yaml_text import Altered, Document, YamlError, read

STACK_FILE_KEYS = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")


class FileError(Exception):
    """A stack's files cannot be read. The message says what is wrong and what to do."""


class NoStackFileError(FileError):
    """The stack has no file."""


@dataclass(frozen=True)
class ProjectFile:
    """Pulumi.yaml.

    Attributes:
        folder: where it is.
        content: what it holds.
        altered: where the engine reads another text than the one in the file.
    """

    folder: Path
    content: Mapping[str, Any]
    altered: tuple[Altered, ...]

    @property
    def name(self) -> str:
        """The project's name, which is the namespace of its configuration."""
        return str(self.content.get("name", ""))

    @property
    def stack_files(self) -> Path:
        """The folder of the stack files."""
        return self.folder / str(self.content.get("stackConfigDir") or ".")

    def stack_file(self, stack: str) -> Path:
        """Return the file of a stack; of ORGANIZATION/PROJECT/STACK only the last part counts."""
        return self.stack_files / f"Pulumi.{stack.rpartition('/')[2]}.yaml"


def project_file(folder: Path) -> ProjectFile:
    """Read Pulumi.yaml.

    Raises:
        FileError: it cannot be read.
    """
    document = map_in(folder / "Pulumi.yaml")
    return ProjectFile(folder, document.value, document.altered)


def map_in(path: Path) -> Document:
    """Read a file that holds a map, whose `config` is a map if it has one; an empty file is an empty map.

    Raises:
        FileError: it cannot be read, or is another thing.
    """
    try:
        text = path.read_text("utf-8").removeprefix("\ufeff")
        document = read(text)
    except OSError as error:
        reason = f"{error.strerror}. Run this in the project's folder"
        raise FileError(f"{path} cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise FileError(f"{path} cannot be read: it is not UTF-8 text. Correct it.") from None
    except YamlError as error:
        raise FileError(f"{path}, {error} Correct it, then try again.") from None
    if document.value is None:
        return Document({})
    if not isinstance(document.value, dict):
        raise FileError(f'{path} is not a map. Write "key: value" lines.')
    if not isinstance(document.value.get("config"), dict | None):
        raise FileError(f'{path}: config is not a map. Write "key: value" lines, indented below it.')
    return document


def keyed(config: object, namespace: str) -> dict[str, Any]:
    """Return configuration with full keys: one without a namespace is the project's."""
    if not isinstance(config, dict):
        return {}
    return {full_key(key, namespace): value for key, value in config.items()}


def full_key(key: str, namespace: str) -> str:
    """Return a key with its namespace."""
    return key if ":" in key else f"{namespace}:{key}"


def not_as_written(altered: Altered, namespace: str) -> Mistake | None:
    """Return the mistake that a configured text would reach the program as another one; None elsewhere."""
    start, *place = altered.place
    if start != "config" or not place:
        return None
    prefix, _, key = full_key(str(place[0]), namespace).rpartition(":")
    what = "this key is" if altered.key is not None else "this value is"
    return Mistake(
        path_of(prefix, (key, *place[1:])),
        f"{what} not in quotes, and YAML reads it as a date or as another number (line {altered.line})",
        "Another text would reach AWS",
        'Write it in quotes: "..."',
    )


def misplaced(content: Mapping[str, Any], file: str, settings: tuple[str, ...]) -> Iterator[Mistake]:
    """Yield settings of the program that are outside `config:`, where nothing reads them.

    Args:
        content: of a stack file.
        file: its name.
        settings: the program's settings, without namespace.
    """
    for key in content:
        if key in STACK_FILE_KEYS:
            continue
        below = key.rpartition(":")[2] in settings
        yield Mistake(
            f"{file}: {key}",
            "it is outside config:" if below else f"unknown key{nearest(key, STACK_FILE_KEYS)}",
            "Nothing would read it",
            "Indent it below config:" if below else f"Known keys here: {', '.join(STACK_FILE_KEYS)}",
        )
