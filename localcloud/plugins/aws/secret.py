"""The resource aws:secretsmanager/secret:Secret."""

import os
import re
import time
import uuid
from typing import Any

from localcloud.plugins.aws import tags
from localcloud.plugins.aws.account import Account, doing, missing
from localcloud.plugins.aws.schema import shape
from localcloud.plugins.resource import Failure, Resource, normal_policy
from localcloud.plugins.values import Properties

# The official provider tries for two minutes to create a secret whose name is scheduled for deletion.
# An operator at the local cloud should not wait so long for an error.
_RETRY_SECONDS = float(os.environ.get("LOCALCLOUD_RETRY_SECONDS", "2"))


def _replica(given: Properties) -> dict[str, Any]:
    return {"Region": given["region"], **({"KmsKeyId": given["kmsKeyId"]} if given.get("kmsKeyId") else {})}


def _create(account: Account, inputs: Properties) -> str:
    client = account.client("secretsmanager", inputs)
    name = inputs.get("name") or inputs.get("namePrefix", "terraform-") + uuid.uuid4().hex
    request: dict[str, Any] = {"Name": name, "ClientRequestToken": str(uuid.uuid4())}
    if inputs.get("description"):
        request["Description"] = inputs["description"]
    if inputs.get("kmsKeyId"):
        request["KmsKeyId"] = inputs["kmsKeyId"]
    if inputs.get("tagsAll"):
        request["Tags"] = tags.as_list(inputs["tagsAll"])
    if inputs.get("replicas"):
        request["AddReplicaRegions"] = [_replica(replica) for replica in inputs["replicas"]]
        request["ForceOverwriteReplicaSecret"] = bool(inputs.get("forceOverwriteReplicaSecret"))
    with doing(f"creating Secrets Manager Secret ({name})"):
        arn = str(_create_when_free(client, request)["ARN"])
    if inputs.get("policy"):
        with doing(f"putting Secrets Manager Secret ({arn}) policy"):
            client.put_resource_policy(SecretId=arn, ResourcePolicy=inputs["policy"])
    return arn


