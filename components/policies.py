"""IAM policy documents, and statements about the KMS keys of secrets."""

import json
from collections.abc import Iterable, Mapping, Sequence

AWS_MANAGED_ALIAS = "alias/aws/secretsmanager"
"""Alias of the key that encrypts a secret by default; other accounts cannot use it."""

READ_VALUES = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
READ_METADATA = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"]


def document(*statements: Mapping[str, object]) -> str:
    """Return the policy document with these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def function_trust(account_id: str) -> str:
    """Return the trust policy of a role for Lambda functions of the account."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        }
    )


def log_writing(log_group_arn: str) -> dict[str, object]:
    """Return the statement that allows a Lambda function to write its log."""
    return {
        "Sid": "WriteItsLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{log_group_arn}:log-stream:*",
    }


def connecting(database_user_arns: Iterable[str]) -> str:
    """Return the policy that allows a role to log in to databases with IAM database authentication."""
    return document(
        {
            "Sid": "LogInToDatabases",
            "Effect": "Allow",
            "Action": "rds-db:connect",
            "Resource": sorted(set(database_user_arns)),
        }
    )


def uses_of_keys(
    sid: str,
    kms_key_arns: Iterable[str],
    region: str,
    actions: Sequence[str],
    only_for: Mapping[str, object] | None = None,
) -> list[dict[str, object]]:
    """Return the statements that allow the use of keys, only through Secrets Manager.

    Args:
        sid: Sid of each statement, with `{}` for its number.
        kms_key_arns: ARNs of keys or aliases; duplicates are dropped.
        region: region of the secrets.
        actions: actions of KMS.
        only_for: further StringEquals conditions. Default: none.
    """
    conditions = {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com", **(only_for or {})}
    return [
        {"Sid": sid.format(number), **_use_of_key(key, actions, conditions)}
        for number, key in enumerate(sorted(set(kms_key_arns)), start=1)
    ]


def key_arn(key: str | None, *, partition: str, region: str, account_id: str) -> str | None:
    """Return the ARN of a key or alias that is given by ARN, ID or alias; None for AWS's own key."""
    if not key or key.endswith(AWS_MANAGED_ALIAS):
        return None
    if key.startswith("arn:"):
        return key
    kind = "" if key.startswith("alias/") else "key/"
    return f"arn:{partition}:kms:{region}:{account_id}:{kind}{key}"


def _use_of_key(key: str, actions: Sequence[str], equal: Mapping[str, object]) -> dict[str, object]:
    conditions: dict[str, object] = {"StringEquals": equal}
    keys, _, alias = key.partition(":alias/")
    if alias:  # IAM allows keys, not aliases: allow the key that has the alias
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
        key = f"{keys}:key/*"
    return {"Effect": "Allow", "Action": list(actions), "Resource": key, "Condition": conditions}
