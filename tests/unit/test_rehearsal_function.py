"""The function that rehearses on a schedule: what it asks for, what it logs, and when it fails."""

# ruff: noqa: ANN401  whatever boto3 and a stack file hold

import io
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from components.lambdas.notices import assess
from components.lambdas.notices import handler as notices
from components.lambdas.notices.age import Declared
from components.lambdas.rehearsal import declared, handler, outcomes
from components.lambdas.rehearsal.declared import Rehearsed
from components.lambdas.rehearsal.errors import RehearsalError
from components.lambdas.rehearsal.outcomes import Finding

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
BROKEN = {"Step": "setSecret", "Problem": "the role is locked.", "Consequence": "It fails."}
WORKS: dict[str, Any] = {"Rehearsed": ["read"], "Findings": [], "NotRehearsed": []}


class Functions:
    """Rotation functions; each answers with a payload, an error's payload, or an exception."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  boto3's
        event = json.loads(Payload)
        self.asked.append((FunctionName, event))
        answer = self.answers.get(event["SecretId"], WORKS)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, threading.Event):
            answer.wait()
            answer = WORKS
        error = {"FunctionError": "Unhandled"} if "errorMessage" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **error}


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Functions:
    found = Functions()
    monkeypatch.setattr("boto3.client", lambda *_, **__: found)
    monkeypatch.setenv(declared.FUNCTIONS_VARIABLE, "rotation-a rotation-b")
    secrets = [Rehearsed("app", 0, ("public",)), Rehearsed("keys", 1), Rehearsed("cache", 1)]
    monkeypatch.setattr(declared, "read", lambda: secrets)
    return found


def logged(capsys: pytest.CaptureFixture[str], at: datetime = NOW) -> dict[str, outcomes.Outcome]:
    milliseconds = int(at.timestamp() * 1000)
    return outcomes.latest((milliseconds, line) for line in capsys.readouterr().out.splitlines())


def test_every_secret_is_rehearsed_whatever_the_event_says(
    functions: Functions, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = handler.handle({"Action": "provision", "SecretId": "victim", "Grants": "owner"})
    assert answer == {"rehearsed": 3}
    assert sorted(functions.asked, key=str) == [
        ("rotation-a", {"Action": "rehearse", "SecretId": "app", "Schemas": ["public"]}),
        ("rotation-b", {"Action": "rehearse", "SecretId": "cache"}),
        ("rotation-b", {"Action": "rehearse", "SecretId": "keys"}),
    ]
    assert logged(capsys) == {name: outcomes.Outcome(name, NOW, ()) for name in ("app", "keys", "cache")}


def test_a_finding_fails_the_function_after_every_outcome_is_logged(
    functions: Functions, capsys: pytest.CaptureFixture[str]
) -> None:
    functions.answers["app"] = {**WORKS, "Findings": [BROKEN]}
    with pytest.raises(RehearsalError, match=r"1 of 3 secrets .* app \(setSecret\)"):
        handler.handle()
    found = logged(capsys)
    assert found["app"].findings == (Finding("setSecret", "the role is locked.", "It fails."),)
    assert (found["keys"].findings, found["cache"].findings) == ((), ())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "m"}}, "Invoke"), "AccessDenied"),
        ({"errorType": "Sandbox.Timedout", "errorMessage": "planted-4711"}, "failed (Sandbox.Timedout)"),
        ({"errorType": "x\nplanted 4711", "errorMessage": "planted-4711"}, "failed (xplanted)"),
        ({"Findings": "planted-4711"}, "did not answer as a rotation function"),
        ({"Rehearsed": []}, "did not answer as a rotation function"),
    ],
)
def test_a_function_that_does_not_answer_is_a_finding_without_its_text(
    functions: Functions, capsys: pytest.CaptureFixture[str], answer: Any, words: str
) -> None:
    functions.answers["keys"] = answer
    with pytest.raises(RehearsalError) as raised:
        handler.handle()
    output = capsys.readouterr().out
    assert words in output
    assert "4711" not in output + str(raised.value)


def test_a_function_that_hangs_does_not_hide_the_others_outcomes(
    functions: Functions, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging = threading.Event()
    functions.answers["app"] = hanging

    class Context:
        @staticmethod
        def get_remaining_time_in_millis() -> int:
            return int(handler._LEFT_SECONDS * 1000) + 300

    try:
        with pytest.raises(RehearsalError, match=r"app \(function\)"):
            handler.handle({}, Context())
    finally:
        hanging.set()
    found = logged(capsys)
    assert "did not finish" in found["app"].findings[0].problem
    assert found["keys"].findings == ()


# outcomes

TEXT = st.text(max_size=40)
FINDINGS = st.lists(st.builds(Finding, TEXT, TEXT, TEXT), max_size=3)


@given(TEXT, FINDINGS)
def test_an_outcome_is_one_line_and_is_read_as_it_was_written(secret: str, findings: list[Finding]) -> None:
    line = outcomes.line(secret, findings)
    assert len(line.splitlines()) == 1
    assert outcomes.MARK in line
    read = outcomes.latest([(0, line)])[secret]
    assert len(read.findings) == len(findings)
    for text in (text for one in read.findings for text in (one.step, one.problem, one.consequence)):
        assert text.isprintable()


@given(st.lists(st.tuples(st.integers(), st.one_of(TEXT, st.just("[]"), st.just('{"event": 1}')))))
def test_lines_of_any_other_kind_are_skipped(events: list[tuple[int, str]]) -> None:
    line = outcomes.line("app", [])
    assert outcomes.latest([*events, (5, line), *events]).keys() == {"app"}


def test_the_last_outcome_counts_in_whatever_order_the_log_is_read() -> None:
    bad, good = outcomes.line("app", [Finding("read", "p", "c")]), outcomes.line("app", [])
    for events in ([(1, bad), (2, good)], [(2, good), (1, bad)]):
        assert outcomes.latest(events)["app"].findings == ()


@pytest.mark.parametrize(
    ("hours", "created_days", "words"),
    [
        (None, 1, None),
        (None, 30, "was not rehearsed in time; the schedule is every 7 days"),
        (24 * 8, 30, None),
        (24 * 8 + 1, 30, "was not rehearsed in time"),
    ],
)
def test_a_rehearsal_that_did_not_take_place_is_reported_once_it_is_late(
    hours: int | None, created_days: int, words: str | None
) -> None:
    outcome = None if hours is None else outcomes.Outcome("app", NOW - timedelta(hours=hours), ())
    found = outcomes.trouble(outcome, 7, NOW - timedelta(days=created_days), NOW)
    if words is None:
        assert found == []
    else:
        [(text, _)] = found
        assert words in text


# notices


class Log:
    def __init__(self, pages: list[dict[str, Any]] | Exception) -> None:
        self.pages, self.asked = pages, 0

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        if isinstance(self.pages, Exception):
            raise self.pages
        self.asked += 1
        return self.pages[min(self.asked, len(self.pages)) - 1]


def attention(monkeypatch: pytest.MonkeyPatch, log: Log) -> list[assess.Attention]:
    class Secrets:
        @staticmethod
        def describe_secret(SecretId: str) -> dict[str, Any]:  # noqa: N803  boto3's
            return {
                "Name": SecretId,
                "CreatedDate": NOW - timedelta(days=90),
                "VersionIdsToStages": {"v": ["AWSCURRENT"]},
            }

    clients: dict[str, Any] = {"logs": log, "secretsmanager": Secrets()}
    monkeypatch.setattr("boto3.client", lambda name, **_: clients[name])
    monkeypatch.setenv("REHEARSAL_LOG_GROUP", "the-log")
    return notices._attention([Declared("app", rehearse_days=1), Declared("other")], NOW)


def test_a_notice_names_what_the_last_rehearsal_found(monkeypatch: pytest.MonkeyPatch) -> None:
    at = int((NOW - timedelta(hours=3)).timestamp() * 1000)
    event = {"timestamp": at, "message": outcomes.line("app", [Finding("setSecret", "locked.", "It fails.")])}
    [one] = attention(monkeypatch, Log([{"events": [], "nextToken": "t"}, {"events": [event]}]))
    assert (one.secret, one.kind) == ("app", "rehearsal")
    assert one.text == "The rehearsal on 2026-11-30 09:00 UTC found that setSecret would fail: locked"
    assert one.remedy.startswith("It fails. Once it is corrected, start a rehearsal")
    good = {"timestamp": at, "message": outcomes.line("app", [])}
    assert attention(monkeypatch, Log([{"events": [event, good]}])) == []


def test_a_log_that_cannot_be_read_is_reported_once_and_blames_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "m"}}, "FilterLogEvents")
    [one] = attention(monkeypatch, Log(error))
    assert (one.secret, one.kind) == ("rehearsals", "unknown")
    assert "AccessDeniedException" in one.text


def test_a_log_with_endless_pages_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log([{"events": [], "nextToken": "t"}])
    assert [one.kind for one in attention(monkeypatch, log)] == ["rehearsal"]
    assert log.asked == notices._MOST_PAGES
