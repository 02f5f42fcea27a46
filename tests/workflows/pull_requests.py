"""A repository with a pull request, as the report's job finds it: GitHub's merge of a head into a base."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.layout import checkout
from tests import example_project

_ROOT = checkout().root
_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "nobody"), ("EMAIL", "nobody@example.com"))
}
# What `python -m automation.report` runs, and what makes it this project.
_PACKAGES = ("automation", "components", "settings", "workloads")
_FILES = ("README.md", "__main__.py", "requirements.txt")
_EXAMPLE_FILES = ("Pulumi.yaml", "Pulumi.dev.yaml")

# What the engine writes of a preview that finds nothing to do.
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
    """A repository, at the merge.

    Attributes:
        folder: the clone.
        head: the pull request's newest commit.
    """

    folder: Path
    head: str


def git(folder: Path, *arguments: str) -> str:
    """What git prints; nothing of the user's configuration counts."""
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
    """Makes a repository with the base; the whole of what the report runs, or only a few files."""
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
    """Merges a branch with changed files into the base: path to content, or None for a file that goes."""
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
    """Commits what is there on the branch `proposed`, and merges that as GitHub does."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "proposed")
    head = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "--quiet", "--detach", "main")
    git(folder, "merge", "--quiet", "--no-ff", "--message", "merge", "proposed")
    return PullRequest(folder, head)


def virtual_environment(folder: Path) -> None:
    """Stands for what `pip install` made: this environment's packages, none of them from the checkout."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
