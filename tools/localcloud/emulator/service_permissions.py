"""Permissions that requests to services other than Secrets Manager need: the action and its resource.

Resources are known for KMS, Lambda's functions, IAM, CloudWatch Logs, alarms, EventBridge's rules, services
and clusters of ECS, objects of S3, topics of SNS, EKS's Pod Identity, users, groups and caches of ElastiCache
and MemoryDB, and the lookups of RDS, EC2 and Elastic Load Balancing.
Of anything else only the action's name counts: an allow for all resources allows it, any deny of it denies
it. Grants of KMS are not looked at.

Source: Service Authorization Reference.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends
from moto.kms.utils import _deserialize_ciphertext_blob

from tools.localcloud.emulator import (
    cache_permissions,
    ecs_permissions,
    event_permissions,
    lambda_service,
    s3_permissions,
)
from tools.localcloud.emulator.authorization import Request, ResourcePolicy
from tools.localcloud.emulator.identities import PARTITION
from tools.localcloud.emulator.needs import Asked, Need
from tools.localcloud.emulator.secret_permissions import key_of


def needed(asked: Asked) -> Iterator[Need]:
    """Yield everything that the request needs."""
    find = _SERVICES.get(asked.service)
    needs = [asked.need(None)] if find is None else list(find(asked))
    yield from needs
    tagging = _TAGGING.get((asked.service, asked.name))
    if tagging and (asked.body.get("Tags") or asked.body.get("tags")):
        yield asked.need(needs[-1].request.resource, tagging)


# What giving tags to something new needs besides.
_TAGGING = {
    ("cloudwatch", "PutMetricAlarm"): "TagResource",
    ("ecs", "CreateCluster"): "TagResource",
    ("ecs", "CreateService"): "TagResource",
    ("eks", "CreatePodIdentityAssociation"): "TagResource",
    ("elasticache", "CreateUser"): "AddTagsToResource",
    ("elasticache", "CreateUserGroup"): "AddTagsToResource",
    ("memorydb", "CreateUser"): "TagResource",
    ("memorydb", "CreateACL"): "TagResource",
    ("events", "PutRule"): "TagResource",
    ("iam", "CreateOpenIDConnectProvider"): "TagOpenIDConnectProvider",
    ("iam", "CreatePolicy"): "TagPolicy",
    ("iam", "CreateRole"): "TagRole",
    ("iam", "CreateUser"): "TagUser",
    ("kms", "CreateKey"): "TagResource",
    ("lambda", "CreateFunction"): "TagResource",
    ("logs", "CreateLogGroup"): "TagResource",
}


# --- KMS

_KMS_WITHOUT_RESOURCE = {"CreateKey", "ListKeys", "ListAliases", "GenerateRandom", "DescribeCustomKeyStores"}


def _kms(asked: Asked) -> Iterator[Need]:
    body, name = asked.body, asked.name
    if name in {"CreateKey", "PutKeyPolicy"}:
        bypass = str(bool(body.get("BypassPolicyLockoutSafetyCheck"))).lower()
        more = {"kms:bypasspolicylockoutsafetycheck": (bypass,)}
        asked = replace(asked, context={**asked.context, **more})
    if name in _KMS_WITHOUT_RESOURCE:
        yield asked.need("*")
    elif name in {"CreateAlias", "UpdateAlias", "DeleteAlias"}:
        alias = str(body.get("AliasName"))
        yield asked.need(asked.arn(alias))
        old = key_of(asked.account, asked.region, alias)
        keys = [str(old.arn)] if old is not None else []
        for key_id in [*keys, *([str(body["TargetKeyId"])] if body.get("TargetKeyId") else [])]:
            yield _on_key(asked, key_id, name)
    elif name == "ReEncrypt":
        yield _on_key(asked, _source_key(body, "SourceKeyId"), "ReEncryptFrom")
        yield _on_key(asked, str(body.get("DestinationKeyId")), "ReEncryptTo")
    else:
        yield _on_key(asked, _source_key(body, "KeyId"), name)


def _source_key(body: Mapping[str, Any], parameter: str) -> str:
    if body.get(parameter):
        return str(body[parameter])
    try:
        return str(_deserialize_ciphertext_blob(base64.b64decode(str(body.get("CiphertextBlob")))).key_id)
    except Exception:  # noqa: BLE001  bytes that are no ciphertext are no key's
        return ""


def _on_key(asked: Asked, key_id: str, name: str) -> Need:
    key = key_of(asked.account, asked.region, key_id)
    encryption = asked.body.get("EncryptionContext") or {}
    context: dict[str, tuple[str, ...]] = {
        **asked.context,
        "kms:calleraccount": (asked.account,),
        **{f"kms:encryptioncontext:{pair.lower()}": (str(value),) for pair, value in encryption.items()},
    }
    if encryption:
        context["kms:encryptioncontextkeys"] = tuple(encryption)
    if "alias/" in key_id:
        context["kms:requestalias"] = ("alias/" + key_id.partition("alias/")[2],)
    if key is None:
        arn = key_id if key_id.startswith("arn:") else asked.arn(f"key/{key_id}")
        policy = ResourcePolicy(document=None, account=asked.account, required=True)
        return Need(Request(action=f"kms:{name}", resource=arn, context=context), policy)
    context["kms:resourcealiases"] = tuple(sorted(key.aliases))
    context["kms:keyspec"] = (str(key.key_spec),)
    policy = ResourcePolicy(document=json.loads(key.policy), account=key.account_id, required=True)
    return Need(Request(action=f"kms:{name}", resource=str(key.arn), context=context), policy)


# --- Lambda

_FUNCTION = re.compile(r"^/\d{4}-\d\d-\d\d/functions/(?P<name>[^/]+)")
_TAGGED = re.compile(r"^/\d{4}-\d\d-\d\d/tags/(?P<arn>.+)$")
_INVOKES = {"Invoke", "InvokeAsync", "InvokeWithResponseStream"}


def _lambda(asked: Asked) -> Iterator[Need]:
    name = "InvokeFunction" if asked.name in _INVOKES else asked.name
    role = asked.body.get("Role")
    if role and asked.name in {"CreateFunction", "UpdateFunctionConfiguration"}:
        request = Request(
            action="iam:PassRole",
            resource=str(role),
            context={**asked.context, "iam:passedtoservice": ("lambda.amazonaws.com",)},
        )
        yield Need(request)
    if asked.name == "CreateFunction":
        yield asked.need(asked.arn(f"function:{asked.body.get('FunctionName')}"), name)
        return
    found = _FUNCTION.match(asked.path) or _TAGGED.match(asked.path)
    if found is None:
        yield asked.need("*" if asked.name.startswith("List") else None, name)
        return
    arn = unquote(found[1])
    if not arn.startswith("arn:"):
        arn = asked.arn(f"function:{arn.rpartition('function:')[2]}")
    policy = ResourcePolicy(document=lambda_service.policy_of(arn), account=arn.split(":")[4])
    context = dict(asked.context)
    if name == "AddPermission":
        context["lambda:principal"] = (str(asked.body.get("Principal")),)
    yield Need(Request(action=f"lambda:{name}", resource=arn, context=context), policy)


# --- EKS

_POD_IDENTITY = re.compile(r"^/clusters/(?P<cluster>[^/]+)/pod-identity-associations(/(?P<id>[^/]+))?$")


def _eks(asked: Asked) -> Iterator[Need]:
    found = _POD_IDENTITY.match(asked.path)
    if found is None:
        tagged = asked.path.startswith("/tags/")
        yield asked.need(unquote(asked.path.removeprefix("/tags/")) if tagged else None)
        return
    role = asked.body.get("roleArn")
    if role:
        yield Need(
            Request(
                action="iam:PassRole",
                resource=str(role),
                context={**asked.context, "iam:passedtoservice": ("pods.eks.amazonaws.com",)},
            )
        )
    cluster = found["cluster"]
    one = f"podidentityassociation/{cluster}/{found['id']}" if found["id"] else f"cluster/{cluster}"
    yield asked.need(asked.arn(one))


# --- IAM

# Parameter to kind of resource; the first that a request has names what it is about.
_IAM_RESOURCES = {
    "InstanceProfileName": "instance-profile",
    "GroupName": "group",
    "RoleName": "role",
    "UserName": "user",
}
_IAM_ARNS = ("PolicyArn", "OpenIDConnectProviderArn", "SAMLProviderArn")


def _iam(asked: Asked) -> Iterator[Need]:
    body = asked.body
    more = {}
    if body.get("PolicyArn"):
        more["iam__policyarn"] = str(body["PolicyArn"])
    boundary = body.get("PermissionsBoundary") or _boundary_of(asked)
    if boundary:
        more["iam__permissionsboundary"] = str(boundary)
    yield asked.need(_iam_resource(asked), **more)
    if asked.name == "AddRoleToInstanceProfile":
        role = Asked(**{**vars(asked), "body": {"RoleName": body.get("RoleName")}})
        yield asked.need(_iam_resource(role), "PassRole", iam__passedtoservice="ec2.amazonaws.com")


def _boundary_of(asked: Asked) -> str | None:
    """Return the boundary of the role that a request is about."""
    role = iam_backends[asked.account][PARTITION].roles.values()
    wanted = asked.body.get("RoleName")
    return next((found.permissions_boundary_arn for found in role if found.name == wanted), None)


def _iam_resource(asked: Asked) -> str:
    body, iam = asked.body, iam_backends[asked.account][PARTITION]
    for parameter, kind in _IAM_RESOURCES.items():
        name = body.get(parameter)
        if not name:
            continue
        known: Mapping[str, Mapping[str, Any]] = {
            "role": iam.roles,
            "user": iam.users,
            "group": iam.groups,
            "instance-profile": iam.instance_profiles,
        }
        arn = next((str(holder.arn) for holder in known[kind].values() if holder.name == name), None)
        return arn or asked.arn(f"{kind}{body.get('Path') or '/'}{name}", everywhere=True)
    if asked.name == "CreatePolicy":
        return asked.arn(f"policy{body.get('Path') or '/'}{body.get('PolicyName')}", everywhere=True)
    if asked.name == "CreateOpenIDConnectProvider":
        address = str(body.get("Url")).partition("://")[2]
        return asked.arn(f"oidc-provider/{address}", everywhere=True)
    return next((str(body[parameter]) for parameter in _IAM_ARNS if body.get(parameter)), "*")


# --- CloudWatch Logs and alarms


def _logs(asked: Asked) -> Iterator[Need]:
    body = asked.body
    named = str(body.get("resourceArn") or body.get("logGroupIdentifier") or "")
    if named.startswith("arn:"):
        yield asked.need(named.removesuffix(":*"))
        return
    group, stream = body.get("logGroupName") or named, body.get("logStreamName") or ""
    yield asked.need(asked.arn(f"log-group:{group}:log-stream:{stream}"))


def _cloudwatch(asked: Asked) -> Iterator[Need]:
    body = asked.body
    if body.get("ResourceARN"):
        yield asked.need(str(body["ResourceARN"]))
    elif "Alarm" in asked.name:
        names = body.get("AlarmNames") or [body.get("AlarmName") or "*"]
        for name in names:
            yield asked.need(asked.arn(f"alarm:{name}"))
    else:
        yield asked.need("*" if asked.name.startswith(("Get", "List")) else None)


# --- Lookups


def _rds(asked: Asked) -> Iterator[Need]:
    for operation, kind, parameter in (
        ("DescribeDBInstances", "db", "DBInstanceIdentifier"),
        ("DescribeDBClusters", "cluster", "DBClusterIdentifier"),
        ("DescribeDBSubnetGroups", "subgrp", "DBSubnetGroupName"),
    ):
        if asked.name == operation:
            yield asked.need(asked.arn(f"{kind}:{asked.body.get(parameter) or '*'}"))
            return
    yield asked.need(None)


def _sns(asked: Asked) -> Iterator[Need]:
    yield asked.need(str(asked.body["TopicArn"]) if asked.body.get("TopicArn") else None)


def _lookups_for_all(asked: Asked) -> Iterator[Need]:
    """Yield the need of EC2 and the load balancers, which restrict no lookup to a resource."""
    yield asked.need("*" if asked.name.startswith("Describe") else None)


_SERVICES = {
    "kms": _kms,
    "lambda": _lambda,
    "eks": _eks,
    "iam": _iam,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "events": event_permissions.needed,
    "ecs": ecs_permissions.needed,
    "rds": _rds,
    "ec2": _lookups_for_all,
    "elasticloadbalancing": _lookups_for_all,
    "s3": s3_permissions.needed,
    "elasticache": cache_permissions.elasticache,
    "memorydb": cache_permissions.memorydb,
    "sns": _sns,
}
