"""One table of exit codes for all commands."""

import re
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from automation import commands
from automation.exit_codes import ExitCode
from automation.fleet import commands as fleet_commands
from automation.report import __main__ as report_command
from automation.report.live import __main__ as live_command
from automation.status import __main__ as status_command

DOCS = Path(__file__).parents[2] / "docs"


def test_the_documented_table_is_the_one_that_commands_use() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+)\. \|$", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    assert [(int(number), text.lower()) for number, text in rows] == [
        (int(code), code.description.lower()) for code in ExitCode
    ]


def test_the_documentation_of_status_has_the_codes_of_the_table() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)`", (DOCS / "status.md").read_text(), re.MULTILINE)
    assert {kind: int(number) for number, kind in rows} == status_command.CODES


@pytest.mark.parametrize(
    ("main", "codes"),
    [
        (commands.main, commands.CODES),
        (fleet_commands.main, fleet_commands.CODES),
        (report_command.main, report_command.CODES),
        (live_command.main, live_command.CODES),
        (status_command.main, status_command.ALL_CODES),
    ],
    ids=["automation", "fleet", "report", "live", "status"],
)
def test_help_lists_the_codes_that_a_command_ends_with(
    main: Callable[[list[str]], int], codes: Collection[ExitCode], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^ +(\d+)  ", capsys.readouterr().out, re.MULTILINE)
    assert listed == [str(int(code)) for code in sorted(codes)]
