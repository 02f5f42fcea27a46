"""Runs the examples of docs/automation.md."""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

import operations
from operations import cli, fleet
from operations.exit_codes import ExitCode
from tests.support.projects import ROOT, Project

TEXT = (ROOT / "docs" / "automation.md").read_text()


def blocks(language: str) -> list[str]:
    examples = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert examples
    return examples


def test_the_python_examples_run(
    environment: Mapping[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "environ", dict(environment))
    code = "\n".join(blocks("python")).replace("/var/lib/tenants", str(tmp_path))
    exec(compile(code, "docs/automation.md", "exec"), {})  # noqa: S102  our own documentation
    shown = capsys.readouterr().out
    assert "{'create': 8}" in shown
    assert ":secret:acme/app-" in shown
    assert "aws-secrets:secrets" in shown
    assert 'did you mean "random"?' in shown
    assert "sk_live_example" not in shown


def test_the_example_commands_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.stack("dev")
    monkeypatch.setattr(os, "environ", dict(project.environment))
    monkeypatch.chdir(project.folder)
    for line in "".join(blocks("console")).splitlines():
        _dollar, _python, _m, module, *arguments = shlex.split(line)
        assert module == "operations"
        assert cli.main(arguments) == 0, line
    assert "preview of stack dev" in capsys.readouterr().out


def test_every_error_is_documented_with_its_exit_code_and_json_type() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| .*? \| (`\w+` \| \d+) \|$", TEXT, re.MULTILINE))
    exported = (getattr(operations, name) for name in operations.__all__)
    errors = [
        kind for kind in exported if isinstance(kind, type) and issubclass(kind, operations.OperationError)
    ]
    assert documented == {
        kind.__name__: f"`{kind.json_type}` | {kind.exit_code}"
        for kind in errors
        if kind is not operations.OperationError
    }


def test_the_errors_of_fleets_are_in_the_table_of_json_types() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    [row] = re.findall(r"^\| (.*) \| 12 \| \|$", page, re.MULTILINE)
    errors: list[type[operations.OperationError]] = [
        fleet.ForeignStackFileError,
        fleet.OrphanedStacksError,
        fleet.OutdatedStackFilesError,
        fleet.SecretsWouldMoveError,
    ]
    assert {kind.exit_code for kind in errors} == {ExitCode.FLEET_NOT_READY}
    assert sorted(re.findall(r"`(\w+)`", row)) == sorted(kind.json_type for kind in errors)
