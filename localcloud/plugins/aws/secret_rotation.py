"""The resource aws:secretsmanager/secretRotation:SecretRotation."""

from typing import Any

from localcloud.plugins.aws.account import Account, doing, missing
from localcloud.plugins.aws.names import unique_id
from localcloud.plugins.aws.schema import shape
from localcloud.plugins.property_types import Failure
from localcloud.plugins.resource import Resource
from localcloud.plugins.values import Properties

_DAYS = "rotation_rules.0.automatically_after_days"
_META = '{"schema_version":"1"}'


def _rules(inputs: Properties) -> dict[str, Any]:
    given = inputs.get("rotationRules") or {}
    names = {
        "automaticallyAfterDays": "AutomaticallyAfterDays",
        "duration": "Duration",
        "scheduleExpression": "ScheduleExpression",
    }
    return {there: given[here] for here, there in names.items() if given.get(here)}


def _rotate(account: Account, inputs: Properties, action: str) -> None:
    secret = str(inputs["secretId"])
    client = account.client("secretsmanager", inputs)
    request: dict[str, Any] = {
        "ClientRequestToken": unique_id(),
        "RotateImmediately": bool(inputs.get("rotateImmediately")),
        "RotationRules": _rules(inputs),
        "SecretId": secret,
    }
    if inputs.get("rotationLambdaArn"):
        request["RotationLambdaARN"] = inputs["rotationLambdaArn"]
    with doing(f"{action} Secrets Manager Secret Rotation ({secret})"):
        client.rotate_secret(**request)


def _create(account: Account, inputs: Properties) -> str:
    _rotate(account, inputs, "creating")
    return str(inputs["secretId"])


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("secretsmanager", known)
    with doing(f"reading Secrets Manager Secret Rotation ({identity})"):
        try:
            found = client.describe_secret(SecretId=identity)
        except client.exceptions.ClientError as error:
            if missing(error):
                return None
            raise
    # AWS keeps function and rules of a rotation that was cancelled
    if "DeletedDate" in found or not found.get("RotationEnabled"):
        return None
    rules = found.get("RotationRules", {})
    expression = rules.get("ScheduleExpression", "")
    return {
        "__meta": _META,
        "id": identity,
        "region": known.get("region") or account.region,
        # AWS does not keep it
        "rotateImmediately": known.get("rotateImmediately", True),
        "rotationEnabled": True,
        "rotationLambdaArn": found.get("RotationLambdaARN", ""),
        "rotationRules": {
            # beside an expression AWS tells how many days it comes to
            "automaticallyAfterDays": 0 if expression else rules.get("AutomaticallyAfterDays", 0),
            "duration": rules.get("Duration", ""),
            "scheduleExpression": expression,
        },
        "secretId": identity,
    }


def _update(account: Account, _identity: str, _olds: Properties, news: Properties) -> None:
    _rotate(account, news, "updating")


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("secretsmanager", olds)
    with doing(f"canceling Secrets Manager Secret Rotation ({identity})"):
        try:
            client.cancel_rotate_secret(SecretId=identity)
        except client.exceptions.ClientError as error:
            if not missing(error):
                raise


def _check(inputs: Properties) -> list[Failure]:
    rules = inputs.get("rotationRules")
    if not isinstance(rules, dict):
        return []
    if "automaticallyAfterDays" in rules and "scheduleExpression" in rules:
        return [
            Failure(
                "rotationRules.automaticallyAfterDays",
                f'"{_DAYS}": only one of `{_DAYS},rotation_rules.0.schedule_expression` can be specified',
            )
        ]
    return []


SECRET_ROTATION = Resource(
    **shape("aws:secretsmanager/secretRotation:SecretRotation"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    fixed_defaults={"rotateImmediately": True},
)
