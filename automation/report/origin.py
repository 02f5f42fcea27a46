"""Whether a change can decide what the log of its own preview says.

The engine writes the log, but the program runs as the same user and can write it as well. So a log counts as
the engine's only where the change leaves alone everything that a preview runs. The two commits are compared
here by git's plumbing: nothing of the change is run, imported or checked out.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from automation.report.model import Component, Danger, Kind, Name, named

# A preview reads other stacks' files no more than it reads Markdown.
_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>[^/]+)\.yaml")
_NOT_RUN = re.compile(r"(?:[^/]+/)*[^/]+\.md")
_REGULAR_FILE = "100644"
_NO_FILE = "000000"
# `pulumi stack init` writes these, and a stack needs a region: of a file that is new they say nothing.
_OF_A_NEW_STACK = frozenset(
    {"aws:region", "encryptedkey", "encryptionsalt", "pulumi:autonaming", "secretsprovider"}
)


class ComparisonError(Exception):
    """The two commits cannot be compared; the message says why."""


@dataclass(frozen=True)
class Comparison:
    """Two commits of a repository.

    Attributes:
        repository: a clone that has both; what is checked out there does not matter.
        base: the commit that the change is compared with.
        change: the commit of the change.
    """

    repository: Path
    base: str
    change: str = "HEAD"


def dangers(comparison: Comparison, stack: str) -> list[Danger]:
    """Return what makes the log of a preview doubtful.

    Args:
        comparison: the change.
        stack: name of the stack that was previewed.

    Returns:
        Nothing where the change leaves alone everything but Markdown and what a stack file sets for this
        program.

    Raises:
        ComparisonError: git knows no such repository or commit.
    """
    paths = [path for path, modes in _changed(comparison) if not _is_harmless(path, modes)]
    return [*_of_files(paths), *_of_stack_file(comparison, stack)]


def _changed(comparison: Comparison) -> Iterator[tuple[str, tuple[str, str]]]:
    """The path of each file that differs, with its mode before and after."""
    listed = _git(
        comparison,
        "diff-tree",
        "-r",
        "-z",
        "--no-renames",
        f"{comparison.base}^{{tree}}",
        f"{comparison.change}^{{tree}}",
    )
    fields = listed.decode("utf-8", "backslashreplace").split("\0")[:-1]
    for about, path in zip(fields[::2], fields[1::2], strict=True):
        before, after = about.removeprefix(":").split(" ")[:2]
        yield path, (before, after)


def _is_harmless(path: str, modes: tuple[str, str]) -> bool:
    """Return whether a preview runs nothing of it; a symbolic link can stand for any file."""
    known = _STACK_FILE.fullmatch(path) or _NOT_RUN.fullmatch(path)
    return known is not None and set(modes) <= {_REGULAR_FILE, _NO_FILE}


def _of_files(paths: Sequence[str]) -> Iterator[Danger]:
    if paths:
        yield Danger(
            kind=Kind.CANNOT_BE_JUDGED,
            component=Component(what="program", name="repository"),
            text=(
                "Changes ",
                *named(paths),
                ": a changed program can make its preview say anything, so review the program as well",
            ),
        )


def _of_stack_file(comparison: Comparison, stack: str) -> Iterator[Danger]:
    """Settings of the engine and its providers can lead the preview to another cloud."""
    file = f"Pulumi.{stack}.yaml"
    component = Component(what="program", name=file)
    try:
        before, after = (
            _settings(comparison, commit, file) for commit in (comparison.base, comparison.change)
        )
    except (yaml.YAMLError, ValueError, RecursionError):
        yield Danger(
            kind=Kind.CANNOT_BE_JUDGED,
            component=component,
            text=("Is not a stack file that can be read, before or after the change",),
        )
        return
    if after is None:
        return
    excused = _OF_A_NEW_STACK if before is None else frozenset[str]()
    others = [key for key in {*(before or {}), *after} - excused if (before or {}).get(key) != after.get(key)]
    if others:
        yield Danger(
            kind=Kind.CANNOT_BE_JUDGED,
            component=component,
            text=(
                "Changes ",
                *named(others),
                " in ",
                Name(file),
                ": settings of the engine and its providers can lead a preview to another cloud",
            ),
        )


def _settings(comparison: Comparison, commit: str, file: str) -> Mapping[str, Any] | None:
    """Everything that a stack file sets for others than this program; None where there is no such file.

    Raises:
        ValueError, yaml.YAMLError: it cannot be read.
    """
    listed = _git(comparison, "ls-tree", "-z", commit, "--", file)
    if not listed:
        return None
    if listed.split(b" ")[1] != b"blob":
        raise ValueError(file)
    content = yaml.safe_load(_git(comparison, "cat-file", "blob", f"{commit}:{file}").decode())
    if content is None:
        return {}
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not (config is None or isinstance(config, dict)):
        raise ValueError(file)
    project = _project(comparison)
    return {
        **{str(key): value for key, value in content.items() if key != "config"},
        **{
            str(key): value for key, value in (config or {}).items() if not str(key).startswith(f"{project}:")
        },
    }


def _project(comparison: Comparison) -> str:
    """The project's name, as the base has it."""
    described = yaml.safe_load(
        _git(comparison, "cat-file", "blob", f"{comparison.base}:Pulumi.yaml").decode()
    )
    return str(described["name"]) if isinstance(described, dict) and "name" in described else ""


def _git(comparison: Comparison, *arguments: str) -> bytes:
    command = ["git", "-C", str(comparison.repository), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise ComparisonError(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        raise ComparisonError(
            f"{comparison.base} and {comparison.change} of {comparison.repository} cannot be compared: "
            f"{done.stderr.decode('utf-8', 'replace').strip()}"
        )
    return done.stdout
