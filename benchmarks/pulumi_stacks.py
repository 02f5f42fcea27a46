"""Stacks of this program as subjects: secrets with a generated key each, in one stack or ten; the example."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clouds import Cloud
from benchmarks.operations import CHANGE, DESTROY, FIRST_UP, PREVIEW, REFRESH, UP, Subject
from localcloud.environment import STACK
from localcloud.pulumi_commands import Stack, deployment_in, quietly

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
    stack = _declared(cloud, _MADE_STACK, configuration(secrets))
    return _subject(PRODUCT, stack, secrets)


def made_fleet(cloud: Cloud, secrets: int) -> Subject:
    """The same secrets divided over ten stacks, as many at once as there are processors."""
    divided = configuration(secrets) | {"aws-secrets:fleet": {"parts": _PARTS}}
    stack = _declared(cloud, _MADE_FLEET, divided)
    fleet = [str(cloud.layout.python), "-m", "automation.fleet"]
    return replace(
        _subject(FLEET, stack, secrets),
        commands=_commands(fleet, ["--yes"], stack),
        states=lambda: sorted(stack.states.glob(f"{stack.name}.*.json")),
    )


def _declared(cloud: Cloud, name: str, config: Mapping[str, Any]) -> Stack:
    """A new, empty stack with this configuration."""
    stack = _stack(cloud, name)
    quietly(stack, "stack", "init", stack.name)
    file = _file(stack)
    written = yaml.safe_load(file.read_text()) if file.exists() else {}
    _write(file, {**written, "config": config})
    return stack


def example_stack(cloud: Cloud) -> Subject:
    """The example as `make up` runs it. Its secrets are counted from the stack file."""
    stack = _stack(cloud, STACK)
    quietly(stack, "stack", "init", stack.name)
    config = yaml.safe_load(_file(stack).read_text())["config"]
    logins = (database["logins"] for database in config.get("aws-secrets:databases", {}).values())
    return _subject(EXAMPLE, stack, len(config["aws-secrets:secrets"]) + sum(map(len, logins)))


def _stack(cloud: Cloud, name: str) -> Stack:
    layout = cloud.layout
    return Stack(
        pulumi=layout.pulumi,
        project=layout.root,
        state=layout.state,
        environment=cloud.environment,
        name=name,
    )


def _file(stack: Stack) -> Path:
    return stack.project / f"Pulumi.{stack.name}.yaml"


def _subject(name: str, stack: Stack, secrets: int) -> Subject:
    pulumi = [str(stack.pulumi), "--non-interactive", "--color=never"]
    return Subject(
        name=name,
        secrets=secrets,
        folder=stack.project,
        environment=stack.environment,
        commands=_commands(pulumi, ["--yes", "--skip-preview"], stack),
        change=_changing(_file(stack)),
        states=lambda: [stack.states / f"{stack.name}.json"],
        resources=lambda state: len(deployment_in(state).get("resources") or ()),
    )


def _commands(program: Sequence[str], meant: Sequence[str], stack: Stack) -> dict[str, list[str]]:
    """Operation to command; `meant` are the options of those that change something."""

    def command(operation: str, *options: str) -> list[str]:
        return [*program, operation, *options, "--stack", stack.name]

    update = command("up", *meant)
    return {
        FIRST_UP: update,
        PREVIEW: command("preview"),
        UP: update,
        CHANGE: update,
        REFRESH: command("refresh", *meant),
        DESTROY: command("destroy", *meant),
    }


def _changing(file: Path) -> Callable[[], None]:
    def change() -> None:
        written = yaml.safe_load(file.read_text())
        declared = written["config"]["aws-secrets:secrets"]
        declared[next(iter(declared))]["description"] = _CHANGED
        _write(file, written)

    return change


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))
