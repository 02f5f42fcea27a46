"""The stack file of each group, generated from the fleet's file and never edited."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations import errors
from operations.configuration import content_of
from operations.files import locked, replace_text
from operations.fleet.partition import INCLUDE, KEY, PARTITIONED, Group, Partition, split
from stack_file import Configuration, Mistake, SettingsError
from stack_file.documents import NoStackFileError, may_be_file, project_file
from stack_file.files import FileError, project_values, read
from stack_file.yaml_text import write

# What encrypts the configuration and the state. Pulumi stores it in the stack file, next to `config`.
_ENCRYPTION = ("secretsprovider", "encryptedkey", "encryptionsalt")
# Begins every generated file, by which it is recognized: files in repositories have this text.
_MARKER = "# Made from Pulumi."


@dataclass(frozen=True, kw_only=True)
class FleetFile:
    """A fleet's stack file, checked and partitioned.

    Attributes:
        folder: folder of the project.
        files: folder of the stack files.
        name: name of the fleet, whose file is Pulumi.NAME.yaml.
        project: name of the project.
        content: content of the file, with encrypted values as they are.
        shared: values that Pulumi.yaml sets for every stack, by full key.
        included: sections with entries of included files, whole, by full key.
        partition: the groups.
    """

    folder: Path
    files: Path
    name: str
    project: str
    content: Mapping[str, Any] = field(repr=False)
    shared: Mapping[str, Any]
    included: Mapping[str, Any]
    partition: Partition

    def path(self, group: Group) -> Path:
        """Return the path of a group's stack file."""
        return self.files / f"Pulumi.{group.stack}.yaml"

    def text(self, group: Group) -> str:
        """Return the text of a group's stack file. Values stay encrypted with the same key or passphrase."""
        config = _with_full_keys(self.content.get("config") or {}, self.project)
        # a stack inherits a missing key from Pulumi.yaml whole, so write each stack its part, even if empty
        partitioned = {f"{self.project}:{key}" for key in PARTITIONED} & self.shared.keys()
        whole = {**{key: self.shared[key] for key in partitioned}, **config, **self.included}
        empty: dict[str, Any] = {key: {} for key in sorted(partitioned)}
        if self.shared.get(include := f"{self.project}:{INCLUDE}"):
            empty[include] = []  # its entries are in `included`
        content = {
            **{key: self.content[key] for key in _ENCRYPTION if key in self.content},
            "config": {**empty, **group.config(whole, self.project)},
        }
        return (
            f"{_MARKER}{self.name}.yaml: change that file, not this one.\n"
            f"# python -m operations fleet write --stack {self.name}\n"
            f"{write(content)}"
        )

    def foreign_files(self) -> list[Path]:
        """Return files with the name of a group's stack file that were not generated."""
        files = map(self.path, self.partition.groups)
        return [file for file in files if file.exists() and not is_generated(file)]

    def outdated_files(self) -> list[Path]:
        """Return the groups' stack files that are missing or differ from `text`."""
        return [
            self.path(group)
            for group in self.partition.groups
            if not self.path(group).exists() or self.path(group).read_text("utf-8") != self.text(group)
        ]

    def write(self, groups: Iterable[Group]) -> list[Path]:
        """Write the stack files of groups that are missing or differ, each atomically.

        Returns:
            The files that were written.
        """
        with locked(self.folder / "Pulumi.yaml"):
            outdated = self.outdated_files()
            written = []
            for group in groups:
                if self.path(group) in outdated:
                    replace_text(self.path(group), self.text(group))
                    written.append(self.path(group))
        return written


def is_generated(file: Path) -> bool:
    """Return whether a stack file was generated from a fleet's file."""
    return file.read_text("utf-8", "replace").startswith(_MARKER)


def edited_stack(folder: Path, stack: str) -> str:
    """Return the stack whose file a person edits: the fleet's, if this stack's is generated from it."""
    file = project_file(folder).stack_file(stack)
    return stack.rpartition(".")[0] if file.exists() and is_generated(file) else stack


def edited_configuration(folder: Path, configuration: Configuration) -> Configuration:
    """Return the configuration of the stack whose file a person edits; see `edited_stack`.

    Raises:
        FileError: the fleet's file cannot be read.
    """
    stack = edited_stack(folder, configuration.stack)
    return configuration if stack == configuration.stack else read(folder, stack)


def load_fleet_file(folder: Path, name: str) -> FleetFile:
    """Read, check and partition Pulumi.NAME.yaml, without decrypting values or querying the backend.

    Args:
        folder: folder of Pulumi.yaml.
        name: name of the fleet.

    Raises:
        InvalidConfigurationError: the file has mistakes.
        ProjectError: the folder has no Pulumi.yaml.
        StackNotFoundError: the folder has no Pulumi.NAME.yaml.
    """
    if not may_be_file(folder / "Pulumi.yaml"):
        raise errors.ProjectError(folder)
    try:
        configuration = read(folder, name)
        with contextlib.chdir(folder):  # paths in the file are relative to it
            partition = split(configuration)
    except NoStackFileError as error:
        raise errors.StackNotFoundError(name, f"{error} Nothing was changed.") from None
    except FileError as error:
        raise errors.InvalidConfigurationError(name, [_unreadable(name, error)]) from None
    except SettingsError as error:
        raise errors.InvalidConfigurationError(name, error.mistakes) from None
    project = project_file(folder)
    content = content_of(name, project.stack_file(name))
    shared = project_values(project)
    if mistakes := [*_without_key(configuration.stack, content), *_in_every_stack(shared, project.name)]:
        raise errors.InvalidConfigurationError(name, mistakes)
    return FleetFile(
        folder=folder,
        files=project.stack_files,
        name=configuration.stack,
        project=configuration.project,
        content=content,
        shared=shared,
        included={
            key: configuration.values[key]
            for key in dict.fromkeys(
                f"{configuration.project}:{section}" for section, _ in configuration.included
            )
        },
        partition=partition,
    )


def _with_full_keys(config: Mapping[str, Any], project: str) -> dict[str, Any]:
    """Return a configuration with the project's namespace added to keys without one."""
    return {key if ":" in key else f"{project}:{key}": value for key, value in config.items()}


def _unreadable(name: str, error: FileError) -> Mistake:
    return Mistake(
        f"Pulumi.{name}.yaml",
        str(error).rstrip("."),
        "The fleet would have no configuration",
        "Fix it by hand",
    )


def _in_every_stack(shared: Mapping[str, Any], project: str) -> Iterator[Mistake]:
    if f"{project}:{KEY}" in shared:
        yield Mistake(
            f"Pulumi.yaml: config.{project}:{KEY}",
            "it applies to every stack of the project",
            "The stacks of the groups would be fleets themselves",
            "Write it in the stack file of the fleet",
        )


def _without_key(name: str, content: Mapping[str, Any]) -> Iterator[Mistake]:
    """Check that the file has its own key; otherwise Pulumi Cloud's key of a single stack encrypts it."""
    if not any(content.get(key) for key in ("encryptedkey", "encryptionsalt")):
        yield Mistake(
            f"Pulumi.{name}.yaml",
            "it has neither encryptionsalt nor encryptedkey, so nothing says what encrypts it",
            "The stacks of the groups could not read its encrypted values",
            f"Create the stack: pulumi stack init {name} --no-select --secrets-provider=awskms://alias/KEY; "
            "if it already exists on Pulumi Cloud: "
            "pulumi stack change-secrets-provider awskms://alias/KEY",
        )
