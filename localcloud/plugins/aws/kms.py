"""The resources aws:kms/key:Key and aws:kms/alias:Alias."""

from typing import Any

from localcloud.plugins.aws import tags
from localcloud.plugins.aws.account import Account, doing, missing
from localcloud.plugins.aws.schema import shape
from localcloud.plugins.resource import Failure, Resource, normal_policy
from localcloud.plugins.values import Properties


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
    _set_rotation(client, identity, {}, inputs)
    _set_state(client, identity, {"isEnabled": True}, inputs)
    return identity


def _set_rotation(client: Any, identity: str, olds: Properties, news: Properties) -> None:  # noqa: ANN401  boto3
    before = (bool(olds.get("enableKeyRotation")), olds.get("rotationPeriodInDays") or 0)
    after = (
        bool(news.get("enableKeyRotation")),
        news.get("rotationPeriodInDays") or (before[1] if olds else 0),
    )
    if before == after:
        return
    with doing(f"updating KMS Key ({identity}) rotation"):
        if not after[0]:
            client.disable_key_rotation(KeyId=identity)
        elif after[1]:
            client.enable_key_rotation(KeyId=identity, RotationPeriodInDays=after[1])
        else:
            client.enable_key_rotation(KeyId=identity)


def _set_state(client: Any, identity: str, olds: Properties, news: Properties) -> None:  # noqa: ANN401  boto3
    enabled = news.get("isEnabled", True)
    if enabled == olds.get("isEnabled", True):
        return
    with doing(f"updating KMS Key ({identity}) state"):
        (client.enable_key if enabled else client.disable_key)(KeyId=identity)


def _read_key(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("kms", known)
    with doing(f"reading KMS Key ({identity})"):
        try:
            found = client.describe_key(KeyId=identity)["KeyMetadata"]
        except client.exceptions.ClientError as error:
            if missing(error):
                return None
            raise
        if found["KeyState"] == "PendingDeletion":
            return None
        policy = client.get_key_policy(KeyId=identity, PolicyName="default")["Policy"]
        rotation = client.get_key_rotation_status(KeyId=identity)
        tagged = client.list_resource_tags(KeyId=identity).get("Tags", [])
    period = known.get("rotationPeriodInDays")
    return {
        "arn": found["Arn"],
        "bypassPolicyLockoutSafetyCheck": bool(known.get("bypassPolicyLockoutSafetyCheck")),
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
        "policy": normal_policy(policy),
        "region": known.get("region") or account.region,
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays", 0) if period else 0,
        "xksKeyId": "",
        **tags.outputs(tags.as_map(tagged, "TagKey", "TagValue"), known, account.default_tags),
    }


def _update_key(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("kms", news)
    if (news.get("description") or "") != (olds.get("description") or ""):
        with doing(f"updating KMS Key ({identity}) description"):
            client.update_key_description(KeyId=identity, Description=news.get("description") or "")
    if news.get("policy") and normal_policy(news["policy"]) != normal_policy(olds.get("policy")):
        with doing(f"updating KMS Key ({identity}) policy"):
            client.put_key_policy(
                KeyId=identity,
                PolicyName="default",
                Policy=news["policy"],
                BypassPolicyLockoutSafetyCheck=bool(news.get("bypassPolicyLockoutSafetyCheck")),
            )
    _set_state(client, identity, olds, news)
    _set_rotation(client, identity, olds, news)
    change = tags.change(olds, news)
    with doing(f"updating tags for KMS Key ({identity})"):
        if change.remove:
            client.untag_resource(KeyId=identity, TagKeys=change.remove)
        if change.put:
            client.tag_resource(KeyId=identity, Tags=tags.as_list(change.put, "TagKey", "TagValue"))


def _delete_key(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("kms", olds)
    with doing(f"deleting KMS Key ({identity})"):
        try:
            client.schedule_key_deletion(
                KeyId=identity, PendingWindowInDays=olds.get("deletionWindowInDays") or 30
            )
        except client.exceptions.ClientError as error:
            if not (missing(error) or "pending deletion" in str(error)):
                raise


KEY = Resource(
    **shape("aws:kms/key:Key"),
    create=_create_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    defaults={
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "isEnabled": True,
        "keyUsage": "ENCRYPT_DECRYPT",
    },
    fixed_defaults={"bypassPolicyLockoutSafetyCheck": False},
    policies=frozenset({"policy"}),
    create_timeout=120,
)


def _create_alias(account: Account, inputs: Properties) -> str:
    name = str(inputs["name"])
    with doing(f"creating KMS Alias ({name})"):
        account.client("kms", inputs).create_alias(AliasName=name, TargetKeyId=inputs["targetKeyId"])
    return name


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
        "namePrefix": known.get("namePrefix") or "",
        "region": known.get("region") or account.region,
        "targetKeyArn": f"{arn.rpartition(':')[0]}:key/{key.rpartition('/')[2]}",
        "targetKeyId": known.get("targetKeyId") if key in str(known.get("targetKeyId")) else key,
    }


def _update_alias(account: Account, identity: str, _olds: Properties, news: Properties) -> None:
    with doing(f"updating KMS Alias ({identity})"):
        account.client("kms", news).update_alias(AliasName=identity, TargetKeyId=news["targetKeyId"])


def _delete_alias(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("kms", olds)
    with doing(f"deleting KMS Alias ({identity})"):
        try:
            client.delete_alias(AliasName=identity)
        except client.exceptions.ClientError as error:
            if not missing(error):
                raise


def _check_alias(inputs: Properties) -> list[Failure]:
    name = inputs.get("name")
    if isinstance(name, str) and not name.startswith("alias/"):
        return [Failure("name", "\"name\" must begin with 'alias/' and be comprised of only [a-zA-Z0-9/_-].")]
    return []


ALIAS = Resource(
    **shape("aws:kms/alias:Alias"),
    create=_create_alias,
    read=_read_alias,
    update=_update_alias,
    delete=_delete_alias,
    check=_check_alias,
    autoname="alias/{}",
)
