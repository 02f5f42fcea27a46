"""The outcome of rehearsals on a schedule, from the log of the function, without AWS."""

# ruff: noqa: ANN401  boto3 makes its clients at run time

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.lambdas.rehearsal import outcomes
from components.lambdas.rehearsal.outcomes import Finding
from operations.status import page, texts
from operations.status.aws import _MOST_PAGES, AwsSession
from operations.status.model import Secret
from operations.status.rehearsals import with_outcomes
from program.desired import Desired, resolve
from stack_file import StackFile
from tests.support.sample_status import NOW, sample_status

FINDING = Finding("setSecret", "The role 'a\nb' is locked.", "It fails.")


def desired(**more: Any) -> Desired:
    keys = {"values": {"KEY": {"random": {"length": 24}}}}
    rotating = {**keys, "rotation": {"keys": ["KEY"]}}
    written = {"secrets": {"app": rotating, "plain": keys}, "rehearsal": {"everyDays": 7}, **more}
    return resolve(StackFile.model_validate_json(json.dumps(written)), "p", "s")


def secrets() -> tuple[Secret, ...]:
    one = replace(sample_status(1, 0).secrets[0], rehearsal=None)
    return replace(one, name="app"), replace(one, name="plain")


class Logs:
    """CloudWatch Logs with one log, which has these lines of some hours ago."""

    def __init__(self, *lines: tuple[float, str], error: str = "", tokens: int = 0) -> None:
        self.lines, self.error, self.tokens, self.asked = lines, error, tokens, list[Any]()

    def filter_log_events(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "m"}}, "FilterLogEvents")
        events = [
            {"timestamp": int((NOW - timedelta(hours=hours)).timestamp() * 1000), "message": line}
            for hours, line in self.lines
        ]
        more = {"nextToken": "t"} if len(self.asked) <= self.tokens else {}
        return {"events": events, **more}


def found(logs: Logs, **more: Any) -> Secret:
    class Session(AwsSession):
        def client(self, service: str, attempts: int = 8) -> Any:
            del service, attempts
            return logs

    app, plain = with_outcomes(secrets(), desired(**more), Session("us-east-1", None), NOW)
    assert plain == secrets()[1]
    return app


def test_the_last_rehearsal_is_shown_with_its_time() -> None:
    logs = Logs((30, outcomes.line("app", [FINDING])), (3, outcomes.line("app", [])))
    app = found(logs)
    assert app.rehearsal is not None
    assert (app.rehearsal.works, app.rehearsal.at) == (True, NOW - timedelta(hours=3))
    assert app.problems == ()
    assert texts.rehearsal(app, NOW) == "3 hours ago, works"
    [asked] = logs.asked
    assert asked["logGroupName"] == "/aws/lambda/rehearsal-p/s"
    assert asked["startTime"] == (NOW - timedelta(days=8)).timestamp() * 1000


def test_a_rotation_that_would_fail_is_a_problem_in_every_form() -> None:
    app = found(Logs((3, outcomes.line("app", [FINDING]))))
    [problem] = app.problems
    assert problem.kind == "rehearsal"
    assert problem.text.endswith("found that setSecret would fail: The role 'a b' is locked")
    assert texts.state(app) == "rehearsal failed"
    status = replace(sample_status(1, 0), secrets=(app,), functions=())
    lines = list(texts.lines(status))
    assert "rehearsed 3 hours ago, fails: setSecret;" in lines[0]
    assert "setSecret would fail" in page.render_page(status)


@pytest.mark.parametrize("logs", [Logs(), Logs(error="ResourceNotFoundException")])
def test_a_secret_that_was_not_rehearsed_in_time_is_a_problem(logs: Logs) -> None:
    app = found(logs)
    assert [one.kind for one in app.problems] == ["rehearsal"]
    assert "not rehearsed in time" in app.problems[0].text
    assert app.rehearsal is not None
    assert texts.state(app) == "not rehearsed"
    assert texts.rehearsal(app, NOW) == "not yet, or not in time"


def test_without_the_permission_or_the_whole_log_nothing_is_claimed() -> None:
    for logs in (Logs(error="AccessDeniedException"), Logs(tokens=1_000)):
        app = found(logs)
        assert ([one.kind for one in app.problems], app.rehearsal) == (["unknown"], None)
        assert len(logs.asked) <= _MOST_PAGES


def test_without_a_schedule_no_log_is_read() -> None:
    logs = Logs()
    assert (found(logs, rehearsal=None), logs.asked) == (secrets()[0], [])
