"""Secrets Manager, as far as the writer needs it.

The client takes its endpoint, region and credentials from the environment, like every AWS client.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .aws_errors import error_code, explain
from .errors import ConflictError, LabelLimitError, OperatorError, RefusedError, UnavailableError
from .labels import CURRENT

_MOVE = "update_secret_version_stage"

# AWS's error codes if the label or the version is not where the request says
_ELSEWHERE = {"InvalidParameterException", "ResourceNotFoundException"}


@dataclass(frozen=True)
class Description:
    """The part of DescribeSecret's answer that the writer uses.

    Attributes:
        stages: labels by version id; versions without a label are not listed.
        deleted: whether the secret is scheduled for deletion.
    """

    stages: Mapping[str, frozenset[str]]
    deleted: bool

    def version_with(self, label: str) -> str | None:
        """Return the id of the version that has the label."""
        return next((version for version, labels in self.stages.items() if label in labels), None)


@dataclass(frozen=True)
class Value:
    """A version's value, a string or bytes."""

    content: str | bytes


def describe(arn: str) -> Description:
    """Describe a secret, without its values."""
    response = _call("describe_secret", SecretId=arn)
    stages = {key: frozenset(labels) for key, labels in response.get("VersionIdsToStages", {}).items()}
    return Description(stages, deleted=response.get("DeletedDate") is not None)


def find(arn: str, version: str) -> Value | None:
    """Return a version's value; None if it does not exist."""
    try:
        response = _send("get_secret_value", SecretId=arn, VersionId=version)
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        raise _failed("get_secret_value", arn, error) from None
    text = response.get("SecretString")
    return Value(response.get("SecretBinary", b"") if text is None else text)


def put(arn: str, version: str, content: str | bytes, labels: Sequence[str]) -> frozenset[str]:
    """Write a new version and return its labels: AWS may add AWSCURRENT to a secret's first version."""
    response = _call(
        "put_secret_value",
        SecretId=arn,
        ClientRequestToken=version,
        VersionStages=list(labels),
        **({"SecretString": content} if isinstance(content, str) else {"SecretBinary": content}),
    )
    return frozenset(response.get("VersionStages", []))


def move_current(arn: str, to_version: str, from_version: str) -> None:
    """Move AWSCURRENT.

    Raises:
        ConflictError: `from_version` no longer has the label; nothing was moved.
    """
    attach(arn, CURRENT, to_version, from_version)


def attach(arn: str, label: str, version: str, holder: str | None) -> None:
    """Give a label to a version; `holder` is the version that has the label now, None if there is none.

    Raises:
        ConflictError: a different version has the label, or one of the two versions no longer exists.
    """
    source = {"RemoveFromVersionId": holder} if holder else {}
    try:
        _send(_MOVE, SecretId=arn, VersionStage=label, MoveToVersionId=version, **source)
    except ClientError as error:
        if error_code(error) in _ELSEWHERE:
            raise ConflictError(f"Secret {arn}: somebody else changed the secret at the same time.") from None
        raise _failed(_MOVE, arn, error) from None


def remove(arn: str, label: str, version: str) -> None:
    """Remove a label from a version if it has it."""
    try:
        _send(_MOVE, SecretId=arn, VersionStage=label, RemoveFromVersionId=version)
    except ClientError as error:
        if error_code(error) not in _ELSEWHERE:
            raise _failed(_MOVE, arn, error) from None


@cache
def _client() -> Any:  # noqa: ANN401 - boto3 makes its clients' types at run time
    # few attempts per call: the whole request is retried, which finds out what a lost answer would have said
    settings = Config(
        connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}
    )
    return boto3.client("secretsmanager", config=settings)


def _call(operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - shapes are AWS's
    try:
        return _send(operation, **arguments)
    except ClientError as error:
        raise _failed(operation, arguments["SecretId"], error) from None


def _send(operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - shapes are AWS's
    try:
        return getattr(_client(), operation)(**arguments)
    except BotoCoreError as error:
        raise _failed(operation, arguments["SecretId"], error) from None


def _failed(operation: str, arn: str, error: ClientError | BotoCoreError) -> OperatorError:
    failure = explain(operation, arn, error)
    if failure.transient:
        return UnavailableError(failure.message)
    kind = LabelLimitError if failure.code == "LimitExceededException" else RefusedError
    return kind(failure.message)
