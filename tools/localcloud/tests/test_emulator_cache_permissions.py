"""Callers other than the administrator need ElastiCache's and MemoryDB's permissions."""

# ruff: noqa: ANN401  boto3 makes its clients' types at run time

import itertools
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.caches import release, settle
from tests.support.emulator_functions import client
from tests.support.emulator_process import Emulator

PASSWORD = "a-password-of-a-user"
ALL = "on ~* +@all"
ELASTICACHE = "arn:aws:elasticache:us-east-1:123456789012"
MEMORYDB = "arn:aws:memorydb:us-east-1:123456789012"
TRUST = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}

_numbers = itertools.count()


def allow(actions: str | list[str], resource: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def as_role(emulator: Emulator, service: str, *statements: dict[str, Any]) -> Any:
    """Return a client with a role that has these permissions only."""
    iam, name = client(emulator, "iam"), f"role-{next(_numbers)}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [TRUST]}))
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    role = f"arn:aws:iam::123456789012:role/{name}"
    session = client(emulator, "sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def denied(call: Callable[..., Any], /, **asked: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**asked)
    assert refusal.value.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
    return str(refusal.value.response["Error"]["Message"])


@pytest.fixture(scope="module", autouse=True)
def users(emulator: Emulator) -> None:
    """Two users in each service; a group and an ACL."""
    release(emulator)
    elasticache, memorydb = client(emulator, "elasticache"), client(emulator, "memorydb")
    for name in ("mine", "theirs"):
        elasticache.create_user(
            UserId=name, UserName=name, Engine="redis", AccessString=ALL, Passwords=[PASSWORD]
        )
        memorydb.create_user(
            UserName=name,
            AuthenticationMode={"Type": "password", "Passwords": [PASSWORD]},
            AccessString=ALL,
        )
    elasticache.create_user_group(UserGroupId="group", Engine="redis", UserIds=["default"])
    memorydb.create_acl(ACLName="group")
    settle(emulator)


def test_a_rotation_changes_only_the_users_that_it_may(emulator: Emulator) -> None:
    may = ["elasticache:DescribeUsers", "elasticache:ModifyUser"]
    rotation = as_role(emulator, "elasticache", allow(may, f"{ELASTICACHE}:user:mine"))
    assert rotation.describe_users(UserId="mine")["Users"]
    rotation.modify_user(UserId="MINE", Passwords=[PASSWORD + "2", PASSWORD])
    settle(emulator)
    message = denied(rotation.modify_user, UserId="theirs", Passwords=[PASSWORD + "2"])
    assert f"elasticache:ModifyUser on resource: {ELASTICACHE}:user:theirs because" in message
    assert PASSWORD not in message
    denied(rotation.describe_users, UserId="theirs")
    assert f"on resource: {ELASTICACHE}:user:*" in denied(rotation.describe_users)
    denied(rotation.delete_user, UserId="mine")
    denied(rotation.describe_replication_groups, ReplicationGroupId="cache")
    found = client(emulator, "elasticache").describe_users(UserId="theirs")["Users"][0]
    assert found["Authentication"]["PasswordCount"] == 1


def test_a_user_of_memorydb_is_changed_only_with_its_permission(emulator: Emulator) -> None:
    may = ["memorydb:DescribeUsers", "memorydb:UpdateUser"]
    rotation = as_role(emulator, "memorydb", allow(may, f"{MEMORYDB}:user/mine"))
    mode = {"Type": "password", "Passwords": [PASSWORD + "2", PASSWORD]}
    rotation.update_user(UserName="mine", AuthenticationMode=mode)
    settle(emulator)
    assert rotation.describe_users(UserName="mine")["Users"]
    message = denied(rotation.update_user, UserName="theirs", AuthenticationMode=mode)
    assert f"memorydb:UpdateUser on resource: {MEMORYDB}:user/theirs because" in message
    denied(rotation.describe_users)
    denied(rotation.describe_acls, ACLName="group")
    denied(rotation.describe_clusters, ClusterName="cluster")


@pytest.mark.parametrize(
    ("condition", "allowed"), [("password", {"password"}), ("no-password-required", {"nothing", "flag"})]
)
def test_the_way_of_authentication_is_a_condition(
    emulator: Emulator, condition: str, allowed: set[str]
) -> None:
    when = {"StringEquals": {"elasticache:UserAuthenticationMode": condition}}
    limited = as_role(emulator, "elasticache", allow("elasticache:*", "*", Condition=when))
    ways: dict[str, dict[str, Any]] = {
        "password": {"Passwords": [PASSWORD + "3"]},
        "nothing": {"AuthenticationMode": {"Type": "no-password-required"}},
        "flag": {"NoPasswordRequired": True},
        "iam": {"AuthenticationMode": {"Type": "iam"}},
    }
    for name, asked in ways.items():
        if name in allowed:
            limited.modify_user(UserId="mine", **asked)
            settle(emulator)
        else:
            denied(limited.modify_user, UserId="mine", **asked)


def test_a_group_needs_permission_for_the_users_in_it(emulator: Emulator) -> None:
    group = allow("elasticache:ModifyUserGroup", f"{ELASTICACHE}:usergroup:group")
    asked: dict[str, Any] = {"UserGroupId": "group", "UserIdsToAdd": ["mine"]}
    message = denied(as_role(emulator, "elasticache", group).modify_user_group, **asked)
    assert f"on resource: {ELASTICACHE}:user:mine" in message
    user = allow("elasticache:ModifyUserGroup", f"{ELASTICACHE}:user:mine")
    as_role(emulator, "elasticache", group, user).modify_user_group(**asked)
    settle(emulator)
    acl = allow("memorydb:UpdateACL", f"{MEMORYDB}:acl/group")
    joined: dict[str, Any] = {"ACLName": "group", "UserNamesToAdd": ["mine"]}
    denied(as_role(emulator, "memorydb", acl).update_acl, **joined)
    member = allow("memorydb:UpdateACL", f"{MEMORYDB}:user/mine")
    as_role(emulator, "memorydb", acl, member).update_acl(**joined)
    settle(emulator)


def test_lookups_need_permission_for_what_they_look_up(emulator: Emulator) -> None:
    nobody = as_role(emulator, "elasticache")
    for kind, call in {
        "replicationgroup:c": lambda: nobody.describe_replication_groups(ReplicationGroupId="C"),
        "replicationgroup:*": nobody.describe_replication_groups,
        "serverlesscache:c": lambda: nobody.describe_serverless_caches(ServerlessCacheName="c"),
        "usergroup:group": lambda: nobody.describe_user_groups(UserGroupId="group"),
        "user:mine": lambda: nobody.list_tags_for_resource(ResourceName=f"{ELASTICACHE}:user:mine"),
    }.items():
        assert f"on resource: {ELASTICACHE}:{kind}" in denied(call)
    other = as_role(emulator, "memorydb")
    for kind, call in {
        "cluster/c": lambda: other.describe_clusters(ClusterName="c"),
        "acl/group": lambda: other.describe_acls(ACLName="group"),
        "user/mine": lambda: other.list_tags(ResourceArn=f"{MEMORYDB}:user/mine"),
    }.items():
        assert f"on resource: {MEMORYDB}:{kind}" in denied(call)
    may = allow("elasticache:DescribeReplicationGroups", f"{ELASTICACHE}:replicationgroup:*")
    as_role(emulator, "elasticache", may).describe_replication_groups()


def test_tags_of_a_new_user_need_their_own_permission(emulator: Emulator) -> None:
    new = {"UserName": "new", "Engine": "redis", "AccessString": ALL, "Passwords": [PASSWORD]}
    tags = [{"Key": "team", "Value": "a"}]
    create = allow("elasticache:CreateUser", "*")
    message = denied(as_role(emulator, "elasticache", create).create_user, UserId="new", Tags=tags, **new)
    assert "elasticache:AddTagsToResource" in message
    when = {"StringEquals": {"aws:RequestTag/team": "a"}}
    tagging = allow("elasticache:AddTagsToResource", "*", Condition=when)
    creator = as_role(emulator, "elasticache", create, tagging)
    denied(creator.create_user, UserId="new", Tags=[{"Key": "team", "Value": "b"}], **new)
    creator.create_user(UserId="new", Tags=tags, **new)
