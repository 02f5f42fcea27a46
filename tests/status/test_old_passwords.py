"""Clients with an old password: the answers of the functions, and which functions are asked."""

import io
import json
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from operations.status.model import Difference, OldPasswords, Problem, Secret
from operations.status.old_passwords import read_answer, with_old_passwords
from tests.support.sample_status import sample_status

HOLDER = {"User": "shop", "Host": "10.0.0.7", "Application": "billing"}
ANSWER = {"Holders": [HOLDER], "Outlook": ["The next rotation would be deferred."]}


def session(answer: object) -> MagicMock:
    def invoke(**_: object) -> dict[str, Any]:
        if isinstance(answer, Exception):
            raise answer
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    aws = MagicMock()
    aws.session.client.return_value.invoke.side_effect = invoke
    return aws


def rotating() -> Secret:
    return next(
        one
        for one in sample_status(20, 2).secrets
        if one.arn and one.rotation and one.rotation.function and not one.drift
    )


def test_a_function_is_asked_about_declared_secrets_without_drift_only() -> None:
    secret = rotating()
    drift = (Difference(what="rotation", declared="a function of this stack", actual="another"),)
    aws = session(ANSWER)
    [known] = with_old_passwords([secret], [secret.name], aws)
    assert known.old_passwords is not None
    assert (known.old_passwords.holders[0].host, known.old_passwords.outlook) == (
        "10.0.0.7",
        "The next rotation would be deferred.",
    )
    call = aws.session.client.return_value.invoke
    assert json.loads(call.call_args.kwargs["Payload"]) == {"Action": "old-passwords", "SecretId": secret.arn}
    call.reset_mock()
    assert with_old_passwords([secret], [], aws) == (secret,)
    drifted = replace(secret, drift=drift)
    assert with_old_passwords([drifted], [secret.name], aws) == (drifted,)
    call.assert_not_called()


def test_a_missing_permission_is_a_problem_of_the_secret() -> None:
    secret = rotating()
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "Invoke")
    [known] = with_old_passwords([secret], [secret.name], session(denied))
    assert "lambda:InvokeFunction" in next(one.text for one in known.problems if one.kind == "unknown")
    assert known.old_passwords is None


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'{"Holders": 1}', b'{"Outlook": []}'])
def test_an_answer_that_is_none_of_ours_is_a_problem(payload: bytes) -> None:
    assert isinstance(read_answer({}, payload), Problem)


def test_a_function_that_cannot_see_says_why() -> None:
    payload = json.dumps({"errorMessage": "add +client|list."}).encode()
    answer = read_answer({"FunctionError": "Unhandled"}, payload)
    assert isinstance(answer, Problem)
    assert answer.remedy.startswith("add +client|list.")
    assert isinstance(read_answer({}, json.dumps(ANSWER).encode()), OldPasswords)
