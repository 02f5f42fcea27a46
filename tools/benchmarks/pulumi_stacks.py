"""Stacks of this program to measure: generated secrets in one stack or ten, live ones, and the example."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import yaml

from tools.benchmarks.clouds import Cloud
from tools.benchmarks.operations import (
    ADOPT,
    CHANGE,
    DESTROY,
    FIRST_UP,
    PREVIEW,
    REFRESH,
    STATUS,
    UP,
    Subject,
)
from tools.localcloud.layout import Layout
from tools.localcloud.pulumi_commands import Stack, deployment_in, quietly

PRODUCT = "aws-secrets"
FLEET = "aws-secrets, fleet of 10"
EXAMPLE = "aws-secrets, example stack"
ADOPTION = "aws-secrets, adopted"

_MADE_STACK = "benchmark"
_MADE_FLEET = "divided"
_PARTS = 10
_ADOPTING_STACK = "adopting"
_PREFIX = "live/"
_CHANGED = "Changed"


def configuration(secrets: int) -> dict[str, Any]:
    """Return the settings of a stack with this many secrets, without its encryption."""
    declared = {
        # kept short: a configuration may have 128 KiB (docs/stack-file.md)
        f"benchmark/secret-{number:04}": {
            "values": {"SECRET_KEY_BASE": {"random": {"length": 32, "special": False}}}
        }
        for number in range(secrets)
    }
    return {"aws:region": "us-east-1", "aws-secrets:recoveryWindowDays": 0, "aws-secrets:secrets": declared}


def made_stack(cloud: Cloud, secrets: int) -> Subject:
    """Return a new stack with this many secrets."""
    stack = _declared(cloud, _MADE_STACK, configuration(secrets))
    made = _subject(PRODUCT, stack, secrets)
    status = [
        str(cloud.layout.python),
        "-m",
        "operations",
        "status",
        "--fail-on",
        "none",
        "--stack",
        stack.name,
    ]
    return replace(made, commands={**made.commands, STATUS: status})


def made_fleet(cloud: Cloud, secrets: int) -> Subject:
    """Return the same secrets divided over ten stacks, one at a time for each processor."""
    divided = configuration(secrets) | {"aws-secrets:fleet": {"parts": _PARTS}}
    stack = _declared(cloud, _MADE_FLEET, divided)
    fleet = [str(cloud.layout.python), "-m", "operations", "fleet"]
    return replace(
        _subject(FLEET, stack, secrets),
        commands=_commands(fleet, ["--yes"], stack),
        states=lambda: sorted(stack.states.glob(f"{stack.name}.*.json")),
    )


def adopting_stack(cloud: Cloud, secrets: int) -> Subject:
    """Make this many secrets in AWS, and return a new stack that adopts them with the names of their keys."""
    client = boto3.client(
        "secretsmanager",
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id=cloud.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=cloud.environment["AWS_SECRET_ACCESS_KEY"],
    )
    for number in range(secrets):
        client.create_secret(
            Name=f"{_PREFIX}secret-{number:04}", SecretString=json.dumps({"TOKEN": f"of-a-vendor-{number}"})
        )
    stack = _declared(cloud, _ADOPTING_STACK, {"aws:region": "us-east-1"})
    made = _subject(ADOPTION, stack, secrets)
    adopt = [str(cloud.layout.python), "-m", "operations", "adopt", "aws", "--prefix", _PREFIX, "--read-keys"]
    return replace(
        made,
        commands={
            ADOPT: [*adopt, "--yes", "--stack", stack.name],
            **{name: made.commands[name] for name in (PREVIEW, UP, CHANGE, REFRESH)},
        },
    )


def _declared(cloud: Cloud, name: str, config: Mapping[str, Any]) -> Stack:
    """Return a new, empty stack with this configuration."""
    stack = _stack(cloud, name)
    quietly(stack, "stack", "init", stack.name)
    file = _file(stack)
    written = yaml.safe_load(file.read_text()) if file.exists() else {}
    _write(file, {**written, "config": config})
    return stack


def example_stack(cloud: Cloud) -> Subject:
    """Return the example as `make up` runs it, with the secrets of its stack file."""
    stack = _stack(cloud, Layout.stack)
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
    """Return operation to command; `meant` are the options of changing operations."""

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
