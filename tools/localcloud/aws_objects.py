"""Find the object that a resource's inputs describe in AWS, when its id was never recorded."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.localcloud.layout import SetupError

Inputs = Mapping[str, Any]
ClientOf = Callable[[str], Any]

_CURRENT = "AWSCURRENT"


def existing_id(
    kind: str, inputs: Inputs, known: AbstractSet[str], environment: Mapping[str, str]
) -> str | None:
    """Return the Pulumi id of the object created from `inputs`, or None; never one that is `known`.

    Types that live outside AWS (random values, components) have nothing to be found.

    Raises:
        SetupError: AWS does not answer, or answers with an error.
    """
    find = _FINDERS.get(kind)
    if find is None:
        return None
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    endpoint = environment["AWS_ENDPOINT_URL"]
    try:
        found = find(lambda service: session.client(service, endpoint_url=endpoint), inputs, known)
    except (BotoCoreError, ClientError) as error:
        raise SetupError(f"AWS at {endpoint} cannot say whether a {kind} exists: {error}") from None
    return None if found in known else found


def _secret(client: ClientOf, inputs: Inputs, _known: AbstractSet[str]) -> str | None:
    try:
        described = client("secretsmanager").describe_secret(SecretId=inputs["name"])
    except ClientError as error:
        if _is_absent(error):
            return None
        raise
    return None if "DeletedDate" in described else str(described["ARN"])


def _secret_version(client: ClientOf, inputs: Inputs, _known: AbstractSet[str]) -> str | None:
    """Return the version with a label of its own, wherever AWS's labels are; else the current one."""
    wanted = set(inputs.get("versionStages") or [])
    own = {stage for stage in wanted if not stage.startswith("AWS")} or {_CURRENT}
    try:
        described = client("secretsmanager").describe_secret(SecretId=inputs["secretId"])
    except ClientError as error:
        if _is_absent(error):
            return None
        raise
    for version, stages in described.get("VersionIdsToStages", {}).items():
        if own <= set(stages):
            return f"{described['ARN']}|{version}"
    return None


def _secret_policy(client: ClientOf, inputs: Inputs, _known: AbstractSet[str]) -> str | None:
    try:
        answer = client("secretsmanager").get_resource_policy(SecretId=inputs["secretArn"])
    except ClientError as error:
        if _is_absent(error):
            return None
        raise
    return str(answer["ARN"]) if answer.get("ResourcePolicy") else None


def _key(client: ClientOf, inputs: Inputs, known: AbstractSet[str]) -> str | None:
    """Return a usable key with the same description and tags; nothing else identifies it."""
    kms = client("kms")
    for page in kms.get_paginator("list_keys").paginate():
        for identifier in (str(key["KeyId"]) for key in page["Keys"]):
            if identifier in known:
                continue
            described = kms.describe_key(KeyId=identifier)["KeyMetadata"]
            if described["KeyManager"] != "CUSTOMER" or described["KeyState"] == "PendingDeletion":
                continue
            tags = {
                tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=identifier)["Tags"]
            }
            if described.get("Description") == inputs.get("description") and tags == dict(
                inputs.get("tags") or {}
            ):
                return identifier
    return None


def _alias(client: ClientOf, inputs: Inputs, _known: AbstractSet[str]) -> str | None:
    for page in client("kms").get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"] == inputs["name"]:
                return str(alias["AliasName"])
    return None


def _is_absent(error: ClientError) -> bool:
    # the second: AWS shows no policy of a secret that is scheduled for deletion
    return str(error.response["Error"]["Code"]) in {"ResourceNotFoundException", "InvalidRequestException"}


_FINDERS: Mapping[str, Callable[[ClientOf, Inputs, AbstractSet[str]], str | None]] = {
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:secretsmanager/secretVersion:SecretVersion": _secret_version,
    "aws:secretsmanager/secretPolicy:SecretPolicy": _secret_policy,
    "aws:kms/key:Key": _key,
    "aws:kms/alias:Alias": _alias,
}
