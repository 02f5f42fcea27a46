"""Fleets on the real engine: updates, moves, interruptions and destruction."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.fleet.command import main
from tests.support.command_line import CommandLine, Done
from tests.support.emulator_process import Emulator
from tests.support.gate_proxy import gate
from tests.support.stacks import CONFIGURED, ROOT, Stack

RANDOM: dict[str, Any] = {"values": {"KEY": {"random": {"length": 24}}}}
QUICK = {"encryption": "aws-managed", "recoveryWindowDays": 0}
GROUPS = {"web": ["web/*"], "jobs": ["jobs/*"]}


Run = Callable[..., Done]


@pytest.fixture
def run(stack: Stack, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(command: str, *arguments: str, of: Stack = stack) -> Done:
        line = [command, "--stack", "test", "--cwd", str(stack.folder), *arguments]
        return CommandLine(main, monkeypatch, capfd).run(line, of.environment)

    return run


def declare(stack: Stack, names: list[str], groups: dict[str, Any] | None = None, **more: Any) -> None:  # noqa: ANN401  as above
    stack.configure(dict.fromkeys(names, RANDOM) | more, **QUICK, fleet={"groups": groups or GROUPS})


def test_a_fleet_is_operated_like_a_single_stack(stack: Stack, run: Run) -> None:
    declare(
        stack,
        ["web/a", "web/b"],
        **{"jobs/c": {"values": {"KEY": {"config": "stripeKey"}, "TWO": {"random": {}}}}},
    )
    preview = run("preview", "--fail-on-danger")
    assert preview.code == 0, preview.err
    assert preview.out.startswith("Preview of test in 2 stacks: Creates 3 secrets; no dangers.")
    assert "test.jobs: secret jobs/c" in preview.out
    assert run("write", "--check").code == 0
    generated = yaml.safe_load((stack.folder / "Pulumi.test.jobs.yaml").read_text())
    whole = yaml.safe_load(stack.file.read_text())
    assert generated["config"]["aws-secrets:stripeKey"] == whole["config"]["aws-secrets:stripeKey"]
    assert "aws-secrets:stripeKey" not in (stack.folder / "Pulumi.test.web.yaml").read_text()

    up = run("up", "--yes", "--json")
    result = up.document()
    assert (up.code, result["failed"]) == (0, [])
    assert result["groups"]["jobs"]["counts"]["create"] == 5
    assert sorted(result["outputs"]["secrets"]) == ["jobs/c", "web/a", "web/b"]
    live = {name: stack.value(name) for name in ("web/a", "web/b", "jobs/c")}
    assert live["jobs/c"]["KEY"] == CONFIGURED
    outputs = run("outputs").document()
    assert outputs == result["outputs"]
    shown = "".join([preview.out, preview.err, up.out, json.dumps(outputs)])
    assert not [value for secret in live.values() for value in secret.values() if value in shown]

    # the fleet's own file cannot be used by a single stack
    own_preview = stack.pulumi("preview", check=False).stdout
    assert "this file is for a fleet of several stacks" in own_preview
    assert "python -m operations fleet preview --stack test" in own_preview

    declare(stack, ["web/a"], **{"jobs/d": RANDOM, "jobs/c": RANDOM})
    assert run("write", "--check").code == 12
    changed = run("preview", "--report", "json", "--fail-on-danger")
    assert changed.code == 11
    report = changed.document()
    [deleted] = [danger for danger in report["dangers"] if danger["kind"] == "deletes-secret"]
    assert deleted["component"] == {"what": "secret", "name": "web/b", "stack": "test.web"}
    assert [one["stack"] for one in report["stacks"]] == ["test.jobs", "test.web"]
    rejected = run("up", "--yes", "--reviewed", "nothing")
    assert rejected.code == 14
    assert f"Digest: {report['digest']}" in rejected.out
    assert stack.value("web/b") == live["web/b"]
    assert run("up", "--yes", "--reviewed", report["digest"]).code == 0
    assert stack.value("web/a") == live["web/a"]
    assert stack.value("jobs/c") == live["jobs/c"]

    destroyed = run("destroy", "--yes", "--json").document()
    assert destroyed["failed"] == []
    assert stack.client().list_secrets()["SecretList"] == []


def test_a_secret_moves_only_as_the_error_says_with_its_value(stack: Stack, run: Run) -> None:
    declare(stack, ["web/a", "web/b", "jobs/c"])
    assert run("up", "--yes").code == 0
    stack.edit("web/b", KEY="by hand")
    live = {name: stack.value(name) for name in ("web/a", "web/b", "jobs/c")}
    files = {file.name: file.read_text() for file in stack.folder.glob("Pulumi.test.*.yaml")}

    declare(
        stack,
        ["web/a", "web/b", "jobs/c"],
        {**GROUPS, "jobs": ["jobs/*", "web/b"], "new": ["web/a"], "web": ["no/*"]},
        **{"no/x": RANDOM},
    )
    for command in (["preview"], ["up", "--yes"]):
        stopped = run(*command)
        assert stopped.code == 12
        assert "2 secrets of test would be deleted in one stack and created in another" in stopped.err
    # the stack files are unchanged, so that `pulumi up` of a single stack cannot move it either
    assert {file.name: file.read_text() for file in stack.folder.glob("Pulumi.test.[wj]*.yaml")} == files

    commands = [
        line.strip() for line in stopped.err.splitlines() if line.strip().startswith("pulumi state move")
    ]
    assert len(commands) == 2
    for line in commands:
        stack.pulumi(*shlex.split(line)[1:])
    preview = run("preview", "--fail-on-danger")
    assert preview.code == 0, preview.err
    assert "Creates 1 secret;" in preview.out
    assert run("up", "--yes").code == 0
    assert {name: stack.value(name) for name in live} == live
    assert "No changes" in run("preview").out


def test_a_failing_group_does_not_stop_the_others(stack: Stack, run: Run) -> None:
    stack.client().create_secret(Name="web/taken", SecretString="x")
    declare(stack, ["web/taken", "jobs/c"])
    up = run("up", "--yes")
    assert up.code == 1
    assert "web: FAILED; before that, up of stack test.web" in up.out
    assert "jobs: up of stack test.jobs: 5 create" in up.out
    assert "1 of 2 groups failed or were cancelled: web. The others succeeded" in up.err
    assert "error in web: 1 resource of stack test.web failed" in up.err
    assert stack.value("jobs/c")
    stack.client().delete_secret(SecretId="web/taken", ForceDeleteWithoutRecovery=True)
    assert run("up", "--yes").code == 0


def test_ctrl_c_stops_every_engine_and_the_next_up_continues(
    stack: Stack, emulator: Emulator, run: Run
) -> None:
    groups = {"web": ["web/*"], "jobs": ["jobs/*"], "later": ["later/*"]}
    declare(stack, ["web/a", "jobs/b", "later/c"], groups)
    with gate(emulator.endpoint, "CreateSecret") as held:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "operations",
                "fleet",
                "up",
                "--stack",
                "test",
                "--yes",
                "--at-once",
                "2",
                "-C",
                str(stack.folder),
            ],
            cwd=ROOT,
            env={**stack.environment, "AWS_ENDPOINT_URL": held.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert held.reached.wait(timeout=60)
        process.send_signal(signal.SIGINT)
        held.opened.set()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    states = dict(line.split(": ", 1) for line in out.splitlines())
    assert states.keys() == {"web", "jobs", "later"}
    assert states["web"] == "cancelled; nothing had begun"
    assert "Cancelling: steps in progress finish first." in err
    # neither a lock nor an incomplete secret is left
    assert run("up", "--yes").code == 0
    assert [stack.version_count(name) for name in ("web/a", "jobs/b", "later/c")] == [1, 1, 1]


def test_orphaned_stacks_and_foreign_stack_files_stop_a_fleet(stack: Stack, run: Run) -> None:
    declare(stack, ["web/a", "jobs/c"])
    assert run("up", "--yes").code == 0
    declare(stack, ["web/a"], {"web": ["web/*"]})
    left = run("up", "--yes")
    assert left.code == 12
    assert "test.jobs has 1 secret\n    pulumi destroy --stack test.jobs" in left.err
    assert stack.value("jobs/c")
    stack.pulumi("destroy", "--yes", "--stack", "test.jobs")
    assert run("up", "--yes").code == 0

    other = stack.folder / "Pulumi.test.other.yaml"
    other.write_text("config: {}\n")
    declare(stack, ["web/a", "jobs/c"], {"web": ["web/*"], "other": ["jobs/*"]})
    foreign = run("preview")
    assert foreign.code == 12
    assert "Pulumi.test.other.yaml: not generated from the stack file of test" in foreign.err
    assert other.read_text() == "config: {}\n"


def test_the_file_is_checked_before_the_backend_is_queried(stack: Stack, run: Run, tmp_path: Path) -> None:
    declare(stack, ["web/a", "unplaced"])
    wrong = run("up", "--yes", "--json", "--backend", f"file://{tmp_path}/nowhere")
    assert wrong.code == 3
    assert "no group of fleet matches" in wrong.document()["error"]["message"]
    declare(stack, ["web/a", "jobs/c"])
    content = yaml.safe_load(stack.file.read_text())
    del content["encryptedkey"]
    stack.file.write_text(yaml.safe_dump(content))
    assert "what encrypts it" in run("check").err
    stack.file.write_text(yaml.safe_dump(content | {"encryptionsalt": "v1:x"}))
    checked = run("check", "--json").document()
    assert [group["secrets"] for group in checked["groups"]] == [["jobs/c"], ["web/a"]]
    for arguments in (["up"], ["check", "--group", "wbe"], ["preview", "--at-once", "0"]):
        with pytest.raises(SystemExit) as exited:
            run(*arguments)
        assert exited.value.code == 2


def test_a_fleet_with_a_kms_key_needs_no_passphrase(stack: Stack, run: Run) -> None:
    kms = stack.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    written = yaml.safe_load(stack.file.read_text())["config"]
    stack.file.unlink()
    stack.pulumi("stack", "rm", "--yes", "test")
    provider = f"awskms:///{key}?region=us-east-1"
    stack.pulumi("stack", "init", "test", "--no-select", f"--secrets-provider={provider}")
    content = yaml.safe_load(stack.file.read_text())
    del written["aws-secrets:stripeKey"]  # encrypted with the passphrase
    stack.file.write_text(yaml.safe_dump({**content, "config": written}))
    declare(stack, ["jobs/c"], **{"web/a": {"values": {"KEY": {"config": "given"}}}})
    stack.configure_secretly("given", CONFIGURED)
    unknown = replace(
        stack, environment={**stack.environment, "PULUMI_CONFIG_PASSPHRASE": "another passphrase"}
    )
    assert run("up", "--yes", of=unknown).code == 0
    assert stack.value("web/a") == {"KEY": CONFIGURED}
    assert run("write", "--check").code == 0
