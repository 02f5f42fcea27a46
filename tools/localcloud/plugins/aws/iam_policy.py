"""The resource aws:iam/policy:Policy."""

import re
from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws import names, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties

_LONGEST = 128
_MOST_VERSIONS = 5  # IAM keeps no more


def _is_gone(error: Exception) -> bool:
    return is_error(error, "NoSuchEntity")


def _create(account: Account, inputs: Properties) -> str:
    name = str(inputs.get("name") or inputs.get("namePrefix", "terraform-") + names.unique_suffix())
    request: dict[str, Any] = {
        "Path": inputs["path"],
        "PolicyDocument": policies.normal(inputs["policy"]),
        "PolicyName": name,
    }
    if inputs.get("description"):
        request["Description"] = inputs["description"]
    if inputs.get("tagsAll"):
        request["Tags"] = tags.as_list(inputs["tagsAll"])
    with doing(f"creating IAM Policy ({name})"):
        return str(account.client("iam").create_policy(**request)["Policy"]["Arn"])


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("iam")
    with doing(f"reading IAM Policy ({identity})"):
        found = unless_gone(lambda: client.get_policy(PolicyArn=identity)["Policy"], _is_gone)
    if found is None:
        return None
    with doing(f"reading IAM Policy ({identity}) version"):
        version = client.get_policy_version(PolicyArn=identity, VersionId=found["DefaultVersionId"])
    document = policies.normal(policies.text(version["PolicyVersion"]["Document"]))
    return {
        "arn": found["Arn"],
        "attachmentCount": found.get("AttachmentCount", 0),
        "delayAfterPolicyCreationInMs": known.get("delayAfterPolicyCreationInMs"),
        "description": found.get("Description", ""),
        "id": identity,
        "name": found["PolicyName"],
        "namePrefix": names.prefix_of(found["PolicyName"]),
        "path": found["Path"],
        "policy": policies.as_known(known.get("policy"), str(document)),
        "policyId": found["PolicyId"],
        **tags.outputs(tags.as_map(found.get("Tags", [])), known, account.default_tags),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("iam")
    if not policies.same(news["policy"], olds.get("policy")):
        with doing(f"updating IAM Policy ({identity})"):
            _make_room(client, identity)
            client.create_policy_version(
                PolicyArn=identity, PolicyDocument=policies.normal(news["policy"]), SetAsDefault=True
            )
    change = tags.change(olds, news)
    with doing(f"updating tags for IAM Policy ({identity})"):
        if change.remove:
            client.untag_policy(PolicyArn=identity, TagKeys=change.remove)
        if change.put:
            client.tag_policy(PolicyArn=identity, Tags=tags.as_list(change.put))


def _old_versions(client: Any, identity: str) -> list[str]:  # noqa: ANN401  boto3 is untyped
    """Those that do not count, the oldest first."""
    pages = client.get_paginator("list_policy_versions").paginate(PolicyArn=identity)
    found = [version for page in pages for version in page["Versions"] if not version["IsDefaultVersion"]]
    return [version["VersionId"] for version in sorted(found, key=lambda version: version["CreateDate"])]


def _make_room(client: Any, identity: str) -> None:  # noqa: ANN401  boto3 is untyped
    old = _old_versions(client, identity)
    if len(old) >= _MOST_VERSIONS - 1:
        client.delete_policy_version(PolicyArn=identity, VersionId=old[0])


def _delete(account: Account, identity: str, _olds: Properties) -> None:
    client = account.client("iam")
    with doing(f"deleting IAM Policy ({identity})"):
        try:
            for version in _old_versions(client, identity):
                client.delete_policy_version(PolicyArn=identity, VersionId=version)
            client.delete_policy(PolicyArn=identity)
        except client.exceptions.ClientError as error:
            if not _is_gone(error):
                raise


def _check(inputs: Properties) -> list[Failure]:
    failures = []
    for name, most in (("name", _LONGEST), ("namePrefix", _LONGEST - names.SUFFIX_LENGTH)):
        value, about = inputs.get(name), snake_case(name)
        if isinstance(value, str) and len(value) > most:
            reason = f"expected length of {about} to be in the range (1 - {most}), got {len(value)}"
            failures.append(Failure(name, f"{reason} characters"))
        if isinstance(value, str) and not re.fullmatch(r"[0-9A-Za-z_+=,.@-]*", value):
            failures.append(Failure(name, f"invalid value for {about} (must match [\\w+=,.@-])"))
    return failures


POLICY = Resource(
    **shape("aws:iam/policy:Policy"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={"path": "/"},
    autoname="{}",
    conflicts=(frozenset({"name", "namePrefix"}),),
    policies=frozenset({"policy"}),
)
