"""An adoption that is killed anywhere harms nothing, and the same command completes it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations.adopt.terraform_instance import SECRET
from tests.adopt.live import labels_of_ours, many, merged, snapshot, thoughtbot
from tests.adopt.recorded import attributes_of
from tests.adopt.running import adopt, command, environment
from tests.support.crash_proxy import Crash, crashing
from tests.support.deep import deep_except
from tests.support.operations_commands import spoil_state
from tests.support.stacks import ROOT, Stack

NAMES = [f"app-{number:02d}" for number in range(3)]


def few(stack: Stack) -> str:
    file = stack.folder / "terraform.tfstate"
    file.write_text(json.dumps(merged(*(thoughtbot(stack, name).state for name in NAMES))))
    return str(file)


@dataclass(frozen=True)
class Point:
    """Kill the command when this is true of the stack."""

    name: str

    def is_reached(self, stack: Stack) -> bool:
        text = stack.file.read_text()
        if self.name == "stack-file-written":
            return "app-02" in text
        if self.name == "state-written":
            return any(one["id"] for one in _secrets(stack))
        raise AssertionError(self.name)


def _secrets(stack: Stack) -> list[Mapping[str, str]]:
    try:
        resources = stack.state().get("resources", [])
    except (ValueError, KeyError):
        return []
    return [one for one in resources if one["type"] == "aws:secretsmanager/secret:Secret"]


def started(stack: Stack, *arguments: str, **changes: str) -> "subprocess.Popen[bytes]":
    with (stack.folder / "adopt.log").open("wb") as log:
        return subprocess.Popen(
            command(stack, *arguments),
            cwd=ROOT,
            env={**environment(stack), **changes},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(stack: Stack, running: "subprocess.Popen[bytes]", point: str) -> None:
    deadline = time.monotonic() + 120
    while not Point(point).is_reached(stack):
        assert running.poll() is None, (stack.folder / "adopt.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def finish(stack: Stack, file: str, before: object) -> None:
    """Run it again, and see that all is taken over and nothing else has changed."""
    stack.pulumi("cancel", "--yes", check=False)
    adopt(stack, "terraform", file, "--yes")
    assert snapshot(stack, *NAMES) == before
    assert [labels_of_ours(stack, name) for name in NAMES] == [["aws-secrets-adopted"]] * 3
    assert stack.preview() == []
    assert stack.up() == []
    assert snapshot(stack, *NAMES) == before


@pytest.mark.parametrize("point", deep_except(["stack-file-written", "state-written"], ["state-written"]))
def test_a_killed_adoption_is_completed_by_the_next(stack: Stack, point: str) -> None:
    file = few(stack)
    before = snapshot(stack, *NAMES)
    stack.configure({})
    running = started(stack, "terraform", file, "--yes")
    wait_for(stack, running, point)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(timeout=30)
    assert snapshot(stack, *NAMES) == before
    if point == "stack-file-written" and not _secrets(stack):
        # an update now changes nothing of them: their names are taken
        stack.pulumi("cancel", "--yes", check=False)
        stack.pulumi("up", "--yes", "--skip-preview", check=False)
        assert snapshot(stack, *NAMES) == before
    finish(stack, file, before)


def test_an_adoption_killed_before_its_proof_does_not_end_with_0(stack: Stack) -> None:
    file = few(stack)
    before = snapshot(stack, *NAMES[:3])
    stack.configure({})
    adopt(stack, "terraform", file, "--yes")
    spoil_state(stack, NAMES[0])
    state = stack.state()["resources"]
    printed = adopt(stack, "terraform", file, "--yes", code=1)
    assert "0 secrets adopted, 2 adopted before, 1 left out" in printed
    assert f"{NAMES[0]}: the state has it already" in printed
    assert "an update would replace Secret (name)" in printed
    assert stack.state()["resources"] == state
    assert NAMES[0] in stack.file.read_text()
    assert snapshot(stack, *NAMES[:3]) == before


@pytest.mark.parametrize("after", deep_except([False, True], [True]), ids=["before", "after"])
def test_an_adoption_killed_at_a_label_is_completed_by_the_next(stack: Stack, after: bool) -> None:
    file = few(stack)
    before = snapshot(stack, *NAMES)
    stack.configure({})
    text = stack.file.read_text()
    crash = Crash("UpdateSecretVersionStage", after=after)
    with crashing(stack.endpoint, crash) as address:
        running = started(stack, "terraform", file, "--yes", AWS_ENDPOINT_URL=address)
        crash.victim = running.pid
        running.wait(timeout=120)
    assert crash.happened.is_set(), (stack.folder / "adopt.log").read_text()
    assert stack.file.read_text() == text
    assert _secrets(stack) == []
    finish(stack, file, before)


def test_a_cancelled_adoption_says_how_to_go_on(stack: Stack) -> None:
    file = few(stack)
    stack.configure({})
    running = started(stack, "terraform", file, "--yes")
    before = snapshot(stack, *NAMES)
    wait_for(stack, running, "stack-file-written")
    os.kill(running.pid, signal.SIGINT)
    running.wait(timeout=120)
    printed = Path(stack.folder, "adopt.log").read_text()
    assert "Traceback" not in printed
    assert "the same command goes on from here" in printed
    assert running.returncode == 130
    finish(stack, file, before)


def test_forty_secrets_of_keyed_modules_are_adopted_at_once(stack: Stack) -> None:
    made = many(stack, "thoughtbot_40", "app")
    names = [one["name"] for one in attributes_of(made.state, SECRET)]
    file = stack.folder / "terraform.tfstate"
    file.write_text(json.dumps(made.state))
    for name in names[:20:5]:
        stack.edit(name, SECRET_KEY_BASE="edited-by-hand")
    before = snapshot(stack, *names)
    stack.configure({})
    printed = adopt(stack, "terraform", str(file), "--yes")
    assert "40 secrets adopted, 0 adopted before, 0 left out" in printed
    # secret, version and policy, and what is next to them: key, alias, and the password of half of them
    assert printed.count("terraform state rm") == 3 * 40 + 2 * 40 + 20
    declared = stack.file.read_text()
    assert declared.count("random:") == 20
    assert declared.count("filledByHand:") == 20
    labels = [label for name in names for label in labels_of_ours(stack, name)]
    assert labels == ["aws-secrets-adopted"] * 20 + ["aws-secrets-initial"] * 20
    assert snapshot(stack, *names) == before
    assert stack.preview() == []
    assert stack.up() == []
    assert snapshot(stack, *names) == before


def test_what_cannot_be_adopted_leaves_nothing_half_done(stack: Stack) -> None:
    file = few(stack)
    client = stack.client()
    client.delete_secret(SecretId=NAMES[0], RecoveryWindowInDays=7)
    client.delete_secret(SecretId=NAMES[1], ForceDeleteWithoutRecovery=True)
    stack.configure({})
    printed = adopt(stack, "terraform", file, "--yes", code=1)
    assert f"{NAMES[0]}: its deletion is scheduled" in printed
    assert "restore-secret" in printed
    assert f"{NAMES[1]}: AWS has no such secret" in printed
    assert [one["id"].rpartition(":")[2][:6] for one in _secrets(stack)] == [NAMES[2]]
    assert NAMES[0] not in stack.file.read_text()
    assert stack.preview() == []
