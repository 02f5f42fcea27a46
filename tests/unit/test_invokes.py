"""Errors of failed invokes."""

import pytest

from program.invokes import InvokeError, ask


def test_a_failed_invoke_has_its_subject_and_cause() -> None:
    def fail() -> None:
        raise ValueError(
            "invoke of aws:secretsmanager/getSecret:getSecret failed: invocation of "
            "aws:secretsmanager/getSecret:getSecret returned an error: "
            "1 error occurred:\n\t* AccessDenied.\n\n"
        )

    with pytest.raises(InvokeError) as raised:
        ask("secret app", fail)
    assert str(raised.value) == "cannot look up secret app: 1 error occurred: * AccessDenied"


def test_an_answer_is_returned_unchanged() -> None:
    assert ask("a number", lambda: 7) == 7
