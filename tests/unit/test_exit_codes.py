"""The exit codes of all commands."""

import re
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from operations import cli, manifests_cli, stack_cli
from operations.adopt import command as adopt_command
from operations.compromised import command as compromised_command
from operations.exit_codes import ExitCode
from operations.fleet import command as fleet_command
from operations.move import command as move_command
from operations.rehearse import command as rehearse_command
from operations.rename import command as rename_command
from operations.report import command as report_command
from operations.report.live import command as live_command
from operations.restore import command as restore_command
from operations.restore import one_secret
from operations.rollback import command as rollback_command
from operations.rotate import command as rotate_command
from operations.status import command as status_command

DOCS = Path(__file__).parents[2] / "docs"


def test_the_documented_exit_codes_are_those_of_the_commands() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+)\. \|$", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    assert [(int(number), text.lower()) for number, text in rows] == [
        (int(code), code.description.lower()) for code in ExitCode
    ]


def test_the_status_page_documents_its_exit_codes() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)`", (DOCS / "status.md").read_text(), re.MULTILINE)
    assert {kind: int(number) for number, kind in rows} == status_command.CODES


@pytest.mark.parametrize(
    ("main", "codes"),
    [
        (cli.main, cli.CODES),
        (lambda arguments: stack_cli.main(["up", *arguments]), stack_cli.CODES),
        (fleet_command.main, fleet_command.CODES),
        (report_command.main, report_command.CODES),
        (live_command.main, live_command.CODES),
        (status_command.main, status_command.ALL_CODES),
        (adopt_command.main, adopt_command.CODES),
        (compromised_command.main, compromised_command.CODES),
        (rollback_command.main, rollback_command.ALL_CODES),
        (restore_command.main, one_secret.CODES),
        (move_command.main, one_secret.CODES),
        (rename_command.main, one_secret.CODES),
        (rehearse_command.main, rehearse_command.CODES),
        (rotate_command.main, rotate_command.CODES),
        (manifests_cli.main, manifests_cli.CODES),
    ],
    ids=[
        *("operations", "up", "fleet", "report", "live", "status", "adopt", "compromised"),
        *("rollback", "restore", "move", "rename", "rehearse", "rotate", "manifests"),
    ],
)
def test_help_lists_a_commands_exit_codes(
    main: Callable[[list[str]], int], codes: Collection[ExitCode], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^ +(\d+)  ", capsys.readouterr().out, re.MULTILINE)
    assert listed == [str(int(code)) for code in sorted(codes)]
