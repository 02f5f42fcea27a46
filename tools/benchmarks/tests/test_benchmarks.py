import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.benchmarks import processes, terraform
from tools.benchmarks.__main__ import plan
from tools.benchmarks.operations import FIRST_UP, PREVIEW
from tools.benchmarks.processes import ENGINE, LANGUAGE_HOST, PLUGINS, PROGRAM, Sample
from tools.benchmarks.pulumi_stacks import ADOPTION, FLEET, PRODUCT
from tools.benchmarks.quick import EXPECTED, SIZES, compared
from tools.benchmarks.report import BEGIN, END, rewritten
from tools.benchmarks.results import Machine, Results, Row, read, write
from tools.benchmarks.table import LIGHTER, markdown

_FAKE = """#!/bin/sh
echo "$@" >> "$RECORD"
case $1 in
version) echo '{"terraform_version": "9.8.7", "provider_selections": {"example/hashicorp/aws": "5.4.3"}}' ;;
init) exit "$INIT" ;;
esac
"""


def _row(subject: str, operation: str, *walls: float) -> Row:
    samples = [Sample(wall=wall, cpu={PROGRAM: 1.0, ENGINE: 0.5}, peak_memory=2**20) for wall in walls]
    return Row(
        subject=subject, secrets=10, operation=operation, resources=5, state_bytes=2048, samples=samples
    )


