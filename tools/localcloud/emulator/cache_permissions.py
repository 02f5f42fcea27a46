"""Permissions that requests to ElastiCache and MemoryDB need.

Source: Service Authorization Reference, Amazon ElastiCache and Amazon MemoryDB.
"""

from collections.abc import Iterator
from typing import Any

from tools.localcloud.emulator.needs import Asked, Need

# The action's name has one of these, the first that fits: the kind in the ARN, and the parameter.
_ELASTICACHE = (
    ("UserGroup", "usergroup", "UserGroupId"),
    ("User", "user", "UserId"),
    ("ReplicationGroup", "replicationgroup", "ReplicationGroupId"),
    ("ServerlessCache", "serverlesscache", "ServerlessCacheName"),
    ("CacheCluster", "cluster", "CacheClusterId"),
    ("CacheSubnetGroup", "subnetgroup", "CacheSubnetGroupName"),
)
_MEMORYDB = (
    ("User", "user", "UserName"),
    ("ACL", "acl", "ACLName"),
    ("Cluster", "cluster", "ClusterName"),
    ("SubnetGroup", "subnetgroup", "SubnetGroupName"),
)
# Parameters of lists of further objects, which the same action needs too.
_FURTHER = (
    ("UserIds", "user"),
    ("UserIdsToAdd", "user"),
    ("UserIdsToRemove", "user"),
    ("UserGroupIdsToAdd", "usergroup"),
    ("UserGroupIdsToRemove", "usergroup"),
    ("UserNames", "user"),
    ("UserNamesToAdd", "user"),
    ("UserNamesToRemove", "user"),
)


def elasticache(asked: Asked) -> Iterator[Need]:
    """Yield what a request to ElastiCache needs."""
    if asked.body.get("ResourceName"):
        yield asked.need(str(asked.body["ResourceName"]))
        return
    yield from _needed(asked, _ELASTICACHE, ":")


def memorydb(asked: Asked) -> Iterator[Need]:
    """Yield what a request to MemoryDB needs."""
    if asked.body.get("ResourceArn"):
        yield asked.need(str(asked.body["ResourceArn"]))
        return
    yield from _needed(asked, _MEMORYDB, "/")
    if asked.name in {"CreateCluster", "UpdateCluster"} and asked.body.get("ACLName"):
        yield asked.need(asked.arn(f"acl/{_name(asked.body['ACLName'])}"))


def _needed(asked: Asked, kinds: tuple[tuple[str, str, str], ...], separator: str) -> Iterator[Need]:
    found = next((one for one in kinds if one[0] in asked.name), None)
    if found is None:
        yield asked.need(None)
        return
    _, kind, parameter = found
    more = _authentication(asked) if kind == "user" else {}
    yield asked.need(asked.arn(f"{kind}{separator}{_name(asked.body.get(parameter) or '*')}"), **more)
    for parameter, other in _FURTHER:
        for name in asked.body.get(parameter) or []:
            yield asked.need(asked.arn(f"{other}{separator}{_name(name)}"))


def _authentication(asked: Asked) -> dict[str, str]:
    """Return the condition key for how a user is to authenticate."""
    body = asked.body
    given = body.get("AuthenticationMode")
    mode = given.get("Type") if isinstance(given, dict) else body.get("AuthenticationMode.Type")
    if not mode and str(body.get("NoPasswordRequired")).lower() == "true":
        mode = "no-password-required"
    if not mode and body.get("Passwords"):
        mode = "password"
    return {f"{asked.service}__userauthenticationmode": str(mode)} if mode else {}


def _name(given: Any) -> str:  # noqa: ANN401  whatever a request holds
    """Return an identifier as it is in an ARN: both services keep them in small letters."""
    return str(given).lower()
