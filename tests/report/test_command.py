"""Test `python -m operations report` as a workflow runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from operations.exit_codes import ExitCode
from operations.report.command import main
from operations.report.markdown import marker
from tests.support.recordings import Recordings
from tests.support.stacks import ROOT


@pytest.mark.parametrize(
    ("log", "arguments", "expected"),
    [
        ("nothing", ["--fail-on-danger"], 0),
        ("harmless", ["--fail-on-danger"], 0),
        ("dangerous", [], 0),
        ("dangerous", ["--fail-on-danger"], ExitCode.DANGEROUS),
        ("failing", [], ExitCode.INCOMPLETE_REPORT),
        ("failing", ["--fail-on-danger"], ExitCode.INCOMPLETE_REPORT),
        ("refresh", [], ExitCode.INCOMPLETE_REPORT),
    ],
)
def test_exit_code_reflects_completeness_and_danger(
    recordings: Recordings, capsys: pytest.CaptureFixture[str], log: str, arguments: list[str], expected: int
) -> None:
    for form in ("markdown", "json", "terminal"):
        assert main(["--events", str(recordings.log(log)), "--format", form, *arguments]) == expected
        assert capsys.readouterr().out


def test_log_is_read_from_standard_input(recordings: Recordings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "operations", "report", "--format", "json", "--fail-on-danger"],
        cwd=ROOT,
        input=recordings.log("dangerous").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (ExitCode.DANGEROUS, b"")
    assert json.loads(done.stdout)["complete"] is True


def test_same_log_yields_the_same_text_in_every_process(recordings: Recordings) -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "operations", "report", "--format", "markdown"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            input=recordings.log("dangerous").read_bytes(),
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_missing_or_unreadable_log_makes_report_incomplete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 50)
    for place in ("nowhere", ".", "empty", "noise"):
        arguments = ["--events", str(tmp_path / place), "--format", "markdown", "--stack", "dev"]
        assert main(arguments) == ExitCode.INCOMPLETE_REPORT
        captured = capsys.readouterr()
        assert captured.out.startswith(marker("dev"))
        assert "Incomplete" in captured.out
        assert "no dangers" not in captured.out
        assert "Traceback" not in captured.err


@pytest.mark.parametrize("arguments", [["--max-chars", "100"], ["--max-chars", "many"], ["--format", "html"]])
def test_invalid_arguments_are_rejected(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == ExitCode.USAGE
    assert "usage" in capsys.readouterr().err
