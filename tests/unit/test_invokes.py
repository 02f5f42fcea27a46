"""What is said where AWS could not be asked."""

import pytest

from program.invokes import InvokeError, asked


def test_a_failed_question_is_told_with_what_it_is_about_and_the_providers_words() -> None:
    def ask() -> None:
        raise ValueError(
            "invoke of aws:secretsmanager/getSecret:getSecret failed: invocation of "
            "aws:secretsmanager/getSecret:getSecret returned an error: "
            "1 error occurred:\n\t* AccessDenied.\n\n"
        )

    with pytest.raises(InvokeError) as raised:
        asked("secret app", ask)
    assert str(raised.value) == "AWS could not be asked for secret app: 1 error occurred: * AccessDenied"


def test_an_answer_is_given_as_it_is() -> None:
    assert asked("a number", lambda: 7) == 7
