"""The resources aws:kms/key:Key and aws:kms/alias:Alias."""

import re
from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws import names, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, missing, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties


def _create_key(account: Account, inputs: Properties) -> str:
    client = account.client("kms", inputs)
    request: dict[str, Any] = {
        "BypassPolicyLockoutSafetyCheck": bool(inputs.get("bypassPolicyLockoutSafetyCheck")),
        "KeySpec": inputs["customerMasterKeySpec"],
        "KeyUsage": inputs["keyUsage"],
        "MultiRegion": bool(inputs.get("multiRegion")),
    }
    if inputs.get("description"):
        request["Description"] = inputs["description"]
    if inputs.get("policy"):
        request["Policy"] = inputs["policy"]
    if inputs.get("tagsAll"):
        request["Tags"] = tags.as_list(inputs["tagsAll"], "TagKey", "TagValue")
    with doing("creating KMS Key"):
        identity = str(client.create_key(**request)["KeyMetadata"]["KeyId"])
    if inputs.get("enableKeyRotation"):
        _set_rotation(client, identity, inputs, made=identity)
    if inputs.get("isEnabled") is False:
        _set_enabled(client, identity, enabled=False, made=identity)
    return identity


def _set_rotation(client: Any, identity: str, news: Properties, made: str | None = None) -> None:  # noqa: ANN401  boto3
    enabled, period = news.get("enableKeyRotation"), news.get("rotationPeriodInDays")
    with doing(f"{'en' if enabled else 'dis'}abling KMS Key ({identity}) rotation", made=made):
        if not enabled:
            client.disable_key_rotation(KeyId=identity)
        elif period:
            client.enable_key_rotation(KeyId=identity, RotationPeriodInDays=period)
        else:
            client.enable_key_rotation(KeyId=identity)


def _set_enabled(client: Any, identity: str, *, enabled: bool, made: str | None = None) -> None:  # noqa: ANN401  boto3
    with doing(f"{'en' if enabled else 'dis'}abling KMS Key ({identity})", made=made):
        (client.enable_key if enabled else client.disable_key)(KeyId=identity)


