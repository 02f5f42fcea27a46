"""A moved secret keeps its value and versions, and neither stack changes it afterwards."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.adopt.live import snapshot
from tests.restore.running import command, environment, run
from tests.support.deep import deep_except
from tests.support.operations_commands import spoil_state
from tests.support.stacks import ROOT, Stack

KEY: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
APP: dict[str, Any] = {
    "description": "of the shop",
    "values": {"KEY": {"random": {}}, "OTHER": {"filledByHand": "x"}},
}
POLICY = {
    "Statement": {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:DeleteResourcePolicy",
        "Resource": "*",
    }
}


@dataclass(frozen=True)
class Second(Stack):
    """The stack `second` of the same project."""

    @property
    def file(self) -> Path:
        return self.folder / "Pulumi.second.yaml"


@dataclass(frozen=True)
class Pair:
    """Two stacks, deployed: `test` with `app` and `own`, `second` with `other`."""

    first: Stack
    second: Second

    def secrets(self, stack: Stack) -> list[str]:
        return list(yaml.safe_load(stack.file.read_text())["config"]["aws-secrets:secrets"])

    def in_state(self, name: str) -> list[str]:
        [file] = Path(self.first.environment["PULUMI_BACKEND_URL"].removeprefix("file://")).glob(
            f".pulumi/stacks/*/{name}.json"
        )
        resources = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
        return sorted(
            one["urn"].rpartition("::")[2]
            for one in resources
            if one["type"] == "aws:secretsmanager/secret:Secret"
        )

    def snapshot(self) -> dict[str, Any]:
        return snapshot(self.first, "app", "own", "other")


def deployed(
    stack: Stack, app: dict[str, Any], *, tags: dict[str, str] | None = None, mode: str = "once"
) -> Pair:
    wide: dict[str, Any] = {"encryption": "aws-managed", "initialValues": mode}
    stack.configure({"app": app, "own": KEY}, **wide)
    stack.up()
    stack.pulumi("stack", "init", "second", "--no-select")
    second = Second(stack.folder, {**stack.environment, "PULUMI_STACK": "second"}, stack.endpoint)
    config = yaml.safe_load(stack.file.read_text())["config"]
    config.pop("aws-secrets:stripeKey")  # encrypted for the first stack
    own = yaml.safe_load(second.file.read_text())
    second.file.write_text(yaml.safe_dump({**own, "config": config}))
    second.configure({"other": KEY}, **wide, **({"tags": tags} if tags else {}))
    second.up()
    stack.edit("app", OTHER="by-hand-9c2f")
    stack.edit("app", OTHER="by-hand-77d1")
    return Pair(stack, second)


ARGUMENTS = ("app", "--from-stack", "test", "--to-stack", "second")


def moved(pair: Pair, before: dict[str, Any]) -> None:
    """Check that the move is complete, and that updates of both stacks change nothing."""
    assert (pair.secrets(pair.first), pair.secrets(pair.second)) == (["own"], ["other", "app"])
    assert (pair.in_state("test"), pair.in_state("second")) == (
        ["own-secret"],
        ["app-secret", "other-secret"],
    )
    assert pair.snapshot() == before
    assert (pair.first.preview(), pair.second.preview()) == ([], [])
    assert pair.first.up("--refresh") == []
    assert pair.second.up("--refresh") == []
    assert pair.snapshot() == before


def test_a_moved_secret_previews_without_a_change_in_both_stacks(stack: Stack) -> None:
    pair = deployed(stack, {**APP, "policy": POLICY})
    before = pair.snapshot()
    texts = (pair.first.file.read_text(), pair.second.file.read_text())
    assert "Dry run" in run(stack, *ARGUMENTS, "--dry-run", name="move")
    assert (pair.first.file.read_text(), pair.second.file.read_text()) == texts
    printed = run(stack, *ARGUMENTS, "--yes", name="move")
    assert "app is in stack second: its value, version ids, and ARN are as they were." in printed
    assert "changes nothing of it" in printed
    assert "by-hand" not in printed
    moved(pair, before)
    assert "Nothing to move" in run(stack, *ARGUMENTS, "--yes", name="move")
    back = ("app", "--from-stack", "second", "--to-stack", "test", "--yes", "--json")
    assert json.loads(run(stack, *back, name="move"))["done"]["changes"] == []
    assert (pair.first.preview(), pair.second.preview()) == ([], [])
    assert pair.snapshot() == before


def test_a_managed_secret_keeps_its_values_in_the_other_stack(stack: Stack) -> None:
    pair = deployed(stack, APP, mode="managed")
    before = pair.snapshot()
    printed = run(stack, *ARGUMENTS, "--yes", name="move")
    assert "app: create Invocation" in printed
    pair.second.up()
    pair.first.up()
    after = pair.snapshot()
    assert stack.value("app")["OTHER"] == "by-hand-77d1"
    assert before["app"]["versions"].items() <= after["app"]["versions"].items()
    assert {name: after[name] for name in ("own", "other")} == {
        name: before[name] for name in ("own", "other")
    }
    assert (pair.first.preview(), pair.second.preview()) == ([], [])


def test_tags_of_the_target_stack_are_announced(stack: Stack) -> None:
    pair = deployed(stack, APP, tags={"team": "shop"})
    printed = run(stack, *ARGUMENTS, "--yes", name="move")
    assert "app: update Secret (tags" in printed
    assert pair.second.preview() == ["update app-secret"]
    assert pair.first.preview() == []


def test_a_secret_that_cannot_be_moved_stays_as_it_is(stack: Stack) -> None:
    pair = deployed(stack, APP)
    content = yaml.safe_load(stack.file.read_text())
    reads = {"web": {"ecs": {}, "environment": {"KEY": {"secret": "app"}}}}
    cases = [
        (("ap", *ARGUMENTS[1:]), 1, "Stack test declares no secret ap. It declares: app, own."),
        ((*ARGUMENTS[:4], "nowhere"), 4, 'Stack "nowhere" not found'),
        ((*ARGUMENTS[:4], "test"), 2, "are the same stack"),
    ]
    before = (stack.file.read_text(), pair.second.file.read_text(), pair.in_state("test"), pair.snapshot())
    for arguments, code, words in cases:
        assert words in run(stack, *arguments, "--yes", name="move", code=code)
    assert "Confirm with --yes" in run(stack, *ARGUMENTS, name="move", code=2)
    content["config"]["aws-secrets:workloads"] = reads
    stack.file.write_text(yaml.safe_dump(content))
    printed = run(stack, *ARGUMENTS, "--yes", name="move", code=3)
    assert "Without app, the configuration of stack test would be wrong; nothing was changed." in printed
    assert "aws-secrets:workloads.web.environment.KEY.secret" in printed
    stack.file.write_text(before[0])
    region = pair.second.file.read_text().replace("us-east-1", "eu-west-1")
    pair.second.file.write_text(region)
    assert "AWS cannot move a secret to another region" in run(
        stack, *ARGUMENTS, "--yes", name="move", code=1
    )
    pair.second.file.write_text(before[1])
    assert before == (
        *(stack.file.read_text(), pair.second.file.read_text(), pair.in_state("test"), pair.snapshot()),
    )


POINTS: dict[str, Callable[[Pair], bool]] = {
    "target-file": lambda pair: "app" in pair.second.file.read_text(),
    "target-state": lambda pair: "app-secret" in pair.in_state("second"),
    "source-state": lambda pair: "app-secret" not in pair.in_state("test"),
    "source-file": lambda pair: "app" not in pair.secrets(pair.first),
}


def kill_at(point: str, pair: Pair) -> None:
    stack = pair.first
    with Path(stack.folder, "move.log").open("wb") as log:
        running = subprocess.Popen(
            command(stack, *ARGUMENTS, "--yes", name="move"),
            cwd=ROOT,
            env=environment(stack),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 120
    while not is_reached(POINTS[point], pair):
        assert running.poll() is None, Path(stack.folder, "move.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(timeout=30)
    for one in (pair.first, pair.second):
        one.pulumi("cancel", "--yes", check=False)


@pytest.mark.parametrize("point", deep_except(POINTS, ["target-state"]))
def test_a_killed_move_harms_nothing_and_is_completed(stack: Stack, point: str) -> None:
    pair = deployed(stack, APP)
    before = pair.snapshot()
    kill_at(point, pair)
    for one in (pair.first, pair.second):
        # an update in between changes no value, whether it succeeds or finds the name taken
        one.pulumi("up", "--yes", "--skip-preview", check=False)
    assert pair.snapshot() == before
    run(stack, *ARGUMENTS, "--yes", name="move")
    moved(pair, before)


def test_a_move_killed_before_its_proof_leaves_the_secret_in_the_source(stack: Stack) -> None:
    pair = deployed(stack, APP)
    kill_at("target-state", pair)
    spoil_state(pair.second, "app")
    before = (pair.in_state("test"), stack.file.read_text())
    printed = run(stack, *ARGUMENTS, "--yes", name="move", code=1)
    assert "an update would replace Secret (name)" in printed
    assert (pair.in_state("test"), stack.file.read_text()) == before


def is_reached(point: Callable[[Pair], bool], pair: Pair) -> bool:
    try:
        return point(pair)
    except (ValueError, KeyError, FileNotFoundError):  # a file is being written
        return False
