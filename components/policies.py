"""IAM policy documents, and what a role may do with the KMS keys of secrets."""

import json
from collections.abc import Iterable, Mapping, Sequence

AWS_MANAGED_ALIAS = "alias/aws/secretsmanager"
"""The key with which AWS encrypts a secret that names none; other accounts cannot use it."""

READ_VALUES = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
READ_METADATA = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"]


def document(*statements: Mapping[str, object]) -> str:
    """A policy document of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def function_trust(account_id: str) -> str:
    """Lets Lambda functions of the account take a role."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        }
    )


def log_writing(log_group_arn: str) -> dict[str, object]:
    """A statement that lets a Lambda function write its log."""
    return {
        "Sid": "WriteItsLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{log_group_arn}:log-stream:*",
    }


def uses_of_keys(
    sid: str,
    kms_key_ids: Iterable[str],
    region: str,
    actions: Sequence[str],
    only_for: Mapping[str, object] | None = None,
) -> list[dict[str, object]]:
    """Statements that allow a role the use of each key, through Secrets Manager alone.

    Args:
        sid: of each statement, with `{}` for its number.
        kms_key_ids: ARNs of keys or of aliases; named twice is named once.
        region: of the secrets.
        actions: of KMS.
        only_for: more conditions of StringEquals.
    """
    conditions = {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com", **(only_for or {})}
    return [
        {"Sid": sid.format(number), **_use_of_key(key, actions, conditions)}
        for number, key in enumerate(sorted(set(kms_key_ids)), start=1)
    ]


def _use_of_key(key: str, actions: Sequence[str], equal: Mapping[str, object]) -> dict[str, object]:
    conditions: dict[str, object] = {"StringEquals": equal}
    keys, _, alias = key.partition(":alias/")
    if alias:  # IAM does not allow by alias, only by key: the key that the alias names is the one meant
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
        key = f"{keys}:key/*"
    return {"Effect": "Allow", "Action": list(actions), "Resource": key, "Condition": conditions}
