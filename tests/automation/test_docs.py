"""The examples of docs/automation.md, as they stand there."""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

import automation
from automation import commands
from tests.automation.projects import ROOT, Project

TEXT = (ROOT / "docs" / "automation.md").read_text()


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_the_python_examples_run_one_after_the_other(
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


def test_the_command_lines_run_one_after_the_other(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.stack("dev")
    monkeypatch.setattr(os, "environ", dict(project.environment))
    monkeypatch.chdir(project.folder)
    for line in "".join(blocks("console")).splitlines():
        _dollar, _python, _m, module, *arguments = shlex.split(line)
        assert module == "automation"
        assert commands.main(arguments) == 0, line
    assert "preview of stack dev" in capsys.readouterr().out


def test_every_error_and_its_exit_code_are_in_the_table() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", TEXT, re.MULTILINE))
    for kind, code in commands._EXIT_CODES.items():
        assert documented[kind.__name__] == str(code)
    for name in automation.__all__:
        kind = getattr(automation, name)
        if (
            isinstance(kind, type)
            and issubclass(kind, automation.AutomationError)
            and name != "AutomationError"
        ):
            assert f"`{name}`" in TEXT
