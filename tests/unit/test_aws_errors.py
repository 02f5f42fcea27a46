"""Both functions explain a failed call of Secrets Manager in the same words."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from components.lambdas.common.aws_errors import explain
from components.lambdas.rotation import errors as rotation_errors
from components.lambdas.rotation import store as rotation_store
from components.lambdas.writer import errors as writer_errors
from components.lambdas.writer import store as writer_store

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "Not now."}}, "PutSecretValue")


UNANSWERED = EndpointConnectionError(endpoint_url="https://secretsmanager.us-east-1.amazonaws.com")
INVALID = ParamValidationError(report="canary-4f1d")


@pytest.mark.parametrize(
    ("error", "words", "transient"),
    [
        (client_error("ThrottlingException"), "rejected PutSecretValue for secret", True),
        (client_error("InternalServiceError"), "InternalServiceError: Not now.", True),
        (client_error("AccessDeniedException"), "Not now. Allow it in the function's role", False),
        (client_error("ResourceNotFoundException"), "Check that the secret exists", False),
        (client_error("LimitExceededException"), "LimitExceededException", False),
        (UNANSWERED, "needs a route to it", True),
        (INVALID, "was not sent (ParamValidationError)", False),
    ],
)
def test_a_failed_call_is_explained_with_its_remedy(error: Exception, words: str, *, transient: bool) -> None:
    assert isinstance(error, ClientError | EndpointConnectionError | ParamValidationError)
    failure = explain("put_secret_value", ARN, error)
    assert words in failure.message
    assert ARN in failure.message
    assert "canary" not in failure.message
    assert failure.transient is transient


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ThrottlingException"), writer_errors.UnavailableError),
        (UNANSWERED, writer_errors.UnavailableError),
        (client_error("LimitExceededException"), writer_errors.LabelLimitError),
        (client_error("AccessDeniedException"), writer_errors.RefusedError),
        (INVALID, writer_errors.RefusedError),
    ],
)
def test_both_stores_use_the_same_explanation(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    class Client:
        def describe_secret(self, **_request: object) -> None:
            raise error

    messages = []
    for store, expected in ((rotation_store, rotation_errors.OperatorError), (writer_store, kind)):
        monkeypatch.setattr(store, "_client", Client)
        with pytest.raises(expected) as raised:
            store.describe(ARN)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
