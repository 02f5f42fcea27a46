"""Paths that the system rejects are the operator's mistakes, told in a line."""

from pathlib import Path

import pytest

from operations.cli import main
from operations.exit_codes import ExitCode

LONG = "x" * 300
COMMANDS = [
    ["rollback", "a"],
    ["restore", "a", "--yes"],
    ["rotate", "a", "--yes"],
    ["compromised", "a", "--yes"],
    ["rehearse"],
    ["rename", "a", "b", "--yes"],
    ["fleet", "check"],
    ["fleet", "up", "--yes"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("what", ["stack", "folder"])
def test_a_name_that_is_too_long_is_one_error(
    what: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    stack, folder = (LONG, tmp_path) if what == "stack" else ("dev", tmp_path / LONG)
    code = main([*command, "--stack", stack, "--cwd", str(folder)])
    assert code in {ExitCode.BAD_SETTINGS, ExitCode.FAILED}
    assert "File name too long" in capsys.readouterr().err
