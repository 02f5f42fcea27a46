"""The resources aws:iam/role:Role, aws:iam/rolePolicy:RolePolicy and RolePolicyAttachment."""

import re
from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws import names, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties


def _is_gone(error: Exception) -> bool:
    return is_error(error, "NoSuchEntity")


def _create_role(account: Account, inputs: Properties) -> str:
    client = account.client("iam")
    name = str(inputs.get("name") or inputs.get("namePrefix", "terraform-") + names.unique_suffix())
    request: dict[str, Any] = {
        "AssumeRolePolicyDocument": policies.normal(inputs["assumeRolePolicy"]),
        "MaxSessionDuration": inputs["maxSessionDuration"],
        "Path": inputs["path"],
        "RoleName": name,
    }
    if inputs.get("description"):
        request["Description"] = inputs["description"]
    if inputs.get("permissionsBoundary"):
        request["PermissionsBoundary"] = inputs["permissionsBoundary"]
    if inputs.get("tagsAll"):
        request["Tags"] = tags.as_list(inputs["tagsAll"])
    with doing(f"creating IAM Role ({name})"):
        client.create_role(**request)
    with doing(f"creating IAM Role ({name})", made=name):
        _change_policies(client, name, {}, inputs)
    return name


def _inline(properties: Properties) -> dict[str, str]:
    given = properties.get("inlinePolicies") or []
    return {policy["name"]: policy["policy"] for policy in given if policy.get("name")}


def _change_policies(client: Any, name: str, olds: Properties, news: Properties) -> None:  # noqa: ANN401  boto3
    """Inline and managed policies, if the program says which; else they are other resources' affair."""
    if "inlinePolicies" in news:
        old, new = _inline(olds), _inline(news)
        for policy in old.keys() - new.keys():
            client.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy, text in new.items():
            if not policies.same(old.get(policy), text):
                client.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
    if "managedPolicyArns" in news:
        had, wanted = set(olds.get("managedPolicyArns") or []), set(news["managedPolicyArns"])
        for arn in had - wanted:
            client.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in wanted - had:
            client.attach_role_policy(RoleName=name, PolicyArn=arn)


