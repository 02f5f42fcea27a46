"""Check whether a change could have forged the log of its own preview.

The engine writes the log, but the program runs as the same user and can write it too. So a log is trusted
only if the change touches nothing that a preview runs. The two commits are compared with git's plumbing
commands: nothing of the change is run, imported or checked out.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from operations.report.model import Component, Danger, Kind, Name, named
from stack_file.include import FOLDER

# A preview reads neither Markdown nor the files of other stacks.
_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>[^/]+)\.yaml")
# Files that a stack file includes (stack_file/include.py): nothing there is run. The engine's own
# files can be there, too (stackConfigDir).
_DECLARATIONS = re.compile(rf"{FOLDER}/(?:[^/]+/)*(?!(?i:Pulumi)\.)[^/]+\.yaml")
_NOT_RUN = re.compile(r"(?:[^/]+/)*[^/]+\.md")
_REGULAR_FILE = "100644"
_NO_FILE = "000000"
# `pulumi stack init` writes these, and a stack needs a region: harmless in a new file.
_OF_A_NEW_STACK = frozenset(
    {"aws:region", "encryptedkey", "encryptionsalt", "pulumi:autonaming", "secretsprovider"}
)


class ComparisonError(Exception):
    """The two commits cannot be compared; the message gives the reason."""


@dataclass(frozen=True)
class Comparison:
    """Two commits of a repository.

    Attributes:
        repository: a clone that has both, whatever is checked out there.
        base: the commit that the change is compared with.
        change: the commit of the change.
    """

    repository: Path
    base: str
    change: str = "HEAD"


def dangers(comparison: Comparison, stack: str) -> list[Danger]:
    """Return the dangers that make the log of a preview untrustworthy.

    Args:
        comparison: the change.
        stack: name of the stack that was previewed.

    Returns:
        The dangers; none if the change touches only Markdown, declarations, and this program's keys in stack
        files.

    Raises:
        ComparisonError: the repository or a commit does not exist.
    """
    paths = [path for path, modes in _changed(comparison) if not _is_harmless(path, modes)]
    return [*_of_files(paths), *_of_stack_file(comparison, stack)]


def _changed(comparison: Comparison) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the path of each file that differs, with its mode before and after."""
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
    for metadata, path in zip(fields[::2], fields[1::2], strict=True):
        before, after = metadata.removeprefix(":").split(" ")[:2]
        yield path, (before, after)


def _is_harmless(path: str, modes: tuple[str, str]) -> bool:
    """Return whether a preview does not run this file; a symbolic link may point to any file."""
    known = _STACK_FILE.fullmatch(path) or _DECLARATIONS.fullmatch(path) or _NOT_RUN.fullmatch(path)
    return known is not None and set(modes) <= {_REGULAR_FILE, _NO_FILE}


def _of_files(paths: Sequence[str]) -> Iterator[Danger]:
    if paths:
        yield Danger(
            kind=Kind.CANNOT_BE_JUDGED,
            component=Component(what="program", name="repository"),
            text=(
                "Changes ",
                *named(paths),
                ": a changed program can forge its own preview, so review the program as well",
            ),
        )


def _of_stack_file(comparison: Comparison, stack: str) -> Iterator[Danger]:
    """Yield the dangers of changed settings that can point the preview to another cloud."""
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
            text=("Cannot be parsed as a stack file, before or after the change",),
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
                ": settings of the engine or a provider can point a preview to another cloud",
            ),
        )


def _settings(comparison: Comparison, commit: str, file: str) -> Mapping[str, Any] | None:
    """Return all settings of a stack file except this program's; None if the file does not exist.

    Raises:
        ValueError, yaml.YAMLError: the file is not a valid stack file.
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
    """Return the project's name in the base."""
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
