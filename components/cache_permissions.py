"""Permissions to change the passwords of cache users, and AUTH tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .lambdas.rotation import protocol


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """The permissions on one kind of resource.

    Attributes:
        sid: the end of each statement's Sid.
        use: actions without a condition.
        tag: actions that write tags.
        password: actions that set how a user authenticates.
    """

    sid: str
    use: Sequence[str]
    tag: Sequence[str] = ()
    password: Sequence[str] = ()


# By the part of the ARN. Source: Service Authorization Reference, Amazon ElastiCache and Amazon MemoryDB.
_KINDS: Mapping[str, _Kind] = {
    ":replicationgroup:": _Kind(
        sid="ReplicationGroups",
        use=[
            "elasticache:DescribeReplicationGroups",
            "elasticache:ListTagsForResource",
            "elasticache:ModifyReplicationGroup",
        ],
        tag=["elasticache:AddTagsToResource"],
    ),
    # ModifyUserGroup and UpdateACL need permission on the group as well
    ":user:": _Kind(
        sid="ElastiCacheUsers",
        use=["elasticache:DescribeUsers", "elasticache:ListTagsForResource", "elasticache:ModifyUserGroup"],
        tag=["elasticache:AddTagsToResource"],
        password=["elasticache:CreateUser", "elasticache:ModifyUser"],
    ),
    ":user/": _Kind(
        sid="MemoryDBUsers",
        use=["memorydb:DescribeUsers", "memorydb:ListTags", "memorydb:UpdateACL"],
        tag=["memorydb:TagResource"],
        password=["memorydb:CreateUser", "memorydb:UpdateUser"],
    ),
    ":usergroup:": _Kind(sid="UserGroups", use=["elasticache:ModifyUserGroup"]),
    ":acl/": _Kind(sid="ACLs", use=["memorydb:UpdateACL"]),
}


def changes_of_caches(arns: Sequence[str]) -> list[dict[str, object]]:
    """Return the statements that allow changes of these users and replication groups.

    No user can be made to need no password, and no tag other than ours can be written.
    """
    return [
        statement
        for mark, kind in _KINDS.items()
        if (found := [arn for arn in arns if mark in arn])
        for statement in _statements(kind, found)
    ]


def _statements(kind: _Kind, arns: Sequence[str]) -> list[dict[str, object]]:
    statements = [_allow(f"ChangeThese{kind.sid}", kind.use, arns, {})]
    if kind.tag:
        ours = {"ForAllValues:StringEquals": {"aws:TagKeys": protocol.OWNER_TAG}}
        statements.append(_allow(f"MarkThese{kind.sid}", kind.tag, arns, ours))
    if kind.password:
        service = kind.password[0].partition(":")[0]
        only = {"StringEquals": {f"{service}:UserAuthenticationMode": "password"}}
        statements.append(_allow(f"SetPasswordsOfThese{kind.sid}", kind.password, arns, only))
    return statements


def _allow(
    sid: str, actions: Sequence[str], arns: Sequence[str], condition: Mapping[str, object]
) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(dict.fromkeys(arns)),
        **({"Condition": condition} if condition else {}),
    }
