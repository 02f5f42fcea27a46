"""Secrets Manager, as much of it as the writer needs.

The client finds its endpoint, region and credentials in the environment, as every AWS client does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

from .errors import ConflictError, LabelLimitError, OperatorError, RefusedError, UnavailableError
from .record import CURRENT

_HINTS = {
    "AccessDeniedException": " Allow it in the function's role, and in the key's policy if KMS is named.",
    "ResourceNotFoundException": " Does the secret exist in this account and region?",
}

# Source: AWS Secrets Manager API Reference, "Common Errors" and the errors of each operation
_PASSING = {
    "InternalFailure",
    "InternalServiceError",
    "RequestTimeout",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
}


@dataclass(frozen=True)
class Description:
    """What DescribeSecret says.

    Attributes:
        stages: labels by version id; versions without a label are not listed.
        deleted: scheduled for deletion.
    """

    stages: Mapping[str, frozenset[str]]
    deleted: bool

    def version_with(self, stage: str) -> str | None:
        """The id of the version that has the label."""
        return next((version for version, labels in self.stages.items() if stage in labels), None)


@dataclass(frozen=True)
class Value:
    """A version's value, a text or bytes."""

    content: str | bytes


def describe(arn: str) -> Description:
    """What is known about a secret, its values aside."""
    answer = _call("describe_secret", SecretId=arn)
    stages = {key: frozenset(labels) for key, labels in answer.get("VersionIdsToStages", {}).items()}
    return Description(stages, deleted=answer.get("DeletedDate") is not None)


def find(arn: str, version: str) -> Value | None:
    """A version's value; None if there is none."""
    try:
        answer = _send("get_secret_value", SecretId=arn, VersionId=version)
    except ClientError as error:
        if _code(error) == "ResourceNotFoundException":
            return None
        raise _explained("get_secret_value", arn, error) from None
    text = answer.get("SecretString")
    return Value(answer.get("SecretBinary", b"") if text is None else text)


def put(arn: str, version: str, content: str | bytes, labels: Sequence[str]) -> frozenset[str]:
    """Write a new version; returns its labels: a secret's first one has AWSCURRENT without being asked."""
    answer = _call(
        "put_secret_value",
        SecretId=arn,
        ClientRequestToken=version,
        VersionStages=list(labels),
        **({"SecretString": content} if isinstance(content, str) else {"SecretBinary": content}),
    )
    return frozenset(answer.get("VersionStages", []))


def move_current(arn: str, to_version: str, from_version: str) -> None:
    """Move AWSCURRENT.

    Raises:
        ConflictError: `from_version` does not have it any more; nothing was moved.
    """
    attach(arn, CURRENT, to_version, from_version)


def attach(arn: str, label: str, version: str, holder: str | None) -> None:
    """Give a label to a version; `holder` is the version that has it now, if any has.

    Raises:
        ConflictError: another version has it, or one of the two is gone.
    """
    leaving = {"RemoveFromVersionId": holder} if holder else {}
    try:
        _send(_MOVE, SecretId=arn, VersionStage=label, MoveToVersionId=version, **leaving)
    except ClientError as error:
        if _code(error) in _ELSEWHERE:
            raise ConflictError(f"Secret {arn} was changed by somebody else meanwhile.") from None
        raise _explained(_MOVE, arn, error) from None


def remove(arn: str, label: str, version: str) -> None:
    """Take a label off a version; it may be gone already."""
    try:
        _send(_MOVE, SecretId=arn, VersionStage=label, RemoveFromVersionId=version)
    except ClientError as error:
        if _code(error) not in _ELSEWHERE:
            raise _explained(_MOVE, arn, error) from None


_MOVE = "update_secret_version_stage"

# what AWS answers when the label, or the version, is not where the request has it
_ELSEWHERE = {"InvalidParameterException", "ResourceNotFoundException"}


@cache
def _client() -> Any:  # noqa: ANN401 - boto3 makes its clients' types at run time
    # few tries a call: a whole attempt is repeated, and finds out what a lost answer would have said
    settings = Config(
        connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}
    )
    return boto3.client("secretsmanager", config=settings)


def _call(operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - shapes are AWS's
    try:
        return _send(operation, **arguments)
    except ClientError as error:
        raise _explained(operation, arguments["SecretId"], error) from None


def _send(operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - shapes are AWS's
    try:
        return getattr(_client(), operation)(**arguments)
    except BotoCoreError as error:
        raise _unsent(operation, arguments["SecretId"], error) from None


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _explained(operation: str, arn: str, error: ClientError) -> OperatorError:
    code, message = _code(error), error.response["Error"]["Message"]
    text = f"Secrets Manager refused {operation} for {arn}: {code}: {message}{_HINTS.get(code, '')}"
    if code in _PASSING:
        return UnavailableError(text)
    return LabelLimitError(text) if code == "LimitExceededException" else RefusedError(text)


def _unsent(operation: str, arn: str, error: BotoCoreError) -> OperatorError:
    # the name of the error only: a parameter's value could be part of its text
    name = type(error).__name__
    if isinstance(error, (NoCredentialsError, ParamValidationError)):
        return RefusedError(f"{operation} for {arn} was not sent ({name}).")
    return UnavailableError(
        f"Secrets Manager did not answer {operation} for {arn} ({name}). In a VPC the function needs a route "
        "to it: a NAT gateway or an interface endpoint for secretsmanager."
    )
