"""The stack file of each group, made from the one of the fleet and never edited."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import settings
from automation import errors
from automation.configuration import content_of
from automation.fleet.division import DIVIDED, KEY, Division, Group, divide
from automation.locks import locked
from settings.documents import project_file
from settings.files import FileError, project_values, read
from settings.yaml_text import write

# What encrypts configuration and state: Pulumi keeps it in the stack file, beside `config`.
_ENCRYPTION = ("secretsprovider", "encryptedkey", "encryptionsalt")
_FIRST_WORDS = "# Made from Pulumi."


@dataclass(frozen=True, kw_only=True)
class Source:
    """The fleet's file, checked and divided.

    Attributes:
        folder: of the project.
        files: folder of the stack files.
        name: of the fleet: its file is Pulumi.NAME.yaml.
        project: its name.
        content: the file, encrypted values as they are in it.
        shared: full key to value of what Pulumi.yaml has for every stack.
        division: what each stack makes.
    """

    folder: Path
    files: Path
    name: str
    project: str
    content: Mapping[str, Any] = field(repr=False)
    shared: Mapping[str, Any]
    division: Division

    def file(self, group: Group) -> Path:
        """Of the group's stack."""
        return self.files / f"Pulumi.{group.stack}.yaml"

    def text(self, group: Group) -> str:
        """What that file must hold: the values are still encrypted, by the same key or passphrase."""
        config = _full(self.content.get("config") or {}, self.project)
        # what a stack does not have is taken from Pulumi.yaml whole, so each has its part of that, or none
        divided = {f"{self.project}:{key}" for key in DIVIDED} & self.shared.keys()
        whole = {**{key: self.shared[key] for key in divided}, **config}
        content = {
            **{key: self.content[key] for key in _ENCRYPTION if key in self.content},
            "config": {**{key: {} for key in sorted(divided)}, **group.config(whole, self.project)},
        }
        return (
            f"{_FIRST_WORDS}{self.name}.yaml: change that file, not this one.\n"
            f"# python -m automation.fleet write --stack {self.name}\n"
            f"{write(content)}"
        )

    def foreign(self) -> list[Path]:
        """Files of groups' names that were not made from this one."""
        return [file for file in map(self.file, self.division.groups) if file.exists() and not is_made(file)]

    def different(self) -> list[Path]:
        """Files that are not there, or not what they must be."""
        return [
            self.file(group)
            for group in self.division.groups
            if not self.file(group).exists() or self.file(group).read_text("utf-8") != self.text(group)
        ]

    def write(self, groups: Iterable[Group]) -> list[Path]:
        """Writes what differs, each file at one stroke; returns what was written."""
        written = []
        with locked(self.folder / "Pulumi.yaml"):
            differing = self.different()
            for group in groups:
                file = self.file(group)
                if file in differing:
                    new = file.with_name(f".{file.name}.{os.getpid()}")
                    new.write_text(self.text(group), "utf-8")
                    new.replace(file)
                    written.append(file)
        return written


def is_made(file: Path) -> bool:
    """Whether a stack file was made from a fleet's."""
    return file.read_text("utf-8", "replace").startswith(_FIRST_WORDS)


def source(folder: Path, name: str) -> Source:
    """Reads, checks and divides Pulumi.NAME.yaml; asks nobody and decrypts nothing.

    Raises:
        BadSettings: with every mistake there is.
        NoProject: there is no Pulumi.yaml.
    """
    if not (folder / "Pulumi.yaml").exists():
        raise errors.NoProject(folder)
    try:
        configuration = read(folder, name)
        with contextlib.chdir(folder):  # paths in it are relative to it
            division = divide(configuration)
    except FileError as error:
        raise errors.BadSettings(name, [_unreadable(name, str(error))]) from None
    except settings.SettingsError as error:
        raise errors.BadSettings(name, error.mistakes) from None
    project = project_file(folder)
    content = content_of(name, project.stack_file(name))
    shared = project_values(project)
    if mistakes := [*_without_key(configuration.stack, content), *_in_every_stack(shared, project.name)]:
        raise errors.BadSettings(name, mistakes)
    return Source(
        folder=folder,
        files=project.stack_files,
        name=configuration.stack,
        project=configuration.project,
        content=content,
        shared=shared,
        division=division,
    )


def _full(config: Mapping[str, Any], project: str) -> dict[str, Any]:
    """With full keys: one without a namespace is the project's."""
    return {key if ":" in key else f"{project}:{key}": value for key, value in config.items()}


def _unreadable(name: str, why: str) -> settings.Mistake:
    return settings.Mistake(
        f"Pulumi.{name}.yaml", why.rstrip("."), "Nothing in it would count", "Put it right by hand"
    )


def _in_every_stack(shared: Mapping[str, Any], project: str) -> Iterator[settings.Mistake]:
    if f"{project}:{KEY}" in shared:
        yield settings.Mistake(
            f"Pulumi.yaml: config.{project}:{KEY}",
            "it is for every stack of the project",
            "The stacks of the groups would be fleets themselves",
            "Write it into the stack file of the fleet",
        )


def _without_key(name: str, content: Mapping[str, Any]) -> Iterator[settings.Mistake]:
    """Without a key of its own the file's encrypted values are for one stack of Pulumi Cloud alone."""
    if not any(content.get(key) for key in ("encryptedkey", "encryptionsalt")):
        yield settings.Mistake(
            f"Pulumi.{name}.yaml",
            "it does not say what encrypts it: there is neither encryptionsalt nor encryptedkey",
            "The stacks of the groups could not read its encrypted values",
            f"Make the stack: pulumi stack init {name} --no-select --secrets-provider=awskms://alias/KEY; "
            "or, for one that Pulumi Cloud encrypts: pulumi stack change-secrets-provider awskms://alias/KEY",
        )
