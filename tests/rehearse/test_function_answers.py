"""A function's policy and answers, in every form that AWS and a function may give them."""

import json
from typing import Any

import pytest

from operations.rehearse.aws_checks import may_invoke
from operations.rehearse.invocation import _outcome

ACCOUNT = "123456789012"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"
SERVICE = {"Service": "secretsmanager.amazonaws.com"}
STATEMENT = {"Effect": "Allow", "Principal": SERVICE, "Action": "lambda:InvokeFunction"}
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:rotation"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{**STATEMENT, **one} for one in statements]}


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({}, True),
        ({"Principal": {"Service": ["events.amazonaws.com", SERVICE["Service"]]}}, True),
        ({"Principal": {"Service": "events.amazonaws.com"}}, False),
        ({"Principal": {"AWS": ACCOUNT}}, False),
        ({"Action": ["lambda:*"]}, True),
        ({"Action": "lambda:GetFunction"}, False),
        ({"Condition": {"StringEquals": {"AWS:SourceAccount": ACCOUNT}}}, True),
        ({"Condition": {"StringEquals": {"AWS:SourceAccount": "*"}}}, False),
        ({"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:secretsmanager:*:*:secret:app-*"}}}, True),
        ({"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:secretsmanager:*:*:secret:web-*"}}}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Condition": {"StringNotEquals": {"AWS:SourceAccount": "210987654321"}}}, False),
    ],
)
def test_a_functions_policy_is_read_as_lambda_does(statement: dict[str, Any], allowed: bool) -> None:
    assert may_invoke(policy(statement), SECRET, ACCOUNT) is allowed
    assert may_invoke({"Statement": {**STATEMENT, **statement}}, SECRET, ACCOUNT) is allowed
    denying = {**statement, "Effect": "Deny"}
    assert not may_invoke(policy({}, {"Effect": "Deny"}), SECRET, ACCOUNT)
    assert may_invoke(policy({}, denying), SECRET, ACCOUNT) is not allowed


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'{"Findings": []}', b'{"Rehearsed": 1}'])
def test_an_answer_that_is_none_of_ours_is_a_finding(payload: bytes) -> None:
    [finding] = _outcome({}, payload, FUNCTION).findings
    assert "did not answer as a rotation function" in finding.problem


def test_a_function_that_fails_or_knows_no_rehearsals_is_named() -> None:
    error = {"FunctionError": "Unhandled"}
    timeout = json.dumps({"errorMessage": "Task timed out after 60.00 seconds"}).encode()
    [finding] = _outcome(error, timeout, FUNCTION).findings
    assert "timed out" in finding.problem
    old = json.dumps({"errorMessage": "Action is 'rehearse', which is not supported."}).encode()
    outcome = _outcome(error, old, FUNCTION)
    assert (outcome.findings, outcome.denied) == ((), True)
    assert "Update it: pulumi up" in outcome.gaps[0]
