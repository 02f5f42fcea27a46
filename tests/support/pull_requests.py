"""Repositories with a pull request, as the report's job checks them out: merged into the base by GitHub."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support import example_project
from tools.localcloud.layout import checkout

_ROOT = checkout().root
_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "nobody"), ("EMAIL", "nobody@example.com"))
}
# The packages that `python -m operations report` imports, and the project's files.
_PACKAGES = ("operations", "components", "stack_file")
_FILES = ("README.md", "__main__.py", "requirements.txt")
_EXAMPLE_FILES = ("Pulumi.yaml", "Pulumi.dev.yaml")

# The log of a preview without changes.
HARMLESS_LOG = "\n".join(
    json.dumps(event)
    for event in (
        {"sequence": 0, "preludeEvent": {"config": {}}},
        {"sequence": 1, "summaryEvent": {"isPreview": True, "resourceChanges": {}, "result": "succeeded"}},
        {"sequence": 2, "cancelEvent": {}},
    )
)


@dataclass(frozen=True)
class PullRequest:
    """A repository at the merge commit of a pull request.

    Attributes:
        folder: the clone.
        head: the pull request's latest commit.
    """

    folder: Path
    head: str


def git(folder: Path, *arguments: str) -> str:
    """Run git without the user's configuration and return its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **_NOBODY,
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def base_in(folder: Path, *, whole: bool = False) -> None:
    """Create a repository with the base.

    Args:
        folder: the new repository.
        whole: whether it has all packages that the report imports, or only the project's files.
    """
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name in _FILES:
        shutil.copyfile(_ROOT / name, folder / name)
    for name in _EXAMPLE_FILES:
        shutil.copyfile(example_project.FOLDER / name, folder / name)
    if whole:
        for name in _PACKAGES:
            shutil.copytree(_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "base")


def pull_request(folder: Path, changed: Mapping[str, str | None]) -> PullRequest:
    """Merge a branch with changed files into the base.

    Args:
        folder: the repository.
        changed: path to content; None deletes the file.
    """
    git(folder, "checkout", "--quiet", "-B", "proposed", "main")
    for name, content in changed.items():
        path = folder / name
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_text(content)
    return merged(folder)


def merged(folder: Path) -> PullRequest:
    """Commit the working tree to the branch `proposed` and merge it as GitHub does."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "proposed")
    head = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "--quiet", "--detach", "main")
    git(folder, "merge", "--quiet", "--no-ff", "--message", "merge", "proposed")
    return PullRequest(folder, head)


def virtual_environment(folder: Path) -> None:
    """Create a stand-in for an installed virtual environment, with the packages of this one."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
