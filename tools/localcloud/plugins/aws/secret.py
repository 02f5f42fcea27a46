"""The resource aws:secretsmanager/secret:Secret."""

import re
from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws import names, retries, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties

_NO_POLICY = ("", "{}")


def _replica(given: Properties) -> dict[str, Any]:
    return {"Region": given["region"], **({"KmsKeyId": given["kmsKeyId"]} if given.get("kmsKeyId") else {})}


def _create(account: Account, inputs: Properties) -> str:
    client = account.client("secretsmanager", inputs)
    name = inputs.get("name") or inputs.get("namePrefix", "terraform-") + names.unique_suffix()
    request: dict[str, Any] = {
        "Name": name,
        "ClientRequestToken": names.unique_id(),
        "Description": inputs.get("description") or "",
    }
    if inputs.get("kmsKeyId"):
        request["KmsKeyId"] = inputs["kmsKeyId"]
    if inputs.get("type"):
        request["Type"] = inputs["type"]
    if inputs.get("tagsAll"):
        request["Tags"] = tags.as_list(inputs["tagsAll"])
    if inputs.get("replicas"):
        request["AddReplicaRegions"] = [_replica(replica) for replica in inputs["replicas"]]
        request["ForceOverwriteReplicaSecret"] = bool(inputs.get("forceOverwriteReplicaSecret"))
    with doing(f"creating Secrets Manager Secret ({name})"):
        arn = str(_create_when_free(client, request)["ARN"])
    if inputs.get("policy", "{}") not in _NO_POLICY:
        with doing(f"putting Secrets Manager Secret ({arn}) policy", made=arn):
            client.put_resource_policy(SecretId=arn, ResourcePolicy=policies.normal(inputs["policy"]))
    return arn


def _create_when_free(client: Any, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401  boto3 is untyped
    def passes(error: Exception) -> bool:
        texts = ("scheduled for deletion", "was deleted")
        return any(is_error(error, "InvalidRequestException", text) for text in texts)

    created: dict[str, Any] = retries.retried(lambda: client.create_secret(**request), passes)
    return created


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("secretsmanager", known)
    with doing(f"reading Secrets Manager Secret ({identity})"):
        found = unless_gone(lambda: client.describe_secret(SecretId=identity))
        if found is None:
            return None
    if "DeletedDate" in found:
        return None
    with doing(f"reading Secrets Manager Secret ({identity}) policy"):
        policy = client.get_resource_policy(SecretId=identity).get("ResourcePolicy")
    return {
        "arn": found["ARN"],
        "description": found.get("Description", ""),
        # AWS does not keep these two: after an import nobody knows them
        "forceOverwriteReplicaSecret": known.get("forceOverwriteReplicaSecret", False) if known else None,
        "id": found["ARN"],
        "kmsKeyId": found.get("KmsKeyId", ""),
        "name": found["Name"],
        "namePrefix": names.prefix_of(found["Name"]),
        "policy": policies.as_known(known.get("policy"), policy),
        "recoveryWindowInDays": known.get("recoveryWindowInDays"),
        "region": known.get("region") or account.region,
        "replicas": [_read_replica(replica) for replica in found.get("ReplicationStatus", [])],
        **({"type": found["Type"]} if found.get("Type") else {}),
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
    change = tags.change(olds, news)
    with doing(f"updating tags for Secrets Manager Secret ({identity})"):
        if change.remove:
            client.untag_resource(SecretId=identity, TagKeys=change.remove)
        if change.put:
            client.tag_resource(SecretId=identity, Tags=tags.as_list(change.put))
    if news.get("replicas"):  # those that are removed stay, as the official provider leaves them
        _update_replicas(client, identity, olds, news)
    description, key = news.get("description") or "", news.get("kmsKeyId") or ""
    if description != (olds.get("description") or "") or key != (olds.get("kmsKeyId") or ""):
        request = {"SecretId": identity, "Description": description, "ClientRequestToken": names.unique_id()}
        if key:  # the official provider does not tell AWS of a key that is left out, and AWS keeps it
            request["KmsKeyId"] = key
        with doing(f"updating Secrets Manager Secret ({identity})"):
            client.update_secret(**request)
    if "policy" in news and not policies.same(news["policy"], olds.get("policy")):
        if news["policy"] in _NO_POLICY:
            with doing(f"deleting Secrets Manager Secret ({identity}) policy"):
                client.delete_resource_policy(SecretId=identity)
        else:
            with doing(f"putting Secrets Manager Secret ({identity}) policy"):
                client.put_resource_policy(SecretId=identity, ResourcePolicy=policies.normal(news["policy"]))


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
            unless_gone(
                lambda: client.remove_regions_from_replication(SecretId=identity, RemoveReplicaRegions=gone)
            )
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
    days = olds.get("recoveryWindowInDays")
    how: dict[str, Any] = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    with doing(f"deleting Secrets Manager Secret ({identity})"):
        unless_gone(lambda: client.delete_secret(SecretId=identity, **how))


def _check(inputs: Properties) -> list[Failure]:
    failures = []
    for name, limit in (("name", 512), ("namePrefix", 512 - names.SUFFIX_LENGTH)):
        value, about = inputs.get(name), snake_case(name)
        if isinstance(value, str) and not re.fullmatch(r"[0-9A-Za-z/_+=.@-]+", value):
            reason = f'only alphanumeric characters and /_+=.@- special characters are allowed in "{about}"'
            failures.append(Failure(name, reason))
        if isinstance(value, str) and len(value) > limit:
            failures.append(Failure(name, f'"{about}" cannot be greater than {limit} characters'))
    days = inputs.get("recoveryWindowInDays")
    if isinstance(days, int) and days != 0 and not 7 <= days <= 30:  # noqa: PLR2004  the provider's limits
        about = "expected recovery_window_in_days to be"
        failures.append(Failure("recoveryWindowInDays", f"{about} in the range (7 - 30), got {days}"))
        failures.append(Failure("recoveryWindowInDays", f"{about} one of [0], got {days}"))
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
    conflicts=(frozenset({"name", "namePrefix"}),),
    policies=frozenset({"policy"}),
    sets=frozenset({"replicas"}),
)