def _read_key(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("kms", known)
    with doing(f"reading KMS Key ({identity})"):
        found = unless_gone(lambda: client.describe_key(KeyId=identity)["KeyMetadata"])
        if found is None:
            return None
        if found["KeyState"] in {"PendingDeletion", "PendingReplicaDeletion"}:
            return None
        policy = client.get_key_policy(KeyId=identity, PolicyName="default")["Policy"]
        rotation = client.get_key_rotation_status(KeyId=identity)
        tagged = client.list_resource_tags(KeyId=identity).get("Tags", [])
    return {
        "arn": found["Arn"],
        "bypassPolicyLockoutSafetyCheck": known.get("bypassPolicyLockoutSafetyCheck", False)
        if known
        else None,
        "customKeyStoreId": found.get("CustomKeyStoreId", ""),
        "customerMasterKeySpec": found.get("KeySpec", "SYMMETRIC_DEFAULT"),
        "deletionWindowInDays": known.get("deletionWindowInDays"),
        "description": found.get("Description", ""),
        "enableKeyRotation": bool(rotation["KeyRotationEnabled"]),
        "id": found["KeyId"],
        "isEnabled": bool(found["Enabled"]),
        "keyId": found["KeyId"],
        "keyUsage": found["KeyUsage"],
        "multiRegion": bool(found.get("MultiRegion")),
        "policy": policies.as_known(known.get("policy"), policy),
        "region": known.get("region") or account.region,
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays", 0),
        "xksKeyId": "",
        **tags.outputs(tags.as_map(tagged, "TagKey", "TagValue"), known, account.default_tags),
    }


def _update_key(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("kms", news)
    change = tags.change(olds, news)
    with doing(f"updating tags for KMS Key ({identity})"):
        if change.remove:
            client.untag_resource(KeyId=identity, TagKeys=change.remove)
        if change.put:
            client.tag_resource(KeyId=identity, Tags=tags.as_list(change.put, "TagKey", "TagValue"))
    enabled = news.get("isEnabled", True)
    is_switched = enabled != olds.get("isEnabled", True)
    if is_switched and enabled:
        _set_enabled(client, identity, enabled=True)
    rotates = bool(news.get("enableKeyRotation"))
    period = news.get("rotationPeriodInDays") or olds.get("rotationPeriodInDays")
    if rotates != bool(olds.get("enableKeyRotation")) or (
        rotates and period != olds.get("rotationPeriodInDays")
    ):
        _set_rotation(client, identity, news)
    if "description" in news and news["description"] != (olds.get("description") or ""):
        with doing(f"updating KMS Key ({identity}) description"):
            client.update_key_description(KeyId=identity, Description=news["description"])
    if news.get("policy") and not policies.same(news["policy"], olds.get("policy")):
        with doing(f"updating KMS Key ({identity}) policy"):
            client.put_key_policy(
                KeyId=identity,
                PolicyName="default",
                Policy=policies.normal(news["policy"]),
                BypassPolicyLockoutSafetyCheck=bool(news.get("bypassPolicyLockoutSafetyCheck")),
            )
    if is_switched and not enabled:
        # last, because a disabled key cannot be modified
        _set_enabled(client, identity, enabled=False)


def _delete_key(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("kms", olds)
    window = olds.get("deletionWindowInDays")
    with doing(f"deleting KMS Key ({identity})"):
        try:
            client.schedule_key_deletion(
                KeyId=identity, **({"PendingWindowInDays": window} if window else {})
            )
        except client.exceptions.ClientError as error:
            if not (missing(error) or is_error(error, "KMSInvalidStateException", "is pending deletion")):
                raise


def _check_key(inputs: Properties) -> list[Failure]:
    failures = []
    for name, least, most in (("deletionWindowInDays", 7, 30), ("rotationPeriodInDays", 90, 2560)):
        days = inputs.get(name)
        if isinstance(days, int) and not least <= days <= most:
            about = f"expected {snake_case(name)} to be in the range ({least} - {most}), got {days}"
            failures.append(Failure(name, about))
    if "rotationPeriodInDays" in inputs and "enableKeyRotation" not in inputs:
        both = "`enable_key_rotation,rotation_period_in_days`"
        reason = f'Missing required argument. "rotation_period_in_days": all of {both} must be specified'
        failures.append(Failure("rotationPeriodInDays", reason))
    return failures


KEY = Resource(
    **shape("aws:kms/key:Key"),
    create=_create_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    check=_check_key,
    defaults={
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "isEnabled": True,
        "keyUsage": "ENCRYPT_DECRYPT",
    },
    fixed_defaults={"bypassPolicyLockoutSafetyCheck": False},
    policies=frozenset({"policy"}),
    timeouts={"create": 120},
)


def _create_alias(account: Account, inputs: Properties) -> str:
    name = inputs.get("name") or inputs.get("namePrefix", "alias/") + names.unique_suffix()
    with doing(f"creating KMS Alias ({name})"):
        account.client("kms", inputs).create_alias(AliasName=name, TargetKeyId=inputs["targetKeyId"])
    return str(name)


def _find_alias(account: Account, name: str, known: Properties) -> dict[str, Any] | None:
    pages = account.client("kms", known).get_paginator("list_aliases").paginate()
    return next((alias for page in pages for alias in page["Aliases"] if alias["AliasName"] == name), None)


def _read_alias(account: Account, identity: str, known: Properties) -> Properties | None:
    with doing(f"reading KMS Alias ({identity})"):
        found = _find_alias(account, identity, known)
    if found is None or "TargetKeyId" not in found:
        return None
    key = found["TargetKeyId"]
    arn = found["AliasArn"]
    return {
        "arn": arn,
        "id": identity,
        "name": identity,
        "namePrefix": names.prefix_of(identity),
        "region": known.get("region") or account.region,
        "targetKeyArn": f"{arn.rpartition(':')[0]}:key/{key.rpartition('/')[2]}",
        "targetKeyId": key,
    }


def _is_same_key(one: object, other: object) -> bool:
    """Return whether an ARN and an id name the same key."""
    arn, identity = sorted((str(one), str(other)), key=len, reverse=True)
    return arn.startswith("arn:") and arn.endswith(f":key/{identity}")


def _update_alias(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    if news["targetKeyId"] == olds.get("targetKeyId") or _is_same_key(
        news["targetKeyId"], olds.get("targetKeyId")
    ):
        return
    with doing(f"updating KMS Alias ({identity})"):
        account.client("kms", news).update_alias(AliasName=identity, TargetKeyId=news["targetKeyId"])


def _delete_alias(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("kms", olds)
    with doing(f"deleting KMS Alias ({identity})"):
        unless_gone(lambda: client.delete_alias(AliasName=identity))


def _check_alias(inputs: Properties) -> list[Failure]:
    failures = []
    for name in ("name", "namePrefix"):
        value, about = inputs.get(name), snake_case(name)
        if isinstance(value, str) and value.startswith("alias/aws/"):
            failures.append(
                Failure(name, f"\"{about}\" cannot begin with reserved AWS CMK prefix 'alias/aws/'")
            )
        if isinstance(value, str) and not re.fullmatch(r"alias/[0-9A-Za-z_/-]+", value):
            reason = f"\"{about}\" must begin with 'alias/' and be comprised of only [0-9A-Za-z_/-]"
            failures.append(Failure(name, reason))
    return failures


ALIAS = Resource(
    **shape("aws:kms/alias:Alias"),
    create=_create_alias,
    read=_read_alias,
    update=_update_alias,
    delete=_delete_alias,
    check=_check_alias,
    autoname="alias/{}",
    conflicts=(frozenset({"name", "namePrefix"}),),
    equivalent={"targetKeyId": _is_same_key},
)