def _results(*rows: Row, plugins: str = "stand-ins: aws") -> Results:
    machine = Machine(cores=2, memory_bytes=2**30, processor="A", system="Linux", load=0.5)
    return Results(date="today", machine=machine, versions={}, plugins=plugins, skipped=[], rows=rows)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a terraform on PATH that records its arguments in the returned file."""
    program = tmp_path / "bin" / "terraform"
    program.parent.mkdir()
    program.write_text(_FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.setenv("INIT", "0")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv(terraform.PLUGIN_FOLDER_VARIABLE, "/providers")
    return tmp_path / "record"


def test_terraform_is_used_with_the_providers_that_are_named(fake: Path, tmp_path: Path) -> None:
    found, _ = terraform.find(tmp_path / "try")
    assert found is not None
    assert (found.version, found.provider) == ("terraform 9.8.7", "5.4.3")
    assert "init -input=false -no-color -plugin-dir=/providers" in fake.read_text().splitlines()


def test_terraform_without_its_provider_is_skipped_with_the_reason(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INIT", "1")
    found, why = terraform.find(tmp_path / "try")
    assert found is None
    assert "no AWS provider" in why
    assert fake.exists()


def test_no_terraform_initialises_where_no_providers_are_known(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(terraform.PLUGIN_FOLDER_VARIABLE)
    found, why = terraform.find(tmp_path / "try")
    assert found is None
    assert terraform.PLUGIN_FOLDER_VARIABLE in why
    assert "init" not in fake.read_text()


def test_a_machine_without_terraform_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert terraform.find(tmp_path / "try") == (None, "neither terraform nor tofu is on PATH")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["python", "-P", "/x/language_host.py", "/x/pulumi-language-python-exec"], LANGUAGE_HOST),
        (["python", "-u", "/x/pulumi-language-python-exec", "__main__.py"], PROGRAM),
        (["python", "-m", "tools.localcloud.plugins", "aws"], PLUGINS),
        (["/p/terraform-provider-aws_v5"], PLUGINS),
        (["git", "status"], ENGINE),
    ],
)
def test_a_process_plays_the_part_that_its_command_line_says(arguments: list[str], part: str) -> None:
    assert processes.part_of(arguments, ENGINE) == part


def test_the_parts_of_a_command_add_up_to_what_it_used(tmp_path: Path) -> None:
    """Start a child named like a plugin; only its parent sees its end."""
    plugin = tmp_path / "pulumi-resource-x"
    plugin.write_text("sum(i * i for i in range(6_000_000))\n")
    program = f"import subprocess, sys; subprocess.run([sys.executable, {str(plugin)!r}])"
    sample = processes.measured([sys.executable, "-c", program], tmp_path, os.environ, tmp_path / "log")
    assert sample.cpu[PLUGINS] > sample.cpu[ENGINE] > 0
    assert sample.peak_memory > 2**20


def test_a_process_that_has_ended_keeps_its_part() -> None:
    """Check that a child without a command line counts until its parent waits for it."""
    child = "import os, sys, time; sys.stdout.flush(); print(os.getpid(), flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", child, "tools.localcloud.plugins"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    watched = processes._Watched()
    watched.look(process.pid)
    before = watched.last[process.pid].part
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    watched.look(process.pid)
    after = watched.last[process.pid]
    process.stdout.close()
    process.wait()
    assert (before, after.part, after.ended) == (PLUGINS, PLUGINS, True)


def test_a_failed_command_says_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(processes.CommandError, match=r"exit code 3:\n    why"):
        processes.measured(["sh", "-c", "echo why; exit 3"], tmp_path, os.environ, tmp_path / "log")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    write(_results(_row(PRODUCT, FIRST_UP, 1.0)), tmp_path / "one.json")
    write(read(tmp_path / "one.json"), tmp_path / "two.json")
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


def test_every_table_of_figures_says_that_stand_ins_are_lighter() -> None:
    shown = markdown(_results(_row(PRODUCT, PREVIEW, 1.0, 3.0, 2.0), _row("thoughtbot", PREVIEW, 6.0)))
    assert "2.0 (1.0 to 3.0)" in shown
    assert "| thoughtbot | 10 | no-change preview | 3.0 |" in shown
    tables = sum(line.startswith("| --- |") for line in shown.splitlines())
    assert shown.count(LIGHTER) == tables
    assert LIGHTER not in markdown(_results(_row(PRODUCT, PREVIEW, 1.0), plugins="official"))


def test_only_what_is_between_the_markers_is_rewritten() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter"
    once = rewritten(page, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter"
    assert rewritten(once, "new") == once
    with pytest.raises(ValueError, match="no place for figures"):
        rewritten("no markers", "new")


def test_a_thousand_secrets_are_run_once_and_never_with_a_key_each() -> None:
    planned = plan([100, 1000], 3, ["thoughtbot"])
    assert (PRODUCT, 1000, 1) in planned
    assert (PRODUCT, 100, 3) in planned
    assert ("thoughtbot", 100, 1) in planned
    assert not [one for one in planned if one[:2] == ("thoughtbot", 1000)]


def test_the_program_is_charged_for_each_secret_more() -> None:
    def preview(secrets: int, seconds: float) -> Row:
        sample = Sample(wall=2.0, cpu={PROGRAM: seconds}, peak_memory=2**20)
        return Row(
            subject=PRODUCT, secrets=secrets, operation=PREVIEW, resources=5, state_bytes=1, samples=[sample]
        )

    table = markdown(_results(preview(1, 0.5), preview(101, 0.8)))
    assert "| 1 | 0.25 | 1.00 |  |" in table
    assert "| 101 | 0.40 | 1.00 | 3.0 |" in table


def test_few_secrets_are_not_divided_and_a_thousand_are_run_once() -> None:
    planned = plan([10, 1000], 3, [terraform.THOUGHTBOT])
    assert (FLEET, 10, 3) not in planned
    assert (FLEET, 1000, 1) in planned
    assert (ADOPTION, 10, 3) in planned
    assert (ADOPTION, 1000, 1) not in planned


def test_a_figure_that_has_doubled_is_marked_and_one_that_varies_is_not() -> None:
    expected = {"calls": 1000, "ratio": 1.5, "gone": 1, "none": 0}
    found = {"calls": 2000, "ratio": 1.6, "fresh": 3, "none": 0, "halved": 1}
    lines = list(compared(found, {**expected, "halved": 2}))
    assert [line.split()[0] for line in lines if "WARNING" in line] == ["calls"]
    assert [line.split()[0] for line in lines if "record it with --write" in line] == ["halved"]
    assert [line.split()[0] for line in lines if "(new)" in line] == ["fresh"]
    assert lines[-1].strip() == "gone: no longer counted"


def test_a_count_that_was_nothing_is_marked() -> None:
    assert "WARNING" in next(compared({"requests": 5}, {"requests": 0}))


def test_what_is_expected_is_recorded_for_both_sizes() -> None:
    recorded = json.loads(EXPECTED.read_text())
    for secrets in SIZES:
        assert any(f", {secrets} secret" in name for name in recorded)
