"""The resource aws:secretsmanager/secretRotation:SecretRotation."""

import re
from typing import Any

from tools.localcloud.plugins.aws import arns, retries
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.names import unique_id
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, missing
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import UNKNOWN, Properties

_RULES = "rotation_rules.0"
_EITHER = f"{_RULES}.automatically_after_days,{_RULES}.schedule_expression"
_MOST_DAYS = 1000
# what the provider looks for anywhere in the text
_TEXTS = (
    ("duration", "duration", r"[0-9h]+"),
    ("scheduleExpression", "schedule_expression", r"[0-9A-Za-z\(\)#\?\*\-\/, ]+"),
)
# a permission or a role that AWS does not know everywhere yet, or a rotation that is not over
_PASSING = ("AccessDeniedException", "InvalidRequestException")
_META = '{"schema_version":"1"}'


def _rules(properties: Properties) -> dict[str, Any]:
    """Return the parameter RotationRules."""
    given = properties.get("rotationRules") or {}
    names = {
        "automaticallyAfterDays": "AutomaticallyAfterDays",
        "duration": "Duration",
        "scheduleExpression": "ScheduleExpression",
    }
    return {there: given[here] for here, there in names.items() if given.get(here)}


def _rotate(account: Account, inputs: Properties, action: str) -> str:
    """Attach function and schedule, and return the secret's ARN."""
    client = account.client("secretsmanager", inputs)
    request: dict[str, Any] = {
        # one for all tries, so that a rotation that began is not begun again
        "ClientRequestToken": unique_id(),
        "RotateImmediately": bool(inputs.get("rotateImmediately")),
        "RotationRules": _rules(inputs),
        "SecretId": inputs["secretId"],
    }
    if inputs.get("rotationLambdaArn"):
        request["RotationLambdaARN"] = inputs["rotationLambdaArn"]
    if inputs.get("externalSecretRotationRoleArn"):
        request["ExternalSecretRotationRoleArn"] = inputs["externalSecretRotationRoleArn"]
    if inputs.get("externalSecretRotationMetadatas"):
        request["ExternalSecretRotationMetadata"] = _metadata(inputs)
    with doing(f"{action} Secrets Manager Secret Rotation ({inputs['secretId']})"):
        answer = retries.retried(
            lambda: client.rotate_secret(**request),
            lambda error: any(is_error(error, code) for code in _PASSING),
        )
    return str(answer["ARN"])


def _metadata(properties: Properties) -> list[dict[str, str]]:
    given = properties.get("externalSecretRotationMetadatas") or []
    return [{"Key": one["key"], "Value": one["value"]} for one in given]


def _create(account: Account, inputs: Properties) -> str:
    if inputs.get("rotationEnabled") is False:
        return _switch_off(account, inputs, "creating")
    return _rotate(account, inputs, "creating")


def _switch_off(account: Account, inputs: Properties, action: str) -> str:
    """End a rotation that AWS began by itself, and return the secret's ARN."""
    with doing(f"{action} Secrets Manager Secret Rotation ({inputs['secretId']})"):
        client = account.client("secretsmanager", inputs)
        return str(client.cancel_rotate_secret(SecretId=inputs["secretId"])["ARN"])


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("secretsmanager", known)
    with doing(f"reading Secrets Manager Secret Rotation ({identity})"):
        found = unless_gone(lambda: client.describe_secret(SecretId=identity))
        if found is None:
            return None
    if "DeletedDate" in found:
        return None
    # AWS keeps function and rules of a rotation that was cancelled; the official provider shows neither, so
    # that the next deployment attaches it again
    enabled = bool(found.get("RotationEnabled"))
    return {
        "__meta": _META,
        "id": identity,
        "region": known.get("region") or account.region,
        # AWS does not keep it
        "rotateImmediately": known.get("rotateImmediately", True),
        "rotationEnabled": enabled,
        "rotationLambdaArn": found.get("RotationLambdaARN", "") if enabled else "",
        "rotationRules": _read_rules(found.get("RotationRules") if enabled else None),
        "secretId": identity,
        **(_read_external(found) if enabled else {}),
    }


