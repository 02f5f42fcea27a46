"""The resource aws:secretsmanager/secretVersion:SecretVersion."""

import base64
import time
import uuid
from typing import Any

from localcloud.plugins.aws.account import Account, doing, missing
from localcloud.plugins.aws.schema import shape
from localcloud.plugins.resource import Resource
from localcloud.plugins.values import Properties


def _version_token() -> str:
    # the official provider's form of an idempotency token
    return f"terraform-{time.strftime('%Y%m%d%H%M%S')}{uuid.uuid4().int % 10**14:014d}"


def _create(account: Account, inputs: Properties) -> str:
    client = account.client("secretsmanager", inputs)
    secret = inputs["secretId"]
    request: dict[str, Any] = {"SecretId": secret, "ClientRequestToken": _version_token()}
    if inputs.get("secretBinary"):
        request["SecretBinary"] = base64.b64decode(inputs["secretBinary"])
    else:
        request["SecretString"] = inputs.get("secretString") or inputs.get("secretStringWo") or ""
    if inputs.get("versionStages"):
        request["VersionStages"] = inputs["versionStages"]
    with doing(f"putting Secrets Manager Secret ({secret}) value"):
        created = client.put_secret_value(**request)
    return f"{secret}|{created['VersionId']}"


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("secretsmanager", known)
    secret, _, version = identity.rpartition("|")
    with doing(f"reading Secrets Manager Secret Version ({identity})"):
        try:
            found = client.get_secret_value(SecretId=secret, VersionId=version)
        except client.exceptions.ClientError as error:
            if missing(error) or _is_deleted(error):
                return None
            raise
    write_only = known.get("secretStringWo")
    return {
        "arn": found["ARN"],
        "hasSecretStringWo": True if write_only else None,
        "id": identity,
        "region": known.get("region") or account.region,
        "secretArn": found["ARN"],
        "secretBinary": base64.b64encode(found.get("SecretBinary", b"")).decode(),
        "secretId": known.get("secretId") or secret,
        "secretString": "" if write_only else found.get("SecretString", ""),
        "secretStringWo": None,
        "secretStringWoVersion": known.get("secretStringWoVersion"),
        "versionId": version,
        "versionStages": sorted(found.get("VersionStages", [])),
    }


def _is_deleted(error: Exception) -> bool:
    text = str(error)
    return "marked for deletion" in text or "because it was deleted" in text


def _holder(client: Any, secret: str, stage: str) -> str | None:  # noqa: ANN401  boto3 is untyped
    versions = client.describe_secret(SecretId=secret).get("VersionIdsToStages", {})
    return next((version for version, stages in versions.items() if stage in stages), None)


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("secretsmanager", news)
    secret, _, version = identity.rpartition("|")
    old, new = set(olds.get("versionStages") or []), set(news.get("versionStages") or [])
    with doing(f"updating Secrets Manager Secret Version ({identity}) stage"):
        for stage in sorted(new - old):
            request = {"SecretId": secret, "VersionStage": stage, "MoveToVersionId": version}
            holder = _holder(client, secret, stage)
            if holder and holder != version:
                request["RemoveFromVersionId"] = holder
            client.update_secret_version_stage(**request)
        for stage in sorted(old - new):
            # AWS only moves this label, it never takes it away
            if stage != "AWSCURRENT":
                client.update_secret_version_stage(
                    SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
                )


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("secretsmanager", olds)
    secret, _, version = identity.rpartition("|")
    with doing(f"deleting Secrets Manager Secret Version ({identity})"):
        for stage in olds.get("versionStages") or []:
            if stage == "AWSCURRENT":
                continue
            try:
                client.update_secret_version_stage(
                    SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
                )
            except client.exceptions.ClientError as error:
                # the label has moved on, or the secret is gone: nothing is left to take away
                if not (missing(error, "InvalidParameterException") or _is_deleted(error)):
                    raise


SECRET_VERSION = Resource(
    **shape("aws:secretsmanager/secretVersion:SecretVersion"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    sets=frozenset({"versionStages"}),
    meta_replacements=frozenset({"secretString"}),
)
