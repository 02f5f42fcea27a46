"""The file of the report: nothing is done, or lost, because it cannot be written."""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations.compromised import command
from operations.compromised.model import Report
from operations.restore.plan import Refusal
from tests.compromised.test_generations import SINCE


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "none" / "report.md"):
        with pytest.raises(Refusal, match="report"):
            command._check_writable(file)
    command._check_writable(tmp_path / "report.md")


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_the_answer_goes_on_if_its_report_cannot_be_written(
    error: type[BaseException] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def carry_out() -> None:
        if error:
            raise error

    report = Report(stack="dev", account="", region="", since=SINCE, started=SINCE)
    answer: Any = SimpleNamespace(report=report, carry_out=carry_out)
    options = argparse.Namespace(json=True, report=tmp_path)
    if error:
        with pytest.raises(error):
            command._carry_out(answer, options, [])
    else:
        assert command._carry_out(answer, options, []) is False
    assert report.ended
    assert capsys.readouterr().err == f"error: {tmp_path}: Is a directory\n"
