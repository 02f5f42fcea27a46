"""After a killed command the next one continues, on the real engine: nothing is created twice or lost."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_engine import local_engine, stack_environment
from tools.localcloud import recovery
from tools.localcloud.emulator_control import command_line
from tools.localcloud.layout import SetupError
from tools.localcloud.pulumi_commands import Stack, checkpoint, quietly, select, shown
from tools.localcloud.recovery import Recovered, recover
from tools.localcloud.tests import small_provider

PROGRAM = """
import pulumi

parent = pulumi.ComponentResource("small:index:Parent", "parent")
options = pulumi.ResourceOptions(parent=parent, version="1.0.0")
thing = pulumi.CustomResource("small:index:Thing", "thing", {"name": "thing"}, options)
pulumi.export("identity", thing.id)
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack whose one resource is a file of the small provider."""
    engine = local_engine()
    environment = stack_environment(tmp_path, "http://127.0.0.1:1", forked=False)
    project, things = tmp_path / "project", tmp_path / "things"
    plugin = tmp_path / "pulumi-home" / "plugins" / f"resource-small-v{small_provider.VERSION}"
    # Only this plugin, not the checkout's.
    plugin.parent.unlink()
    for folder in (project, things, plugin):
        folder.mkdir(parents=True)
    venv = json.dumps(str(engine.root / ".venv"))
    (project / "Pulumi.yaml").write_text(
        "name: small\nruntime: {name: python, options: {virtualenv: " + venv + "}}\n"
    )
    (project / "__main__.py").write_text(PROGRAM)
    launcher = plugin / "pulumi-resource-small"
    command = shlex.join([sys.executable, "-P", small_provider.__file__])
    launcher.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    launcher.chmod(0o755)
    made = Stack(
        pulumi=engine.pulumi,
        project=project,
        state=tmp_path / "state",
        environment=environment | {"SMALL_FOLDER": str(things)},
        name="dev",
    )
    select(made)
    return made


@pytest.fixture(autouse=True)
def lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up objects where the small provider keeps them."""

    def existing(
        kind: str, inputs: Mapping[str, Any], _known: object, environment: Mapping[str, str]
    ) -> str | None:
        name = str(inputs.get("name"))
        there = kind == "small:index:Thing" and Path(environment["SMALL_FOLDER"], name).exists()
        return name if there else None

    monkeypatch.setattr(recovery, "existing_id", existing)


def up(stack: Stack) -> None:
    assert shown(stack, "up", "--yes", "--skip-preview", "--non-interactive") == 0


def killed_up(stack: Stack, hang: str) -> None:
    """Kill an update while its resource is being created."""
    environment = {**stack.environment, "SMALL_HANG": hang}
    hanging = things(stack) / "hanging"
    with subprocess.Popen(
        [stack.pulumi, "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=stack.project,
        env=environment,
        stdout=subprocess.DEVNULL,
    ) as update:
        deadline = time.monotonic() + 30
        while not hanging.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        update.kill()
    hanging.unlink()


def things(stack: Stack) -> Path:
    return Path(stack.environment["SMALL_FOLDER"])


def locks(stack: Stack) -> list[Path]:
    return list((stack.state / ".pulumi" / "locks").glob("**/*.json"))


@pytest.mark.parametrize(("hang", "found"), [("before", 0), ("after", 1)])
def test_a_creation_that_was_cut_off_is_made_once(stack: Stack, hang: str, found: int) -> None:
    killed_up(stack, hang)
    assert locks(stack)
    assert checkpoint(stack)["pending_operations"]
    recovered = recover(stack)
    assert recovered.unlocked
    assert (len(recovered.found), len(recovered.forgotten)) == (found, 1 - found)
    assert not locks(stack)
    assert "pending_operations" not in checkpoint(stack)
    up(stack)
    assert (things(stack) / "thing").read_text() == "created\n"
    assert quietly(stack, "stack", "output", "identity") == "thing\n"
    quietly(stack, "preview", "--expect-no-changes")
    assert recover(stack) == Recovered(unlocked=False)


def test_an_interrupted_recovery_is_completed_by_the_next(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_up(stack, "after")

    def all_but_refresh(stack: Stack, *arguments: str, given: str | None = None) -> str:
        if arguments[0] == "refresh":
            raise KeyboardInterrupt
        return quietly(stack, *arguments, given=given)

    monkeypatch.setattr(recovery, "quietly", all_but_refresh)
    with pytest.raises(KeyboardInterrupt):
        recover(stack)
    monkeypatch.setattr(recovery, "quietly", quietly)
    assert recover(stack) == Recovered(unlocked=False)
    made = [resource for resource in checkpoint(stack)["resources"] if resource.get("id") == "thing"]
    assert [resource["outputs"] for resource in made] == [{"name": "thing", "read": True}]
    up(stack)
    assert (things(stack) / "thing").read_text() == "created\n"
    assert recover(replace(stack, pulumi=Path("/no/such/program"))) == Recovered(unlocked=False)


def test_a_recovered_object_is_deleted_with_the_stack(stack: Stack) -> None:
    killed_up(stack, "after")
    recover(stack)
    quietly(stack, "destroy", "--yes", "--skip-preview")
    assert list(things(stack).iterdir()) == []


def test_an_untouched_stack_needs_no_command_to_be_found_in_order(stack: Stack) -> None:
    up(stack)
    assert recover(replace(stack, pulumi=Path("/no/such/program"))) == Recovered(unlocked=False)


def write_lock(stack: Stack, content: str) -> Path:
    lock = stack.state / ".pulumi/locks/organization/small/dev/1.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(content)
    return lock


def lock_of(pid: int, hostname: str) -> str:
    return json.dumps({"pid": pid, "username": "user", "hostname": hostname, "timestamp": "2026-01-01"})


@pytest.mark.parametrize(
    "content",
    ["", "{", lock_of(os.getpid(), socket.gethostname())],
    ids=["empty", "half-written", "another program's pid"],
)
def test_a_lock_without_a_pulumi_process_behind_it_is_removed(stack: Stack, content: str) -> None:
    lock = write_lock(stack, content)
    assert recover(stack).unlocked
    assert not lock.exists()
    up(stack)


def test_the_lock_of_a_command_that_is_at_work_is_respected(stack: Stack, tmp_path: Path) -> None:
    sleeping = tmp_path / "pulumi"
    sleeping.symlink_to("/bin/sleep")
    with subprocess.Popen([sleeping, "60"]) as process:
        # A process that has only just begun to run a program has no arguments yet.
        while not command_line(process.pid):
            time.sleep(0.01)
        lock = write_lock(stack, lock_of(process.pid, socket.gethostname()))
        try:
            with pytest.raises(SetupError, match=f"process {process.pid}"):
                recover(stack)
        finally:
            process.kill()
    assert lock.exists()


def test_a_lock_from_another_machine_is_respected(stack: Stack) -> None:
    lock = write_lock(stack, lock_of(1, "elsewhere.example.org"))
    with pytest.raises(SetupError, match="elsewhere"):
        recover(stack)
    assert lock.exists()