def _read_role(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("iam")
    with doing(f"reading IAM Role ({identity})"):
        found = unless_gone(lambda: client.get_role(RoleName=identity)["Role"], _is_gone)
        if found is None:
            return None
    with doing(f"reading IAM Role ({identity}) inline policies"):
        inline = {
            policy: _inline_text(client, identity, policy) for policy in _inline_names(client, identity)
        }
    with doing(f"reading IAM Policies attached to Role ({identity})"):
        attached = _attached(client, identity)
    own = _inline(known)
    as_given = own.keys() == inline.keys() and all(policies.same(own[name], inline[name]) for name in own)
    return {
        "arn": found["Arn"],
        "assumeRolePolicy": policies.as_known(
            known.get("assumeRolePolicy"), policies.text(found["AssumeRolePolicyDocument"])
        ),
        "createDate": found["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": found.get("Description", ""),
        "forceDetachPolicies": known.get("forceDetachPolicies", False),
        "id": identity,
        "inlinePolicies": [
            {"name": policy, "policy": text} for policy, text in (own if as_given else inline).items()
        ],
        "managedPolicyArns": attached,
        "maxSessionDuration": found.get("MaxSessionDuration", 3600),
        "name": found["RoleName"],
        "namePrefix": names.prefix_of(found["RoleName"]),
        "path": found["Path"],
        "permissionsBoundary": found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        "uniqueId": found["RoleId"],
        **tags.outputs(tags.as_map(found.get("Tags", [])), known, account.default_tags),
    }


def _inline_names(client: Any, role: str) -> list[str]:  # noqa: ANN401  boto3 is untyped
    pages = client.get_paginator("list_role_policies").paginate(RoleName=role)
    return [name for page in pages for name in page["PolicyNames"]]


def _inline_text(client: Any, role: str, policy: str) -> str:  # noqa: ANN401  boto3 is untyped
    return policies.text(client.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])


def _attached(client: Any, role: str) -> list[str]:  # noqa: ANN401  boto3 is untyped
    pages = client.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _update_role(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("iam")
    about = f"updating IAM Role ({identity})"
    if not policies.same(news["assumeRolePolicy"], olds.get("assumeRolePolicy")):
        with doing(f"{about} assume role policy"):
            client.update_assume_role_policy(
                RoleName=identity, PolicyDocument=policies.normal(news["assumeRolePolicy"])
            )
    description = news.get("description") or ""
    if description != (olds.get("description") or ""):
        with doing(f"{about} description"):
            client.update_role_description(RoleName=identity, Description=description)
    if news["maxSessionDuration"] != olds.get("maxSessionDuration"):
        with doing(f"{about} MaxSessionDuration"):
            # UpdateRole empties a description that it is not told
            client.update_role(
                RoleName=identity, MaxSessionDuration=news["maxSessionDuration"], Description=description
            )
    boundary = news.get("permissionsBoundary") or ""
    if boundary != (olds.get("permissionsBoundary") or ""):
        with doing(f"{about} permissions boundary"):
            if boundary:
                client.put_role_permissions_boundary(RoleName=identity, PermissionsBoundary=boundary)
            else:
                client.delete_role_permissions_boundary(RoleName=identity)
    with doing(about):
        _change_policies(client, identity, olds, news)
    change = tags.change(olds, news)
    with doing(f"updating tags for IAM Role ({identity})"):
        if change.remove:
            client.untag_role(RoleName=identity, TagKeys=change.remove)
        if change.put:
            client.tag_role(RoleName=identity, Tags=tags.as_list(change.put))


def _delete_role(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("iam")
    forced = bool(olds.get("forceDetachPolicies"))
    with doing(f"deleting IAM Role ({identity})"):
        try:
            if forced or olds.get("managedPolicyArns"):
                for arn in _attached(client, identity):
                    client.detach_role_policy(RoleName=identity, PolicyArn=arn)
            if forced or olds.get("inlinePolicies"):
                for policy in _inline_names(client, identity):
                    client.delete_role_policy(RoleName=identity, PolicyName=policy)
            client.delete_role(RoleName=identity)
        except client.exceptions.ClientError as error:
            if not _is_gone(error):
                raise


def _check_name(inputs: Properties, limit: int) -> list[Failure]:
    failures = []
    for name, most in (("name", limit), ("namePrefix", limit - names.SUFFIX_LENGTH)):
        value, about = inputs.get(name), snake_case(name)
        if not isinstance(value, str):
            continue
        if not 1 <= len(value) <= most:
            reason = (
                f"expected length of {about} to be in the range (1 - {most}), got {len(value)} characters"
            )
            failures.append(Failure(name, reason))
        if not re.fullmatch(r"[0-9A-Za-z_+=,.@-]*", value):
            reason = f"invalid value for {about} (must match [\\w+=,.@-])"
            failures.append(Failure(name, reason))
    return failures


def _check_role(inputs: Properties) -> list[Failure]:
    failures = _check_name(inputs, 64)
    seconds = inputs.get("maxSessionDuration")
    if isinstance(seconds, int) and not 3600 <= seconds <= 43200:  # noqa: PLR2004  the provider's limits
        reason = f"expected max_session_duration to be in the range (3600 - 43200), got {seconds}"
        failures.append(Failure("maxSessionDuration", reason))
    return failures


ROLE = Resource(
    **shape("aws:iam/role:Role"),
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    check=_check_role,
    defaults={"maxSessionDuration": 3600, "path": "/"},
    fixed_defaults={"forceDetachPolicies": False},
    autoname="{}",
    conflicts=(frozenset({"name", "namePrefix"}),),
    policies=frozenset({"assumeRolePolicy"}),
    sets=frozenset({"inlinePolicies", "managedPolicyArns"}),
)


def _put_policy(account: Account, inputs: Properties) -> str:
    role = str(inputs["role"])
    name = str(inputs.get("name") or inputs.get("namePrefix", "terraform-") + names.unique_suffix())
    with doing(f"putting IAM Role ({role}) Policy ({name})"):
        account.client("iam").put_role_policy(
            RoleName=role, PolicyName=name, PolicyDocument=policies.version_first(inputs["policy"])
        )
    return f"{role}:{name}"


def _read_policy(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("iam")
    role, _, name = identity.partition(":")
    with doing(f"reading IAM Role Policy ({identity})"):
        text = unless_gone(lambda: _inline_text(client, role, name), _is_gone)
        if text is None:
            return None
    return {
        "id": identity,
        "name": name,
        "namePrefix": names.prefix_of(name),
        "policy": policies.as_known(known.get("policy"), text, policies.version_first),
        "role": role,
    }


def _update_policy(account: Account, identity: str, _olds: Properties, news: Properties) -> None:
    _put_policy(account, {**news, "name": identity.partition(":")[2]})


def _delete_policy(account: Account, identity: str, _olds: Properties) -> None:
    client = account.client("iam")
    role, _, name = identity.partition(":")
    with doing(f"deleting IAM Role Policy ({identity})"):
        unless_gone(lambda: client.delete_role_policy(RoleName=role, PolicyName=name), _is_gone)


ROLE_POLICY = Resource(
    **shape("aws:iam/rolePolicy:RolePolicy"),
    create=_put_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    check=lambda inputs: _check_name(inputs, 128),
    autoname="{}",
    conflicts=(frozenset({"name", "namePrefix"}),),
    policies=frozenset({"policy"}),
    normal_policy=policies.version_first,
)


def _attach(account: Account, inputs: Properties) -> str:
    role, arn = str(inputs["role"]), str(inputs["policyArn"])
    with doing(f"attaching IAM Policy ({arn}) to IAM Role ({role})"):
        account.client("iam").attach_role_policy(RoleName=role, PolicyArn=arn)
    return f"{role}/{arn}"


def _read_attachment(account: Account, identity: str, _known: Properties) -> Properties | None:
    role, _, arn = identity.partition("/")
    with doing(f"reading IAM Role Policy Attachment ({identity})"):
        attached = unless_gone(lambda: _attached(account.client("iam"), role), _is_gone)
    if attached is None or arn not in attached:
        return None
    return {"id": identity, "policyArn": arn, "role": role}


def _detach(account: Account, identity: str, _olds: Properties) -> None:
    client = account.client("iam")
    role, _, arn = identity.partition("/")
    with doing(f"detaching IAM Policy ({arn}) from IAM Role ({role})"):
        unless_gone(lambda: client.detach_role_policy(RoleName=role, PolicyArn=arn), _is_gone)


def _never_updated(_account: Account, _identity: str, olds: Properties, _news: Properties) -> Properties:
    return olds  # each input replaces it


ROLE_POLICY_ATTACHMENT = Resource(
    **shape("aws:iam/rolePolicyAttachment:RolePolicyAttachment"),
    create=_attach,
    read=_read_attachment,
    update=_never_updated,
    delete=_detach,
)
