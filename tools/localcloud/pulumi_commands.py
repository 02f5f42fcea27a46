"""Run the engine's command-line program on a stack."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.localcloud.layout import Layout, SetupError


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack that commands work on: engine, project's folder, file backend's folder, whole environment."""

    pulumi: Path
    project: Path
    state: Path
    environment: Mapping[str, str]
    name: str = Layout.stack

    @property
    def project_name(self) -> str:
        """The name in Pulumi.yaml."""
        described = yaml.safe_load((self.project / "Pulumi.yaml").read_text())
        return str(described["name"])

    @property
    def states(self) -> Path:
        """The file backend's folder with a state file for each stack of the project."""
        return self.state / ".pulumi" / "stacks" / self.project_name


def local_stack(layout: Layout, environment: Mapping[str, str]) -> Stack:
    """Return the checkout's stack; only commands need `environment`."""
    return Stack(
        pulumi=layout.pulumi,
        project=layout.root,
        state=layout.state,
        environment=environment,
        name=layout.stack,
    )


def quietly(stack: Stack, *arguments: str, given: str | None = None) -> str:
    """Return a command's output; `given` is its standard input.

    Raises:
        SetupError: It failed; the message has its output.
    """
    ran = subprocess.run(
        [stack.pulumi, *arguments],
        cwd=stack.project,
        env=stack.environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        said = "".join(f"\n    {line}" for line in (ran.stdout + ran.stderr).strip().splitlines())
        raise SetupError(f"`pulumi {' '.join(arguments)}` failed:{said}")
    return ran.stdout


def shown(stack: Stack, *arguments: str) -> int:
    """Run a command on our terminal, and return its exit code.

    Ctrl-C reaches the engine too, which then finishes what it began and writes its state: we wait for it.

    Raises:
        KeyboardInterrupt: once the interrupted engine has ended.
    """
    sys.stdout.flush()
    process = subprocess.Popen([stack.pulumi, *arguments], cwd=stack.project, env=stack.environment)
    interrupted = False
    while True:
        try:
            returncode = process.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return returncode


def select(stack: Stack) -> None:
    """Create the stack unless it is there, and make it the one that commands typed by hand work on."""
    quietly(stack, "stack", "select", "--create", stack.name)


def outputs(stack: Stack) -> dict[str, Any]:
    """Return the stack's outputs; secret ones are masked."""
    return dict(json.loads(quietly(stack, "stack", "output", "--json", "--stack", stack.name)))


def exported_texts(stack: Stack) -> frozenset[str]:
    """Return every text in the stack's outputs, however deep, without a command."""
    resources = checkpoint(stack).get("resources") or []
    return frozenset(
        text
        for resource in resources
        if resource["type"] == "pulumi:pulumi:Stack"
        for text in _texts(resource.get("outputs"))
    )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def last_changes(stack: Stack) -> dict[str, int]:
    """Return the last update's number of resources by operation, `same` for unchanged ones."""
    options = ("--json", "--page-size", "1", "--page", "1", "--stack", stack.name)
    history = json.loads(quietly(stack, "stack", "history", *options))
    return dict(history[0].get("resourceChanges") or {}) if history else {}


def checkpoint(stack: Stack) -> dict[str, Any]:
    """Return the deployment in the file backend (`resources`, `pending_operations`), empty without one."""
    return deployment_in(stack.states / f"{stack.name}.json")


def deployment_in(state: Path) -> dict[str, Any]:
    """Return what `checkpoint` does, for this state file."""
    if not state.exists():
        return {}
    return dict(json.loads(state.read_text())["checkpoint"].get("latest") or {})
