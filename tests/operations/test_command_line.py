import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import operations
from operations import cli
from operations.cli import main
from tests.support.command_line import CommandLine, Done
from tests.support.projects import (
    AWS,
    EMPTY,
    ROOT,
    WAITING,
    Project,
    new_name,
    structure,
    wait_for_end,
)

CHANGING = """
import pulumi
class Part(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("test:index:Part", "part")
        self.register_outputs({})
Part()
pulumi.log.warn("mind the gap")
pulumi.export("hidden", pulumi.Output.secret("hidden-value"))
"""


Run = Callable[..., Done]


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command for the project, with changes to the environment."""

    def run(*arguments: str, **environment: str) -> Done:
        line = [*arguments, "--cwd", str(project.folder)]
        return CommandLine(main, monkeypatch, capfd).run(line, {**project.environment, **environment})

    return run


def test_commands_operate_a_stack_from_preview_to_destroy(project: Project, run: Run) -> None:
    project.program(CHANGING)
    project.stack()
    preview = run("preview", "--stack", "test", "--json").document()
    assert preview["counts"] == {"create": 2}
    assert [change["name"] for change in preview["changes"]] == ["aws-secrets-test", "part"]
    assert preview["warnings"] == ["mind the gap"]

    up = run("up", "--stack", "test", "--yes")
    assert up.code == 0
    assert up.out.startswith("up of stack test: 2 create; 0 unchanged (")
    assert up.err.splitlines() == [
        "warning: mind the gap",
        "create part (test:index:Part)",
        "create aws-secrets-test (pulumi:pulumi:Stack)",
    ]
    assert run("outputs", "--stack", "test", "--json").document() == {"hidden": "[secret]"}
    history = run("history", "--stack", "test", "--limit", "1")
    assert "update" in history.out
    assert "2 create" in history.out
    destroyed = run("destroy", "--stack", "test", "--yes", "--json").document()
    assert destroyed["counts"] == {"delete": 2}


def test_a_preview_can_fail_on_dangers(project: Project, run: Run) -> None:
    preview = ("preview", "--stack", "test", "--fail-on-danger")
    project.program(f'import pulumi_aws as aws\naws.secretsmanager.Secret("s", name="{new_name()}")')
    project.stack()
    created = run(*preview, "--report", "json")
    assert created.code == 0
    assert created.document()["dangers"] == []
    assert run("up", "--stack", "test", "--yes").code == 0
    project.program(EMPTY)
    deletes = run(*preview, "--report", "json")
    assert deletes.code == 11
    assert [danger["kind"] for danger in deletes.document()["dangers"]] == ["deletes-secret"]
    assert run(*preview, "--report", "markdown").out.startswith("<!-- aws-secrets-preview:test -->")
    assert "1 danger" in run(*preview[:3], "--report", "terminal").out
    assert run(*preview, "--json").code == 11
    assert run("destroy", "--stack", "test", "--yes").code == 0


def test_an_update_does_only_what_was_reviewed(project: Project, run: Run) -> None:
    name = new_name()
    program = (
        "import pulumi_aws as aws\n"
        f'aws.secretsmanager.Secret("s", name="{name}", description="DESCRIPTION")\n'
        'aws.cloudwatch.LogGroup("random-name")\n'
    )
    up = ("up", "--stack", "test", "--yes", "--reviewed")
    project.program(program)
    project.stack()
    reviewed = run("preview", "--stack", "test", "--report", "json").document()["digest"]
    project.program(program.replace("DESCRIPTION", "another"))
    rejected = run(*up, reviewed, "--json")
    assert rejected.code == 14
    error = rejected.document()["error"]
    assert error["type"] == "NotReviewed"
    assert {change["component"]["name"] for change in error["report"]["changes"]} >= {"s"}
    shown = run(*up, reviewed)
    assert shown.code == 14
    assert f"Digest: {error['report']['digest']}" in shown.out
    assert "is not the one that was reviewed" in shown.err
    assert run(*up, "nothing").code == 14
    assert run("history", "--stack", "test", "--json").document() == []  # no update was started

    project.program(program)
    assert run(*up, reviewed).code == 0
    assert run(*up, "nothing").code == 0
    project.program(EMPTY)
    assert run(*up, "nothing").code == 14
    assert len(run("history", "--stack", "test", "--json").document()) == 2
    assert run("destroy", "--stack", "test", "--yes").code == 0


def test_each_kind_of_failure_has_an_exit_code_and_a_document(project: Project, run: Run) -> None:
    stack = project.stack()

    def failing(code: int, kind: str, *arguments: str, **environment: str) -> dict[str, Any]:
        done = run(*arguments, "--json", **environment)
        assert done.code == code
        error: dict[str, Any] = done.document()["error"]
        assert error["type"] == kind
        assert "Traceback" not in error["message"]
        return error

    failing(4, "UnknownStack", "preview", "--stack", "nowhere")
    failing(6, "WrongPassphrase", "up", "--stack", "test", "--yes", PULUMI_CONFIG_PASSPHRASE="wrong")
    failing(8, "BackendUnreachable", "outputs", "--stack", "test", "--backend", "file:///nowhere/at/all")
    failing(7, "CredentialsRefused", "history", "--stack", "test", "--backend", "https://127.0.0.1:9")
    project.program("raise ValueError('no quota')")
    assert "no quota" in failing(1, "ProgramFailure", "preview", "--stack", "test")["message"]
    project.program(WAITING)
    update = stack.up()
    project.waits()
    [holder] = failing(5, "Conflict", "up", "--stack", "test", "--yes")["holders"]
    os.kill(holder["process"], signal.SIGKILL)
    wait_for_end(holder["process"])
    assert isinstance(update._future.exception(timeout=60), operations.EngineKilledError)
    assert run("cancel", "--stack", "test").code == 0
    (project.folder / "go").touch()
    stack.up().result()
    stack.configure(structure(), aws=AWS)
    with (project.folder / "Pulumi.test.yaml").open("a") as file:
        file.write("broken")
    [mistake] = failing(3, "BadSettings", "up", "--stack", "test", "--yes")["mistakes"]
    assert mistake["path"] == "Pulumi.test.yaml"


@pytest.mark.parametrize("command", ["up", "refresh", "destroy"])
def test_changes_need_yes_without_a_terminal(
    project: Project, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main([command, "--stack", "test", "--json", "--cwd", str(project.folder)])
    assert exited.value.code == 2
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "all"])
def test_a_history_has_at_least_one_entry(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["history", "--stack", "test", f"--limit={limit}"])
    assert exited.value.code == 2
    assert f"'{limit}' is not a number of entries from 1 on" in capsys.readouterr().err


def test_help_shows_every_command_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--help"])
    assert exited.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for command, _, description in cli._COMMANDS:
        assert f"  {command:15} {description}" in lines


@pytest.mark.parametrize("command", [command for command, _, _ in cli._COMMANDS])
def test_every_command_has_a_help(command: str) -> None:
    with pytest.raises(SystemExit) as exited:
        main([*command.split(), "--help"])
    assert exited.value.code == 0


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["deploy"], ["report live x"]):
        with pytest.raises(SystemExit) as exited:
            main(arguments)
        assert exited.value.code == 2
        assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "remedy"), [("operations.none", "update"), ("nowhere", "use the Python")])
def test_a_missing_module_is_reported_with_a_remedy(
    module: str, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_COMMANDS", (("adopt", module, ""),))
    assert main(["adopt", "--stack", "dev"]) == 1
    assert f"`adopt` needs the module {module}, which is missing: {remedy}" in capsys.readouterr().err


def test_help_imports_neither_the_sdk_nor_the_models() -> None:
    program = "import sys, operations.cli\noperations.cli._parser()\nprint(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = process.stdout.split()
    assert "operations.cli" in modules
    assert not {"pulumi", "pydantic", "boto3", "rich"} & set(modules)


def on_a_terminal(project: Project, answer: bytes, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the terminal's output; `answer` is typed at the prompt."""
    terminal, child_side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "operations", *arguments, "--cwd", str(project.folder)],
        cwd=ROOT,
        env={**project.environment, "TERM": "xterm"},
        stdin=child_side,
        stdout=child_side,
        stderr=child_side,
        start_new_session=True,
    )
    os.close(child_side)
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if shown.endswith(b"[y/N] "):
            os.write(terminal, answer)
    os.close(terminal)
    return process.wait(timeout=60), shown.decode()


def test_an_up_on_a_terminal_asks_after_its_preview(project: Project) -> None:
    project.program(CHANGING)
    stack = project.stack()
    code, shown = on_a_terminal(project, b"n\n", "up", "--stack", "test")
    assert code == 130
    assert "preview of stack test: 2 create" in shown
    assert stack.history() == []
    code, shown = on_a_terminal(project, b"y\n", "up", "--stack", "test")
    assert code == 0
    assert "2/2" in shown
    assert "━" in shown
    assert "up of stack test: 2 create" in shown


def test_ctrl_c_cancels_an_update_and_unlocks_the_stack(project: Project) -> None:
    project.program(WAITING)
    stack = project.stack()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "operations",
            "up",
            "-s",
            "test",
            "--yes",
            "--json",
            "-C",
            str(project.folder),
        ],
        cwd=ROOT,
        env=dict(project.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    project.waits()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["error"]["type"] == "Cancelled"
    assert err == ""
    project.goes_on()
    assert stack.up().result().outputs == {"done": True}
