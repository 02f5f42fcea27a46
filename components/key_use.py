"""What a role may do with the KMS key of a secret: nothing but through Secrets Manager."""

from collections.abc import Mapping, Sequence


def use_of_key(
    key: str, region: str, actions: Sequence[str], only_for: Mapping[str, object] | None = None
) -> dict[str, object]:
    """A statement of an IAM policy, without a Sid.

    Args:
        key: ARN of the key or of an alias.
        region: of the secrets.
        actions: of KMS.
        only_for: more conditions of StringEquals.
    """
    conditions: dict[str, object] = {
        "StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com", **(only_for or {})}
    }
    keys, _, alias = key.partition(":alias/")
    if alias:  # IAM does not allow by alias, only by key: the key that the alias names is the one meant
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
        key = f"{keys}:key/*"
    return {"Effect": "Allow", "Action": list(actions), "Resource": key, "Condition": conditions}
