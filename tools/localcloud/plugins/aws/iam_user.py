"""The resources aws:iam/user:User and aws:iam/userPolicy:UserPolicy."""

from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws import names, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties


def _is_gone(error: Exception) -> bool:
    return is_error(error, "NoSuchEntity")


def _create_user(account: Account, inputs: Properties) -> str:
    name = str(inputs["name"])
    request: dict[str, Any] = {"UserName": name, "Path": inputs["path"]}
    if inputs.get("permissionsBoundary"):
        request["PermissionsBoundary"] = inputs["permissionsBoundary"]
    if inputs.get("tagsAll"):
        request["Tags"] = tags.as_list(inputs["tagsAll"])
    with doing(f"creating IAM User ({name})"):
        account.client("iam").create_user(**request)
    return name


def _read_user(account: Account, identity: str, known: Properties) -> Properties | None:
    with doing(f"reading IAM User ({identity})"):
        client = account.client("iam")
        found = unless_gone(lambda: client.get_user(UserName=identity)["User"], _is_gone)
    if found is None:
        return None
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
    return {
        "arn": found["Arn"],
        "forceDestroy": known.get("forceDestroy", False),
        "id": identity,
        "name": found["UserName"],
        "path": found["Path"],
        "permissionsBoundary": boundary,
        "uniqueId": found["UserId"],
        **tags.outputs(tags.as_map(found.get("Tags", [])), known, account.default_tags),
    }


def _update_user(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("iam")
    boundary = news.get("permissionsBoundary") or ""
    if boundary != (olds.get("permissionsBoundary") or ""):
        with doing(f"updating IAM User ({identity}) permissions boundary"):
            if boundary:
                client.put_user_permissions_boundary(UserName=identity, PermissionsBoundary=boundary)
            else:
                client.delete_user_permissions_boundary(UserName=identity)
    change = tags.change(olds, news)
    with doing(f"updating tags for IAM User ({identity})"):
        if change.remove:
            client.untag_user(UserName=identity, TagKeys=change.remove)
        if change.put:
            client.tag_user(UserName=identity, Tags=tags.as_list(change.put))


def _delete_user(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("iam")
    with doing(f"deleting IAM User ({identity})"):
        try:
            if olds.get("forceDestroy"):
                for key in client.list_access_keys(UserName=identity)["AccessKeyMetadata"]:
                    client.delete_access_key(UserName=identity, AccessKeyId=key["AccessKeyId"])
            client.delete_user(UserName=identity)
        except client.exceptions.ClientError as error:
            if not _is_gone(error):
                raise


USER = Resource(
    **shape("aws:iam/user:User"),
    create=_create_user,
    read=_read_user,
    update=_update_user,
    delete=_delete_user,
    defaults={"path": "/"},
    fixed_defaults={"forceDestroy": False},
    autoname="{}",
)


def _put_policy(account: Account, inputs: Properties) -> str:
    user = str(inputs["user"])
    name = str(inputs.get("name") or inputs.get("namePrefix", "terraform-") + names.unique_suffix())
    with doing(f"putting IAM User ({user}) Policy ({name})"):
        account.client("iam").put_user_policy(
            UserName=user, PolicyName=name, PolicyDocument=policies.version_first(inputs["policy"])
        )
    return f"{user}:{name}"


def _read_policy(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("iam")
    user, _, name = identity.partition(":")
    with doing(f"reading IAM User Policy ({identity})"):
        found = unless_gone(lambda: client.get_user_policy(UserName=user, PolicyName=name), _is_gone)
        if found is None:
            return None
    text = policies.text(found["PolicyDocument"])
    return {
        "id": identity,
        "name": name,
        "namePrefix": names.prefix_of(name),
        "policy": policies.as_known(known.get("policy"), text, policies.version_first),
        "user": user,
    }


def _update_policy(account: Account, identity: str, _olds: Properties, news: Properties) -> None:
    _put_policy(account, {**news, "name": identity.partition(":")[2]})


def _delete_policy(account: Account, identity: str, _olds: Properties) -> None:
    client = account.client("iam")
    user, _, name = identity.partition(":")
    with doing(f"deleting IAM User Policy ({identity})"):
        unless_gone(lambda: client.delete_user_policy(UserName=user, PolicyName=name), _is_gone)


USER_POLICY = Resource(
    **shape("aws:iam/userPolicy:UserPolicy"),
    create=_put_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    autoname="{}",
    conflicts=(frozenset({"name", "namePrefix"}),),
    policies=frozenset({"policy"}),
    normal_policy=policies.version_first,
)
