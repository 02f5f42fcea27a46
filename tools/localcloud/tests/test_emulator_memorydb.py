"""MemoryDB's users and ACLs decide who can log in to a real server, with AWS's states."""

# ruff: noqa: ANN401  boto3 makes its clients' types at run time

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.caches import hold, register, release, settle
from tests.support.emulator_functions import client
from tests.support.emulator_process import Emulator
from tests.support.redis_client import login
from tools.localcloud.servers.redis import RedisServer

OLD, NEW, NEWEST = (f"{word}-password-of-a-user" for word in ("old", "new", "newest"))
ALL = "on ~* &* +@all"
NOBODY = "-WRONGPASS invalid username-password pair or user is disabled."
CLOSED = "-NOAUTH Authentication required."


@pytest.fixture
def memorydb(emulator: Emulator) -> Iterator[Any]:
    release(emulator)
    yield client(emulator, "memorydb")
    release(emulator)


def passwords(*given: str) -> dict[str, Any]:
    return {"Type": "password", "Passwords": list(given)}


def create(emulator: Emulator, memorydb: Any, name: str, *given: str) -> None:
    """Create a user, and an ACL of the same name that has this user only."""
    memorydb.create_user(UserName=name, AuthenticationMode=passwords(*given), AccessString=ALL)
    memorydb.create_acl(ACLName=name, UserNames=[name])
    settle(emulator)


def described(memorydb: Any, name: str) -> Any:
    [found] = memorydb.describe_users(UserName=name)["Users"]
    return found


def refused(code: str, call: Callable[..., Any], /, **asked: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**asked)
    assert refusal.value.response["Error"]["Code"] == code
    return str(refusal.value.response["Error"]["Message"])


def test_new_passwords_replace_the_old_once_the_user_is_active(
    emulator: Emulator, memorydb: Any, redis_server: RedisServer
) -> None:
    create(emulator, memorydb, "shop", OLD)
    register(emulator, redis_server, "cluster", Kind="memorydb", Group="shop")
    hold(emulator)
    answer = memorydb.update_user(UserName="shop", AuthenticationMode=passwords(NEW, OLD))["User"]
    assert (answer["Status"], answer["Authentication"]["PasswordCount"]) == ("modifying", 2)
    assert (login(redis_server, "shop", OLD), login(redis_server, "shop", NEW)) == ("shop", NOBODY)
    message = refused(
        "InvalidUserStateFault",
        memorydb.update_user,
        UserName="shop",
        AuthenticationMode=passwords(NEWEST),
    )
    assert message == "User shop has status modifying. Only active users can be modified."
    release(emulator)
    assert described(memorydb, "shop")["Status"] == "active"
    assert (login(redis_server, "shop", OLD), login(redis_server, "shop", NEW)) == ("shop", "shop")
    memorydb.update_user(UserName="shop", AuthenticationMode=passwords(NEWEST, NEW))
    settle(emulator)
    assert (login(redis_server, "shop", OLD), login(redis_server, "shop", NEWEST)) == (NOBODY, "shop")


def test_a_cluster_changes_its_acl_after_a_while(
    emulator: Emulator, memorydb: Any, redis_server: RedisServer
) -> None:
    create(emulator, memorydb, "team", OLD)
    arn = register(emulator, redis_server, "open", Kind="memorydb", Tags={"team": "a"})
    assert arn == "arn:aws:memorydb:us-east-1:123456789012:cluster/open"
    assert login(redis_server) == "default"
    hold(emulator)
    answer = memorydb.update_cluster(ClusterName="open", ACLName="team")["Cluster"]
    assert (answer["Status"], answer["ACLName"]) == ("updating", "open-access")
    assert answer["PendingUpdates"] == {"ACLs": {"ACLToApply": "team"}}
    refused("InvalidClusterStateFault", memorydb.update_cluster, ClusterName="open", ACLName="team")
    assert (login(redis_server), login(redis_server, "team", OLD)) == ("default", NOBODY)
    release(emulator)
    assert (login(redis_server), login(redis_server, "team", OLD)) == (CLOSED, "team")
    [found] = memorydb.describe_clusters(ClusterName="open", ShowShardDetails=True)["Clusters"]
    assert (found["Status"], found["ACLName"], found["TLSEnabled"]) == ("available", "team", True)
    address = {"Address": "localhost", "Port": redis_server.port}
    assert found["ClusterEndpoint"] == address == found["Shards"][0]["Nodes"][0]["Endpoint"]
    assert memorydb.list_tags(ResourceArn=arn)["TagList"] == [{"Key": "team", "Value": "a"}]
    [acl] = memorydb.describe_acls(ACLName="team")["ACLs"]
    assert (acl["Clusters"], acl["UserNames"]) == (["open"], ["team"])


