"""Commands for live secrets name the stack that they need, before they read or change anything."""

import pytest

from operations.cli import main
from operations.exit_codes import ExitCode

COMMANDS = pytest.mark.parametrize(
    "command",
    [
        ["rollback", "app"],
        ["rotate", "app"],
        ["compromised", "app"],
        ["rename", "old", "new"],
        ["rehearse"],
        ["restore", "app"],
    ],
    ids=lambda command: str(command[0]),
)


@COMMANDS
def test_a_command_without_a_stack_asks_for_one(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    assert main(command) == ExitCode.USAGE
    assert capsys.readouterr().err == "error: Name the stack: --stack NAME, or PULUMI_STACK\n"


@COMMANDS
def test_each_command_takes_the_same_options(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    shown = capsys.readouterr().out
    assert "--stack NAME, -s NAME" in shown
    assert "(default: PULUMI_STACK)" in shown
    assert ("--yes, -y" in shown) == (command[0] != "rehearse")
