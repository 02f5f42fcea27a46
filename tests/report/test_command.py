"""`python -m automation.report` as a workflow runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from automation.exit_codes import ExitCode
from automation.report.__main__ import main
from automation.report.markdown import marker
from tests.engine.stacks import ROOT
from tests.report.recordings import Recordings

WRONG_ARGUMENTS = 2


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
def test_the_exit_code_says_what_a_check_must_know(
    recordings: Recordings, capsys: pytest.CaptureFixture[str], log: str, arguments: list[str], expected: int
) -> None:
    for form in ("markdown", "json", "terminal"):
        assert main(["--events", str(recordings.log(log)), "--format", form, *arguments]) == expected
        assert capsys.readouterr().out


def test_a_log_comes_through_standard_input_too(recordings: Recordings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "automation.report", "--format", "json", "--fail-on-danger"],
        cwd=ROOT,
        input=recordings.log("dangerous").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (ExitCode.DANGEROUS, b"")
    assert json.loads(done.stdout)["complete"] is True


def test_the_same_log_makes_the_same_text_in_every_process(recordings: Recordings) -> None:
    written = {
        subprocess.run(
            [sys.executable, "-m", "automation.report", "--format", "markdown"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            input=recordings.log("dangerous").read_bytes(),
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(written) == 1


def test_a_log_that_is_not_there_makes_an_incomplete_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 50)
    for place in ("nowhere", ".", "empty", "noise"):
        arguments = ["--events", str(tmp_path / place), "--format", "markdown", "--stack", "dev"]
        assert main(arguments) == ExitCode.INCOMPLETE_REPORT
        written = capsys.readouterr()
        assert written.out.startswith(marker("dev"))
        assert "Incomplete" in written.out
        assert "nothing dangerous" not in written.out
        assert "Traceback" not in written.err


@pytest.mark.parametrize("arguments", [["--max-chars", "100"], ["--max-chars", "many"], ["--format", "html"]])
def test_wrong_arguments_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == WRONG_ARGUMENTS
    assert "usage" in capsys.readouterr().err
