"""Texts, tables and comparisons that need no AWS."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from operations.exit_codes import ExitCode
from operations.status import policies, terminal, texts
from operations.status.assess import _of_replicas
from operations.status.command import CODES, exit_code
from operations.status.model import Difference, Problem, Status
from operations.status.page import render_page
from operations.status.rotation import log_command
from tests.support.sample_status import FUNCTION, NOW, sample_status

ESCAPES = "\x1b]0;title\x07\x1b[2J\u202egnp.exe\r\n"


def on_terminal(status: Status, width: int = 100) -> str:
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=True, color_system=None)
    terminal.show(status, console)
    return output.getvalue()


def test_text_from_aws_cannot_control_the_terminal() -> None:
    status = sample_status(8, 1)
    secret = replace(
        status.secrets[3],
        name=f"app{ESCAPES}",
        drift=(Difference(what="description", declared=ESCAPES, actual=ESCAPES),),
        problems=(Problem(kind="drift", text=ESCAPES, remedy=ESCAPES),),
        content="keys",
        keys=(ESCAPES,),
    )
    workloads = (replace(status.workloads[0], runs_as=ESCAPES, role=ESCAPES),)
    hostile = replace(status, secrets=(secret,), workloads=workloads)
    shown = on_terminal(hostile) + "\n".join(texts.lines(hostile)) + render_page(hostile)
    assert "app" in shown
    for character in "\x1b\x07\u202e\r":
        assert character not in shown


def test_failed_replica_needs_attention_with_its_message() -> None:
    replicas = [
        {"Region": "eu-west-1", "Status": "Failed", "StatusMessage": "Access to KMS is not allowed"},
        {"Region": "eu-west-2", "Status": "InSync"},
    ]
    [problem] = _of_replicas({"ReplicationStatus": replicas})
    assert problem.kind == "drift"
    assert problem.text == "The replica in eu-west-1 failed: Access to KMS is not allowed"


@pytest.mark.parametrize("width", [60, 100, 200])
def test_table_fits_the_terminal_and_ends_with_the_counts(width: int) -> None:
    shown = on_terminal(sample_status(30, 10), width).splitlines()
    # a command or a URL is on one line of any length, so that it can be copied
    assert max(len(line) for line in shown if "`" not in line and "://" not in line) <= width
    assert "26 of 30 healthy" in "".join(shown[-3:])


def test_commands_on_a_terminal_have_no_line_breaks() -> None:
    assert log_command(FUNCTION) in on_terminal(sample_status(30, 10), 60)


def test_page_shows_commands_as_code_with_hostile_parts_escaped() -> None:
    status = sample_status(8, 1)
    problem = Problem(kind="drift", text="x", remedy="Run `a <b> c` <i>now</i>.")
    shown = render_page(replace(status, secrets=(replace(status.secrets[3], problems=(problem,)),)))
    assert "Run <code>a &lt;b&gt; c</code> &lt;i&gt;now&lt;/i&gt;." in shown


def test_page_names_the_workloads_that_a_problem_affects() -> None:
    status = sample_status(30, 10)
    [missing] = [group for group in texts.groups(status) if "unavailable" in group.kinds]
    assert f"Read by {', '.join(missing.readers)}</p>" in render_page(status)


def test_terminal_names_the_workloads_that_a_problem_affects() -> None:
    status = sample_status(30, 10)
    [missing] = [group for group in texts.groups(status) if "unavailable" in group.kinds]
    assert len(missing.readers) == 3
    assert f"Read by {', '.join(missing.readers)}." in on_terminal(status)


def test_each_secret_workload_and_problem_is_one_line() -> None:
    status = sample_status(30, 10)
    lines = list(texts.lines(status))
    assert len(lines) == 30 + 10 + len(status.problems) + 2  # the cost and the counts


def test_worst_kind_decides_the_exit_code() -> None:
    status = sample_status(40, 2)
    every = frozenset(CODES)
    assert {problem.kind for problem in status.problems} == {"unavailable", "rotation", "drift", "waiting"}
    assert exit_code(status, every) == ExitCode.UNAVAILABLE
    assert exit_code(status, every - {"unavailable"}) == ExitCode.ROTATION
    assert exit_code(status, frozenset({"drift", "waiting"})) == ExitCode.DRIFT
    assert exit_code(status, frozenset({"waiting"})) == ExitCode.PLACEHOLDER
    assert exit_code(status, frozenset({"unknown"})) == 0
    assert exit_code(sample_status(40, 2, healthy=True), every) == 0


def test_times_are_relative_to_now() -> None:
    expected = {
        "now": timedelta(seconds=20),
        "1 minute ago": timedelta(minutes=1, seconds=59),
        "23 hours ago": timedelta(hours=23, minutes=59),
        "1 day ago": timedelta(hours=24),
        "in 27 days": -timedelta(days=27, hours=3),
    }
    assert {texts.ago(NOW - distance, NOW) for distance in expected.values()} == set(expected)
    assert texts.ago(None, NOW) == "-"


STATEMENT = {"Effect": "Allow", "Principal": {"AWS": ["arn:a", "arn:b"]}, "Action": "x:Y", "Resource": "*"}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"Action": ["x:y"]}, True),
        ({"Resource": ["*"]}, True),
        ({"Principal": {"AWS": ["arn:b", "arn:a"]}}, True),
        ({"Principal": {"AWS": ["arn:a"]}}, False),
        ({"Effect": "Deny"}, False),
        ({"Resource": "arn:one"}, False),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
    ],
)
def test_policy_statements_are_compared_by_meaning(changed: dict[str, object], *, same: bool) -> None:
    declared = {"Version": "2012-10-17", "Statement": [STATEMENT]}
    actual = {"Version": "2012-10-17", "Statement": {**STATEMENT, **changed}}
    assert (policies.differences(declared, actual) == ([], [])) is same


def test_numbers_and_booleans_in_conditions_equal_their_texts() -> None:
    one = {**STATEMENT, "Condition": {"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"a:b": [3]}}}
    two = {
        **STATEMENT,
        "Condition": {"Bool": {"aws:SecureTransport": "true"}, "NumericLessThan": {"a:b": "3"}},
    }
    assert policies.differences({"Statement": one}, {"Statement": [two]}) == ([], [])


def test_account_id_and_its_root_are_the_same_principal() -> None:
    number = {**STATEMENT, "Principal": {"AWS": "123456789012"}}
    root = {**STATEMENT, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    assert policies.differences({"Statement": number}, {"Statement": root}) == ([], [])


def test_missing_policy_differs_by_its_statements() -> None:
    only_declared, only_actual = policies.differences(None, {"Statement": STATEMENT})
    assert (only_declared, only_actual) == ([], ["Allow x:Y for arn:a, arn:b"])
