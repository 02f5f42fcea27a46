"""Secrets Manager, as far as a rotation needs it.

The client takes its endpoint, region and credentials from the environment, like every AWS client.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .aws_errors import error_code, explain
from .driver import Fields
from .errors import OperatorError
from .labels import CURRENT, PENDING


@dataclass(frozen=True)
class Description:
    """The part of DescribeSecret's answer that a rotation uses.

    Attributes:
        arn: the full ARN.
        tags: all tags.
        stages: labels by version id; versions without a label are not listed.
        rotation_enabled: None if rotation was never configured.
        deleted: whether the secret is scheduled for deletion.
        last_rotated: when a rotation last succeeded, in seconds since 1970; 0 if none has.
        last_changed: when anything of the secret last changed, labels included, in seconds since 1970.
    """

    arn: str
    tags: Mapping[str, str]
    stages: Mapping[str, frozenset[str]]
    rotation_enabled: bool | None
    deleted: bool
    last_rotated: float = 0.0
    last_changed: float = 0.0

    def version_with(self, label: str) -> str | None:
        """Return the id of the version that has the label."""
        return next((version for version, labels in self.stages.items() if label in labels), None)


def describe(arn: str) -> Description:
    """Describe a secret, without its values."""
    response = _call("describe_secret", SecretId=arn)
    return Description(
        arn=response["ARN"],
        tags={tag["Key"]: tag["Value"] for tag in response.get("Tags", [])},
        stages={key: frozenset(labels) for key, labels in response.get("VersionIdsToStages", {}).items()},
        rotation_enabled=response.get("RotationEnabled"),
        deleted=response.get("DeletedDate") is not None,
        last_rotated=_seconds(response.get("LastRotatedDate")),
        last_changed=_seconds(response.get("LastChangedDate")),
    )


def read(arn: str, label: str) -> Fields:
    """Return the value of the version that has the label.

    Raises:
        OperatorError: no version has it, or its value is not a JSON object.
    """
    fields = find(arn, label=label)
    if fields is None:
        raise OperatorError(
            f"Secret {arn}: no version has the label {label}. Put an initial value, a JSON object, into it."
        )
    return fields


def find(arn: str, *, version: str | None = None, label: str | None = None) -> Fields | None:
    """Return a version's value, by version id, label or both; None if it does not exist.

    Raises:
        OperatorError: the value is not a JSON object.
    """
    response = _get(arn, version=version, label=label)
    if response is None:
        return None
    return _parse_object(response.get("SecretString"), f"Secret {arn}, version {label or version}")


def written(arn: str, version: str) -> float:
    """Return when a version was written, in seconds since 1970; 0 if it does not exist."""
    response = _get(arn, version=version)
    return _seconds(response.get("CreatedDate")) if response else 0.0


def _get(arn: str, *, version: str | None = None, label: str | None = None) -> Mapping[str, Any] | None:
    selectors = {"VersionId": version, "VersionStage": label}
    try:
        response: Mapping[str, Any] = _client().get_secret_value(
            SecretId=arn, **{key: v for key, v in selectors.items() if v}
        )
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        raise _failed("get_secret_value", arn, error) from None
    except BotoCoreError as error:
        raise _failed("get_secret_value", arn, error) from None
    return response


def put(arn: str, version: str, fields: Fields, label: str, rotation_token: str | None, *more: str) -> None:
    """Write a new version with its labels; writing the same version with the same value again is allowed."""
    token = {"RotationToken": rotation_token} if rotation_token else {}
    text = json.dumps(fields, ensure_ascii=False)
    _call(
        "put_secret_value",
        SecretId=arn,
        ClientRequestToken=version,
        SecretString=text,
        VersionStages=[label, *more],
        **token,
    )


def move_current(arn: str, to_version: str, from_version: str) -> None:
    """Move AWSCURRENT; AWS rejects it if `from_version` does not have the label, so that no edit is lost."""
    _call(
        "update_secret_version_stage",
        SecretId=arn,
        VersionStage=CURRENT,
        MoveToVersionId=to_version,
        RemoveFromVersionId=from_version,
    )


def add_label(arn: str, version: str, label: str) -> None:
    """Give a version a label that no other version has."""
    _call("update_secret_version_stage", SecretId=arn, VersionStage=label, MoveToVersionId=version)


def drop_pending(arn: str, version: str) -> None:
    """Remove AWSPENDING from a version if it has it, so that the next rotation starts from the beginning.

    AWS may have removed it already, because somebody made another version current in the meantime.
    """
    drop_label(arn, version, PENDING)


def drop_label(arn: str, version: str, label: str) -> None:
    """Remove a label from a version if it has it."""
    try:
        _call("update_secret_version_stage", SecretId=arn, VersionStage=label, RemoveFromVersionId=version)
    except OperatorError:
        if label in describe(arn).stages.get(version, frozenset()):
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
    except (ClientError, BotoCoreError) as error:
        raise _failed(operation, arguments["SecretId"], error) from None


def _seconds(moment: object) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else 0.0


def _failed(operation: str, arn: str, error: ClientError | BotoCoreError) -> OperatorError:
    return OperatorError(explain(operation, arn, error).message)


def _parse_object(text: object, where: str) -> Fields:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise OperatorError(
            f"{where}: the value is not a JSON object. Rotation needs one, such as "
            '{"engine": "postgres", "host": ..., "username": ..., "password": ...}.'
        )
    return value