def _read_external(found: dict[str, Any]) -> Properties:
    """Return what only a secret of a partner has."""
    metadata = found.get("ExternalSecretRotationMetadata")
    role = found.get("ExternalSecretRotationRoleArn")
    given = [{"key": one["Key"], "value": one["Value"]} for one in metadata or []]
    return {
        **({"externalSecretRotationMetadatas": given} if given else {}),
        **({"externalSecretRotationRoleArn": role} if role else {}),
    }


def _read_rules(rules: dict[str, Any] | None) -> Properties | None:
    if rules is None:
        return None
    expression = rules.get("ScheduleExpression", "")
    return {
        # next to an expression AWS reports the days between rotations
        "automaticallyAfterDays": 0 if expression else rules.get("AutomaticallyAfterDays", 0),
        "duration": rules.get("Duration", ""),
        "scheduleExpression": expression,
    }


def _update(account: Account, _identity: str, olds: Properties, news: Properties) -> None:
    """Update the rotation, except for a change of rotateImmediately alone: that would rotate."""

    def attached(properties: Properties) -> tuple[object, ...]:
        return (
            properties.get("rotationLambdaArn") or "",
            _rules(properties),
            properties.get("externalSecretRotationRoleArn") or "",
            _metadata(properties),
        )

    if news.get("rotationEnabled") is False:
        if olds.get("rotationEnabled") is not False:
            _switch_off(account, news, "updating")
    elif attached(olds) != attached(news):
        _rotate(account, news, "updating")


def _delete(account: Account, identity: str, olds: Properties) -> None:
    # the provider's words, with its spelling of the service
    with doing(f"deleting Secret Manager Secret Rotation ({identity})"):
        account.client("secretsmanager", olds).cancel_rotate_secret(SecretId=olds.get("secretId") or identity)


def _check(inputs: Properties) -> list[Failure]:
    wrong = arns.refusal("rotation_lambda_arn", inputs.get("rotationLambdaArn"))
    failures = [Failure("rotationLambdaArn", wrong)] if wrong else []
    rules, enabled = inputs.get("rotationRules"), inputs.get("rotationEnabled")
    if rules is None and enabled is not False:
        failures.append(missing("rotationRules", "rotationRules"))
    if rules is not None and enabled is False:
        reason = '"rotation_rules" must be omitted when "rotation_enabled" is false'
        failures.append(Failure("rotationRules", reason))
    return failures + _check_rules(rules) if isinstance(rules, dict) else failures


def _check_rules(rules: Properties) -> list[Failure]:
    failures = []
    days, expression = rules.get("automaticallyAfterDays"), rules.get("scheduleExpression")
    if (days is None) == (expression is None) and UNKNOWN not in {days, expression}:
        amount = (
            f"one of `{_EITHER}` must be specified"
            if days is None
            else f"only one of `{_EITHER}` can be specified, but `{_EITHER}` were specified."
        )
        reason = f'Invalid combination of arguments. "{_RULES}.automatically_after_days": {amount}'
        failures.append(Failure("rotationRules.automaticallyAfterDays", reason))
    if isinstance(days, int) and not 1 <= days <= _MOST_DAYS:
        about = f"{_RULES}.automatically_after_days to be in the range (1 - {_MOST_DAYS}), got {days}"
        failures.append(Failure("rotationRules.automaticallyAfterDays", f"expected {about}"))
    for name, there, pattern in _TEXTS:
        value = rules.get(name)
        if isinstance(value, str) and not re.search(pattern, value):
            reason = f"expected value of {_RULES}.{there} to match regular expression {pattern}"
            failures.append(Failure(f"rotationRules.{name}", reason))
    return failures


SECRET_ROTATION = Resource(
    **shape("aws:secretsmanager/secretRotation:SecretRotation"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={"rotateImmediately": True},
)
