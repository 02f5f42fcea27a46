"""Stacks of this program as subjects: secrets with a generated key each, in one stack or ten; the example."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clouds import Cloud
from benchmarks.operations import CHANGE, DESTROY, FIRST_UP, PREVIEW, REFRESH, UP, Subject
from localcloud.environment import STACK
from localcloud.pulumi_commands import Stack, quietly

PRODUCT = "aws-secrets"
FLEET = "aws-secrets, fleet of 10"
EXAMPLE = "aws-secrets, example stack"

_MADE_STACK = "benchmark"
_MADE_FLEET = "divided"
_PARTS = 10
_CHANGED = "Changed"


def configuration(secrets: int) -> dict[str, Any]:
    """The stack-wide and per-secret settings of a stack of this many secrets, without what encrypts it."""
    declared = {
        # no more than this: a configuration may take 128 KiB (docs/stack-file.md)
        f"benchmark/secret-{number:04}": {
            "values": {"SECRET_KEY_BASE": {"random": {"length": 32, "special": False}}}
        }
        for number in range(secrets)
    }
    return {"aws:region": "us-east-1", "aws-secrets:recoveryWindowDays": 0, "aws-secrets:secrets": declared}


def made_stack(cloud: Cloud, secrets: int) -> Subject:
    """A new stack of this many secrets."""
    stack = _stack(cloud, _MADE_STACK)
    quietly(stack, "stack", "init", stack.name)
    file = cloud.layout.root / f"Pulumi.{stack.name}.yaml"
    written = yaml.safe_load(file.read_text()) if file.exists() else {}
    _write(file, {**written, "config": configuration(secrets)})
    return _subject(PRODUCT, cloud, stack, secrets)


def made_fleet(cloud: Cloud, secrets: int) -> Subject:
    """The same secrets divided over ten stacks, as many at once as there are processors."""
    stack = _stack(cloud, _MADE_FLEET)
    quietly(stack, "stack", "init", stack.name)
    file = cloud.layout.root / f"Pulumi.{stack.name}.yaml"
    written = yaml.safe_load(file.read_text()) if file.exists() else {}
    _write(file, {**written, "config": configuration(secrets) | {"aws-secrets:fleet": {"parts": _PARTS}}})

    def command(*arguments: str) -> list[str]:
        return [str(cloud.layout.python), "-m", "automation.fleet", *arguments, "--stack", stack.name]

    states = stack.state / ".pulumi" / "stacks" / stack.project_name
    update = command("up", "--yes")
    return Subject(
        name=FLEET,
        secrets=secrets,
        folder=stack.project,
        environment=cloud.environment,
        commands={
            FIRST_UP: update,
            PREVIEW: command("preview"),
            UP: update,
            CHANGE: update,
            REFRESH: command("refresh", "--yes"),
            DESTROY: command("destroy", "--yes"),
        },
        change=_changing(file),
        states=lambda: sorted(states.glob(f"{stack.name}.*.json")),
        resources=_resources,
    )


def example_stack(cloud: Cloud) -> Subject:
    """The example as `make up` runs it. Its secrets are counted from the stack file."""
    stack = _stack(cloud, STACK)
    quietly(stack, "stack", "init", stack.name)
    config = yaml.safe_load((cloud.layout.root / f"Pulumi.{stack.name}.yaml").read_text())["config"]
    logins = (database["logins"] for database in config.get("aws-secrets:databases", {}).values())
    return _subject(EXAMPLE, cloud, stack, len(config["aws-secrets:secrets"]) + sum(map(len, logins)))


def _stack(cloud: Cloud, name: str) -> Stack:
    layout = cloud.layout
    return Stack(
        pulumi=layout.pulumi,
        project=layout.root,
        state=layout.state,
        environment=cloud.environment,
        name=name,
    )


def _subject(name: str, cloud: Cloud, stack: Stack, secrets: int) -> Subject:
    pulumi = [str(stack.pulumi), "--non-interactive", "--color=never"]

    def command(*arguments: str) -> list[str]:
        return [*pulumi, *arguments, "--stack", stack.name]

    update = command("up", "--yes", "--skip-preview")
    return Subject(
        name=name,
        secrets=secrets,
        folder=stack.project,
        environment=cloud.environment,
        commands={
            FIRST_UP: update,
            PREVIEW: command("preview"),
            UP: update,
            CHANGE: update,
            REFRESH: command("refresh", "--yes", "--skip-preview"),
            DESTROY: command("destroy", "--yes", "--skip-preview"),
        },
        change=_changing(stack.project / f"Pulumi.{stack.name}.yaml"),
        states=lambda: [stack.state / ".pulumi" / "stacks" / stack.project_name / f"{stack.name}.json"],
        resources=_resources,
    )


def _resources(state: Path) -> int:
    latest = json.loads(state.read_text())["checkpoint"].get("latest") or {}
    return len(latest.get("resources") or ())


def _changing(file: Path) -> Callable[[], None]:
    def change() -> None:
        written = yaml.safe_load(file.read_text())
        declared = written["config"]["aws-secrets:secrets"]
        declared[next(iter(declared))]["description"] = _CHANGED
        _write(file, written)

    return change


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))
