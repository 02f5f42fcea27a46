"""A restore that is killed anywhere harms nothing, and the same command completes it."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.adopt.live import snapshot
from tests.restore.running import command, environment, restore
from tests.restore.test_restore import APP, deployed, is_deleted, secrets_in_state
from tests.support.crash_proxy import Crash, crashing
from tests.support.deep import deep_except
from tests.support.operations_commands import spoil_state
from tests.support.stacks import ROOT, Stack

APP_NAME = "app"
SECRETS = {"app": APP, "other": {"values": {"KEY": {"random": {}}}}}


def lost(stack: Stack) -> dict[str, object]:
    """Deploy, delete `app`, and let a refresh drop it from the state."""
    before = deployed(stack, SECRETS)
    stack.client().delete_secret(SecretId="app", RecoveryWindowInDays=7)
    stack.refresh()
    return before


def started(stack: Stack, secret: str = APP_NAME, **changes: str) -> "subprocess.Popen[bytes]":
    with Path(stack.folder, "restore.log").open("wb") as log:
        return subprocess.Popen(
            command(stack, secret, "--stack", "test", "--yes"),
            cwd=ROOT,
            env={**environment(stack), **changes},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def log(stack: Stack) -> str:
    return Path(stack.folder, "restore.log").read_text()


def finish(stack: Stack, before: object) -> None:
    """Run it again; everything is as before the deletion."""
    stack.pulumi("cancel", "--yes", check=False)
    restore(stack, "app", "--yes")
    assert snapshot(stack, "app", "other") == before
    assert sorted(secrets_in_state(stack)) == ["app-secret", "other-secret"]
    assert stack.preview() == []
    assert stack.up("--refresh") == []
    assert snapshot(stack, "app", "other") == before
    assert "Nothing to restore" in restore(stack, "app", "--yes")


@pytest.mark.parametrize("after", deep_except([False, True], [True]), ids=["before", "after"])
def test_a_restore_killed_at_the_call_is_completed(stack: Stack, after: bool) -> None:
    before = lost(stack)
    crash = Crash("RestoreSecret", after=after)
    with crashing(stack.endpoint, crash) as address:
        running = started(stack, AWS_ENDPOINT_URL=address)
        crash.victim = running.pid
        running.wait(timeout=120)
    assert crash.happened.is_set(), log(stack)
    assert is_deleted(stack, "app") is not after
    assert secrets_in_state(stack) == ["other-secret"]
    if after:
        # an update now changes nothing of it: the name is taken
        stack.pulumi("up", "--yes", "--skip-preview", check=False)
        assert snapshot(stack, "app", "other") == before
    finish(stack, before)


def test_a_restore_killed_after_the_state_is_complete(stack: Stack) -> None:
    before = lost(stack)
    running = started(stack)
    deadline = time.monotonic() + 120
    while "app-secret" not in _secrets(stack):
        assert running.poll() is None, log(stack)
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(timeout=30)
    finish(stack, before)


def test_a_restore_killed_before_its_proof_does_not_end_with_0(stack: Stack) -> None:
    before = lost(stack)
    restore(stack, "app", "--yes")
    spoil_state(stack, "app")
    state = stack.state()["resources"]
    printed = restore(stack, "app", "--yes", code=1)
    assert "an update would replace Secret (name)" in printed
    assert "Do not update the stack" in printed
    stack.client().delete_secret(SecretId="app", RecoveryWindowInDays=7)
    assert "an update would replace Secret (name)" in restore(stack, "app", "--yes", code=1)
    assert stack.state()["resources"] == state
    assert snapshot(stack, "app", "other") == before


def test_a_cancelled_restore_says_how_to_go_on(stack: Stack) -> None:
    before = lost(stack)
    running = started(stack)
    deadline = time.monotonic() + 120
    while is_deleted(stack, "app"):
        assert running.poll() is None, log(stack)
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(running.pid, signal.SIGINT)
    running.wait(timeout=120)
    assert "Traceback" not in log(stack)
    assert "Run the same command again" in log(stack)
    assert running.returncode == 130
    finish(stack, before)


def test_a_locked_stack_gets_the_secret_back_later(stack: Stack) -> None:
    before = lost(stack)
    [state] = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://")).glob(".pulumi")
    lock = state / "locks" / "organization" / "aws-secrets" / "test" / "someone.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("{}")
    printed = restore(stack, "app", "--yes", code=5)
    assert "locked" in printed
    lock.unlink()
    finish(stack, before)


def _secrets(stack: Stack) -> list[str]:
    try:
        return secrets_in_state(stack)
    except (ValueError, KeyError):  # the engine is writing the file
        return []