def test_users_join_and_leave_an_acl(emulator: Emulator, memorydb: Any, redis_server: RedisServer) -> None:
    create(emulator, memorydb, "first", OLD)
    create(emulator, memorydb, "second", NEW)
    register(emulator, redis_server, "shared", Kind="memorydb", Group="first")
    hold(emulator)
    memorydb.update_acl(ACLName="first", UserNamesToAdd=["second"], UserNamesToRemove=["first"])
    message = refused("InvalidACLStateFault", memorydb.update_acl, ACLName="first", UserNamesToAdd=["first"])
    assert message == "ACL first has status modifying. Only active ACLs can be modified."
    assert described(memorydb, "second")["Status"] == "modifying"
    release(emulator)
    assert (login(redis_server, "first", OLD), login(redis_server, "second", NEW)) == (NOBODY, "second")
    assert described(memorydb, "second")["ACLNames"] == ["first", "second"]
    memorydb.delete_user(UserName="second")
    settle(emulator)
    assert login(redis_server, "second", NEW) == NOBODY
    refused("UserNotFoundFault", memorydb.describe_users, UserName="second")


def test_what_memorydb_rejects_is_rejected(
    emulator: Emulator, memorydb: Any, redis_server: RedisServer
) -> None:
    create(emulator, memorydb, "strict", OLD)
    update = memorydb.update_user
    for code, mode in (
        ("InvalidParameterValueException", passwords("too-short")),
        ("InvalidParameterValueException", passwords("x" * 16, "y" * 16, "z" * 16)),
        ("InvalidParameterValueException", {"Type": "no-password-required"}),
        ("InvalidParameterCombinationException", {"Type": "iam", "Passwords": [NEW]}),
    ):
        refused(code, update, UserName="strict", AuthenticationMode=mode)
    refused("InvalidParameterValueException", update, UserName="default", AuthenticationMode=passwords(NEW))
    refused("InvalidParameterValueException", memorydb.delete_acl, ACLName="open-access")
    refused("UserNotFoundFault", memorydb.create_acl, ACLName="new", UserNames=["unknown"])
    refused("ACLNotFoundFault", memorydb.describe_acls, ACLName="unknown")
    refused("ClusterNotFoundFault", memorydb.describe_clusters, ClusterName="unknown")
    register(emulator, redis_server, "plain", Kind="memorydb", TransitEncryption=False)
    refused(
        "InvalidParameterCombinationException", memorydb.update_cluster, ClusterName="plain", ACLName="strict"
    )


def test_tags_are_kept_and_other_clusters_are_motos(emulator: Emulator, memorydb: Any) -> None:
    create(emulator, memorydb, "tagged", OLD)
    arn = described(memorydb, "tagged")["ARN"]
    memorydb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    memorydb.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert memorydb.list_tags(ResourceArn=arn)["TagList"] == [{"Key": "b", "Value": "2"}]
    memorydb.create_cluster(ClusterName="of-moto", NodeType="db.t4g.small", ACLName="open-access")
    names = {cluster["Name"] for cluster in memorydb.describe_clusters()["Clusters"]}
    assert "of-moto" in names
