"""The attachment of a rotation, the function's policy, the key, and the alarm, as only AWS knows them.

Sources: AWS Secrets Manager User Guide, "Lambda function rotation" and "Troubleshoot rotation"; AWS Lambda
Developer Guide, "Using resource-based policies for Lambda"; AWS Lambda API Reference,
GetFunctionConfiguration.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from components.policies import AWS_MANAGED_ALIAS
from operations.rehearse.declared import Declared
from operations.rehearse.model import Finding, Outcome
from operations.status.aws import DESCRIBE, AwsSession, Denied
from operations.status.errors import denial

GET_POLICY, GET_FUNCTION = "lambda:GetPolicy", "lambda:GetFunctionConfiguration"
_SERVICE = "secretsmanager.amazonaws.com"
_INVOKES = {"lambda:invokefunction", "lambda:*", "*"}
_NO_START = "Secrets Manager does not start the next rotation. AWSCURRENT stays as it is, and grows older."
_LIKE = {"StringLike", "ArnEquals", "ArnLike"}


def check(aws: AwsSession, declared: Declared, account_id: str) -> tuple[Outcome, str]:
    """Return what would keep Secrets Manager from rotating a secret, and the secret's ARN.

    Args:
        aws: AWS in the stack's region; it calls DescribeSecret, GetPolicy, GetFunctionConfiguration,
            DescribeKey and DescribeAlarmsForMetric.
        declared: the secret and its function.
        account_id: of the secret and the function.

    Returns:
        The outcome; and the ARN, which is empty if the function cannot rehearse the secret.

    Raises:
        QueryError: AWS could not be asked.
    """
    client = aws.client("secretsmanager")
    described = aws.call(DESCRIBE, lambda: client.describe_secret(SecretId=declared.name))
    outcome = _attachment(described, declared)
    arn = described["ARN"] if isinstance(described, Mapping) else ""
    outcome += _permission(aws, declared, arn, account_id)
    if declared.is_ours:
        outcome += _alarm(aws, declared)
    if isinstance(described, Mapping):
        outcome += _key(aws, described)
    is_gone = not isinstance(described, Mapping) or "DeletedDate" in described
    return outcome, "" if is_gone else arn


def _found(step: str, problem: str, consequence: str = _NO_START) -> Outcome:
    return Outcome(findings=(Finding(step=step, problem=problem, consequence=consequence),))


def _unknown(step: str, answer: Denied) -> Outcome:
    return Outcome(gaps=(f"{step}: {denial(answer.action)}. Allow it: docs/rehearsal.md.",), denied=True)


def _attachment(described: Mapping[str, Any] | Denied | None, declared: Declared) -> Outcome:
    name = declared.name
    if isinstance(described, Denied):
        return _unknown("attachment", described)
    if described is None:
        return _found("attachment", f"Secret {name} does not exist. Create it: pulumi up --refresh")
    if "DeletedDate" in described:
        return _found(
            "attachment",
            f"Secret {name} is scheduled for deletion. Restore it: python -m operations restore {name}",
        )
    if not described.get("RotationEnabled"):
        return _found(
            "attachment", f"Rotation of secret {name} is off in AWS. Attach it again: pulumi up --refresh"
        )
    attached = str(described.get("RotationLambdaARN", ""))
    if attached != declared.function:
        return _found(
            "attachment",
            f"Secret {name} rotates with {attached or 'no function'}, and the stack declares "
            f"{declared.function}. Attach that again: pulumi up --refresh",
            "Secrets Manager invokes the other function, which decides what happens to the secret.",
        )
    return Outcome(steps=("attachment",))


def _permission(aws: AwsSession, declared: Declared, secret_arn: str, account_id: str) -> Outcome:
    client, function = aws.client("lambda"), declared.function
    found = aws.call(GET_FUNCTION, lambda: client.get_function_configuration(FunctionName=function))
    if found is None:
        return _found("function", f"Function {function} does not exist. Create it: pulumi up --refresh")
    outcome = _unknown("function", found) if isinstance(found, Denied) else _state(function, found)
    policy = aws.call(GET_POLICY, lambda: json.loads(client.get_policy(FunctionName=function)["Policy"]))
    if isinstance(policy, Denied):
        return outcome + _unknown("permission", policy)
    if policy is None or not may_invoke(policy, secret_arn, account_id):
        return outcome + _found(
            "permission",
            f"The policy of function {function} does not let {_SERVICE} invoke it for account {account_id}. "
            "Add the permission again: pulumi up --refresh",
        )
    return outcome + Outcome(steps=("permission",))


def _state(function: str, configuration: Mapping[str, Any]) -> Outcome:
    for key in ("State", "LastUpdateStatus"):
        if configuration.get(key) == "Failed":
            reason = str(configuration.get(f"{key}Reason") or "no reason given").rstrip(".")
            return _found(
                "function",
                f"Lambda reports {key} Failed for function {function}: {reason}. Correct it and run: "
                "pulumi up --refresh",
            )
    return Outcome()


def may_invoke(policy: Mapping[str, Any], secret_arn: str, account_id: str) -> bool:
    """Return whether a function's policy lets Secrets Manager invoke it for a secret of this account.

    A condition on anything other than the source's account and ARN is taken for one that does not hold.
    """
    statements = [one for one in _listed(policy.get("Statement")) if _concerns(one)]
    sources = {"aws:sourceaccount": account_id, "aws:sourcearn": secret_arn}
    holding = [one for one in statements if _holds(one.get("Condition") or {}, sources)]
    effects = {str(one.get("Effect")) for one in holding}
    return "Allow" in effects and "Deny" not in effects


def _concerns(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    named = _listed(principal.get("Service") if isinstance(principal, Mapping) else principal)
    actions = {str(action).lower() for action in _listed(statement.get("Action"))}
    return bool({_SERVICE, "*"} & {*map(str, named)}) and bool(_INVOKES & actions)


def _holds(condition: Mapping[str, Any], sources: Mapping[str, str]) -> bool:
    return all(
        any(_compared(operator, sources.get(key.lower(), ""), str(one)) for one in _listed(wanted))
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _compared(operator: str, source: str, wanted: str) -> bool:
    return (
        source == wanted if operator == "StringEquals" else operator in _LIKE and fnmatchcase(source, wanted)
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _alarm(aws: AwsSession, declared: Declared) -> Outcome:
    alarm = aws.alarms([declared.function])[declared.function]
    if isinstance(alarm, Denied):
        return _unknown("alarm", alarm)
    if alarm.state is None:
        return _found(
            "alarm",
            f"Function {declared.function} has no alarm on its errors. Create it again: pulumi up --refresh",
            "If the next rotation fails, nobody is notified.",
        )
    return Outcome(steps=("alarm",))


def _key(aws: AwsSession, described: Mapping[str, Any]) -> Outcome:
    key_id = str(described.get("KmsKeyId") or "")
    if not key_id or key_id.endswith(AWS_MANAGED_ALIAS):
        return Outcome()
    key = aws.keys([key_id])[key_id]
    if isinstance(key, Denied):
        return _unknown("key", key)
    if not key.usable:
        return _found(
            "key",
            f"The KMS key {key.arn} of secret {described['Name']} is unusable ({key.state}). Enable it, or "
            "cancel its deletion.",
            "The next rotation fails in createSecret, and nobody can read the secret now.",
        )
    return Outcome(steps=("key",))
