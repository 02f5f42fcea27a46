"""Secrets Manager, as much of it as a rotation needs.

The client finds its endpoint, region and credentials in the environment, as every AWS client does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from .driver import Fields
from .errors import OperatorError

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"

MERGED = "aws-secrets-merged"
"""Keeps the version that `finishSecret` writes when an operator edited the secret during the rotation."""


@dataclass(frozen=True)
class Description:
    """What DescribeSecret says.

    Attributes:
        arn: the full ARN.
        tags: all tags.
        stages: labels by version id; versions without a label are not listed.
        rotation_enabled: None if rotation was never configured.
        deleted: scheduled for deletion.
    """

    arn: str
    tags: Mapping[str, str]
    stages: Mapping[str, frozenset[str]]
    rotation_enabled: bool | None
    deleted: bool

    def version_with(self, stage: str) -> str | None:
        """Return the id of the version that has the label."""
        return next((version for version, labels in self.stages.items() if stage in labels), None)


def describe(arn: str) -> Description:
    """Read what is known about a secret, its values aside."""
    answer = _call("describe_secret", SecretId=arn)
    return Description(
        arn=answer["ARN"],
        tags={tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])},
        stages={key: frozenset(labels) for key, labels in answer.get("VersionIdsToStages", {}).items()},
        rotation_enabled=answer.get("RotationEnabled"),
        deleted=answer.get("DeletedDate") is not None,
    )


def read(arn: str, stage: str) -> Fields:
    """Read the value that has the label.

    Raises:
        OperatorError: there is none, or it is no JSON object.
    """
    found = find(arn, stage=stage)
    if found is None:
        raise OperatorError(
            f"Secret {arn} has no value with the label {stage}. Give it a first value, a JSON object."
        )
    return found


def find(arn: str, *, version: str | None = None, stage: str | None = None) -> Fields | None:
    """Read a value by version id, label or both; None if there is none.

    Raises:
        OperatorError: the value is no JSON object.
    """
    wanted = {"VersionId": version, "VersionStage": stage}
    try:
        answer = _client().get_secret_value(SecretId=arn, **{key: v for key, v in wanted.items() if v})
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise _explained("get_secret_value", arn, error) from None
    except BotoCoreError as error:
        raise _unreachable("get_secret_value", arn, error) from None
    return _object(answer.get("SecretString"), f"Secret {arn}, version {stage or version}")


def put(arn: str, version: str, fields: Fields, stage: str, rotation_token: str | None) -> None:
    """Write a new version with one label. The same version with the same value may be written again."""
    token = {"RotationToken": rotation_token} if rotation_token else {}
    text = json.dumps(fields, ensure_ascii=False)
    _call(
        "put_secret_value",
        SecretId=arn,
        ClientRequestToken=version,
        SecretString=text,
        VersionStages=[stage],
        **token,
    )


def move_current(arn: str, to_version: str, from_version: str) -> None:
    """Move AWSCURRENT; AWS refuses if `from_version` does not have it, so that no edit is lost unseen."""
    _call(
        "update_secret_version_stage",
        SecretId=arn,
        VersionStage=CURRENT,
        MoveToVersionId=to_version,
        RemoveFromVersionId=from_version,
    )


def drop_pending(arn: str, version: str) -> None:
    """Take AWSPENDING off a version if it has it, so that the next rotation starts afresh.

    AWS takes it off first when somebody makes another version current meanwhile.
    """
    try:
        _call("update_secret_version_stage", SecretId=arn, VersionStage=PENDING, RemoveFromVersionId=version)
    except OperatorError:
        if PENDING in describe(arn).stages.get(version, frozenset()):
            raise


@cache
def _client() -> Any:  # noqa: ANN401 - boto3 makes its clients' types at run time
    settings = Config(
        connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}
    )
    return boto3.client("secretsmanager", config=settings)


def _call(operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - shapes are AWS's
    try:
        return getattr(_client(), operation)(**arguments)
    except ClientError as error:
        raise _explained(operation, arguments["SecretId"], error) from None
    except BotoCoreError as error:
        raise _unreachable(operation, arguments["SecretId"], error) from None


def _explained(operation: str, arn: str, error: ClientError) -> OperatorError:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    hint = {
        "AccessDeniedException": " Allow it in the function's role, and in the key's policy if KMS is named.",
        "ResourceNotFoundException": " Does the secret exist in this account and region?",
    }.get(code, "")
    return OperatorError(f"Secrets Manager refused {operation} for {arn}: {code}: {message}{hint}")


def _unreachable(operation: str, arn: str, error: BotoCoreError) -> OperatorError:
    # the name of the error only: a parameter's value could be part of its text
    name = type(error).__name__
    if isinstance(error, ParamValidationError):
        return OperatorError(f"{operation} for {arn} was not sent: a parameter is malformed ({name}).")
    return OperatorError(
        f"Secrets Manager did not answer {operation} for {arn} ({name}). In a VPC the function needs a route "
        "to it: a NAT gateway or an interface endpoint for secretsmanager."
    )


def _object(text: object, where: str) -> Fields:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise OperatorError(
            f"{where} is not a JSON object. Rotation needs one, such as "
            '{"engine": "postgres", "host": ..., "username": ..., "password": ...}.'
        )
    return value