def _create_when_free(client: Any, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401  boto3 is untyped
    deadline = time.monotonic() + _RETRY_SECONDS
    while True:
        try:
            created: dict[str, Any] = client.create_secret(**request)
        except client.exceptions.InvalidRequestException as error:
            if "scheduled for deletion" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return created


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("secretsmanager", known)
    with doing(f"reading Secrets Manager Secret ({identity})"):
        try:
            found = client.describe_secret(SecretId=identity)
        except client.exceptions.ClientError as error:
            if missing(error):
                return None
            raise
    if "DeletedDate" in found:
        return None
    with doing(f"reading Secrets Manager Secret ({identity}) policy"):
        policy = client.get_resource_policy(SecretId=identity).get("ResourcePolicy")
    return {
        "arn": found["ARN"],
        "description": found.get("Description", ""),
        "forceOverwriteReplicaSecret": bool(known.get("forceOverwriteReplicaSecret")),
        "id": found["ARN"],
        "kmsKeyId": found.get("KmsKeyId", ""),
        "name": found["Name"],
        "namePrefix": known.get("namePrefix") or "",
        "policy": normal_policy(policy) if policy else "",
        "recoveryWindowInDays": known.get("recoveryWindowInDays", 30),
        "region": known.get("region") or account.region,
        "replicas": [_read_replica(replica) for replica in found.get("ReplicationStatus", [])],
        **tags.outputs(tags.as_map(found.get("Tags", [])), known, account.default_tags),
    }


def _read_replica(found: dict[str, Any]) -> Properties:
    accessed = found.get("LastAccessedDate")
    return {
        "kmsKeyId": found.get("KmsKeyId", ""),
        "lastAccessedDate": accessed.strftime("%Y-%m-%dT%H:%M:%SZ") if accessed else "",
        "region": found["Region"],
        "status": found.get("Status", ""),
        "statusMessage": found.get("StatusMessage", ""),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("secretsmanager", news)
    _update_replicas(client, identity, olds, news)
    description, key = news.get("description") or "", news.get("kmsKeyId") or ""
    if description != (olds.get("description") or "") or key != (olds.get("kmsKeyId") or ""):
        request = {"SecretId": identity, "Description": description}
        # without a key AWS takes its own, which only its alias names
        request["KmsKeyId"] = key or "alias/aws/secretsmanager"
        with doing(f"updating Secrets Manager Secret ({identity})"):
            client.update_secret(**request)
    if news.get("policy") and normal_policy(news["policy"]) != normal_policy(olds.get("policy")):
        with doing(f"putting Secrets Manager Secret ({identity}) policy"):
            client.put_resource_policy(SecretId=identity, ResourcePolicy=news["policy"])
    change = tags.change(olds, news)
    with doing(f"updating tags for Secrets Manager Secret ({identity})"):
        if change.remove:
            client.untag_resource(SecretId=identity, TagKeys=change.remove)
        if change.put:
            client.tag_resource(SecretId=identity, Tags=tags.as_list(change.put))


def _update_replicas(client: Any, identity: str, olds: Properties, news: Properties) -> None:  # noqa: ANN401  boto3
    old = {replica["region"]: replica for replica in olds.get("replicas") or []}
    new = {replica["region"]: replica for replica in news.get("replicas") or []}
    gone = [
        region
        for region, replica in old.items()
        if region not in new or (new[region].get("kmsKeyId") or "") != (replica.get("kmsKeyId") or "")
    ]
    if gone:
        with doing(f"removing Secrets Manager Secret ({identity}) replicas"):
            try:
                client.remove_regions_from_replication(SecretId=identity, RemoveReplicaRegions=gone)
            except client.exceptions.ClientError as error:
                if not missing(error):
                    raise
    added = [_replica(replica) for region, replica in new.items() if region not in old or region in gone]
    if added:
        with doing(f"adding Secrets Manager Secret ({identity}) replicas"):
            client.replicate_secret_to_regions(
                SecretId=identity,
                AddReplicaRegions=added,
                ForceOverwriteReplicaSecret=bool(news.get("forceOverwriteReplicaSecret")),
            )


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("secretsmanager", olds)
    _update_replicas(client, identity, olds, {})
    days = olds.get("recoveryWindowInDays", 30)
    how: dict[str, Any] = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    with doing(f"deleting Secrets Manager Secret ({identity})"):
        try:
            client.delete_secret(SecretId=identity, **how)
        except client.exceptions.ClientError as error:
            if not missing(error):
                raise


def _check(inputs: Properties) -> list[Failure]:
    failures = []
    name, days = inputs.get("name"), inputs.get("recoveryWindowInDays")
    if isinstance(name, str) and not re.fullmatch(r"[0-9A-Za-z/_+=.@-]*", name):
        failures.append(
            Failure(
                "name", 'only alphanumeric characters and /_+=.@- special characters are allowed in "name".'
            )
        )
    if isinstance(name, str) and not 1 <= len(name) <= 512:  # noqa: PLR2004  the provider's limit
        failures.append(Failure("name", f"expected length of name to be in the range (1 - 512), got {name}."))
    if isinstance(days, int) and days != 0 and not 7 <= days <= 30:  # noqa: PLR2004  the provider's limits
        about = "expected recovery_window_in_days to be"
        failures.append(Failure("recoveryWindowInDays", f"{about} in the range (7 - 30), got {days}."))
        failures.append(Failure("recoveryWindowInDays", f"{about} one of [0], got {days}."))
    return failures


SECRET = Resource(
    **shape("aws:secretsmanager/secret:Secret"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={"recoveryWindowInDays": 30},
    fixed_defaults={"forceOverwriteReplicaSecret": False},
    autoname="{}",
    policies=frozenset({"policy"}),
    sets=frozenset({"replicas"}),
)
