"""Texts, tables and judgements that need no AWS."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from automation.exit_codes import ExitCode
from automation.status import policies, terminal, texts
from automation.status.__main__ import CODES, exit_code
from automation.status.judged import _of_replicas
from automation.status.model import Difference, Problem, Status
from automation.status.page import page
from tests.status.made_up import NOW, made_up

ESCAPES = "\x1b]0;title\x07\x1b[2J\u202egnp.exe\r\n"


def on_terminal(status: Status, width: int = 100) -> str:
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=True, color_system=None)
    terminal.show(status, console)
    return output.getvalue()


def test_nothing_that_aws_says_moves_the_cursor_or_turns_the_text_around() -> None:
    status = made_up(8, 1)
    secret = replace(
        status.secrets[3],
        name=f"app{ESCAPES}",
        drift=(Difference(what="description", declared=ESCAPES, actual=ESCAPES),),
        problems=(Problem(kind="drift", text=ESCAPES, remedy=ESCAPES),),
        content="keys",
        keys=(ESCAPES,),
    )
    workloads = (replace(status.workloads[0], runs_as=ESCAPES, role=ESCAPES),)
    nasty = replace(status, secrets=(secret,), workloads=workloads)
    shown = on_terminal(nasty) + "\n".join(texts.lines(nasty)) + page(nasty)
    assert "app" in shown
    for character in "\x1b\x07\u202e\r":
        assert character not in shown


def test_a_replica_that_aws_could_not_make_needs_attention_with_its_message() -> None:
    replicas = [
        {"Region": "eu-west-1", "Status": "Failed", "StatusMessage": "Access to KMS is not allowed"},
        {"Region": "eu-west-2", "Status": "InSync"},
    ]
    [problem] = _of_replicas({"ReplicationStatus": replicas})
    assert problem.kind == "drift"
    assert problem.text == "The replica in eu-west-1 failed: Access to KMS is not allowed"


@pytest.mark.parametrize("width", [60, 100, 200])
def test_a_table_fits_its_terminal_and_ends_with_the_counts(width: int) -> None:
    shown = on_terminal(made_up(30, 10), width).splitlines()
    assert max(map(len, shown)) <= width
    assert "26 of 30 well" in "".join(shown[-3:])


def test_lines_are_one_for_each_thing_whatever_their_texts_hold() -> None:
    status = made_up(30, 10)
    lines = list(texts.lines(status))
    assert len(lines) == 30 + 10 + len(status.problems) + 1


def test_the_worst_kind_decides_the_exit_code() -> None:
    status = made_up(40, 2)
    every = frozenset(CODES)
    assert {problem.kind for problem in status.problems} == {"unavailable", "rotation", "drift", "waiting"}
    assert exit_code(status, every) == ExitCode.UNAVAILABLE
    assert exit_code(status, every - {"unavailable"}) == ExitCode.ROTATION
    assert exit_code(status, frozenset({"drift", "waiting"})) == ExitCode.DRIFT
    assert exit_code(status, frozenset({"waiting"})) == ExitCode.PLACEHOLDER
    assert exit_code(status, frozenset({"unknown"})) == 0
    assert exit_code(made_up(40, 2, wrong=False), every) == 0


def test_times_are_told_from_now() -> None:
    told = {
        "now": timedelta(seconds=20),
        "1 minute ago": timedelta(minutes=1, seconds=59),
        "23 hours ago": timedelta(hours=23, minutes=59),
        "1 day ago": timedelta(hours=24),
        "in 27 days": -timedelta(days=27, hours=3),
    }
    assert {texts.ago(NOW - distance, NOW) for distance in told.values()} == set(told)
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
def test_statements_are_compared_by_what_they_mean(changed: dict[str, object], *, same: bool) -> None:
    declared = {"Version": "2012-10-17", "Statement": [STATEMENT]}
    actual = {"Version": "2012-10-17", "Statement": {**STATEMENT, **changed}}
    assert (policies.differences(declared, actual) == ([], [])) is same


def test_numbers_and_truth_in_conditions_are_what_they_are_as_texts() -> None:
    one = {**STATEMENT, "Condition": {"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"a:b": [3]}}}
    two = {
        **STATEMENT,
        "Condition": {"Bool": {"aws:SecureTransport": "true"}, "NumericLessThan": {"a:b": "3"}},
    }
    assert policies.differences({"Statement": one}, {"Statement": [two]}) == ([], [])


def test_an_account_and_its_root_are_the_same_principal() -> None:
    number = {**STATEMENT, "Principal": {"AWS": "123456789012"}}
    root = {**STATEMENT, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    assert policies.differences({"Statement": number}, {"Statement": root}) == ([], [])


def test_no_policy_and_one_are_told_by_their_statements() -> None:
    only_declared, only_actual = policies.differences(None, {"Statement": STATEMENT})
    assert (only_declared, only_actual) == ([], ["Allow x:Y for arn:a, arn:b"])
