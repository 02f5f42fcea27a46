# ruff: noqa: ANN401  boto3 is untyped
"""Lookups of caches and their users in the stand-in aws plugin, against an emulator."""

import inspect
import json
import typing
import uuid
from typing import Any

import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError
from pulumi_aws.elasticache import outputs as elasticache_outputs
from pulumi_aws.memorydb import outputs as memorydb_outputs

from tests.support.caches import register, release, settle
from tests.support.emulator_process import Emulator
from tools.localcloud.plugins.values import Properties
from tools.localcloud.servers.redis import RedisServer
from tools.localcloud.tests.plugin_calls import Plugin, RefusedError

pytestmark = pytest.mark.usefixtures("surroundings")

MEMBER = "aws:elasticache/getCluster:getCluster"
SUBNETS = "aws:elasticache/getSubnetGroup:getSubnetGroup"
MEMORYDB_SUBNETS = "aws:memorydb/getSubnetGroup:getSubnetGroup"
GROUP = "aws:elasticache/getReplicationGroup:getReplicationGroup"
SERVERLESS = "aws:elasticache/getServerlessCache:getServerlessCache"
USER = "aws:elasticache/getUser:getUser"
CLUSTER = "aws:memorydb/getCluster:getCluster"
MEMORYDB_USER = "aws:memorydb/getUser:getUser"
ACL = "aws:memorydb/getAcl:getAcl"
PASSWORD = "the-password-of-a-user"
TOKEN = "the-token-of-a-cache"
ALL = "on ~* +@all"
NOT_FOUND = "Not found. Please change your search criteria and try again: couldn't find resource"


@pytest.fixture
def name(emulator: Emulator) -> str:
    release(emulator)
    return f"it-{uuid.uuid4().hex[:12]}"


def refused(plugin: Plugin, token: str, args: Properties) -> str:
    with pytest.raises(RefusedError) as caught:
        plugin.invoke(token, args)
    return str(caught.value)


def shown(words: str) -> str:
    return f"1 error occurred:\n\t* {words}\n\n"


def fits(found: Any, declared: Any, outputs: Any) -> bool:
    """Return whether a result has the properties that the SDK declares, with their types."""
    if isinstance(declared, typing.ForwardRef):
        declared = declared.__forward_arg__
    if isinstance(declared, str):
        declared = getattr(outputs, declared.removeprefix("outputs."))
    origin, parts = typing.get_origin(declared), typing.get_args(declared)
    if origin is typing.Union:
        return found is None or fits(found, parts[0], outputs)
    if inspect.isclass(declared) and declared not in {str, int, bool}:
        types = {
            member.fget._pulumi_name: member.fget.__annotations__["return"]
            for _, member in inspect.getmembers(declared, lambda member: isinstance(member, property))
        }
        assert set(found) == set(types), declared
        return all(fits(found[key], types[key], outputs) for key in types)
    if origin is not None and issubclass(origin, typing.Mapping):
        return isinstance(found, dict) and all(fits(item, parts[1], outputs) for item in found.values())
    if origin is not None:
        return isinstance(found, list) and all(fits(item, parts[0], outputs) for item in found)
    return type(found) is declared


def test_a_replication_group_is_found_with_its_endpoints(
    emulator: Emulator, plugin: Plugin, name: str, redis_server: RedisServer
) -> None:
    arn = register(emulator, redis_server, name, AuthToken=TOKEN, Description="sessions")
    found = plugin.invoke(GROUP, {"replicationGroupId": name})
    assert fits(found, aws.elasticache.GetReplicationGroupResult, elasticache_outputs)
    assert found["id"] == found["replicationGroupId"] == name
    assert (found["arn"], found["description"]) == (arn, "sessions")
    assert found["primaryEndpointAddress"] == found["readerEndpointAddress"] == "localhost"
    assert (found["port"], found["configurationEndpointAddress"]) == (redis_server.port, "")
    assert (found["authTokenEnabled"], found["clusterMode"]) == (True, "disabled")
    assert (found["numCacheClusters"], found["memberClusters"]) == (1, [f"{name}-001"])
    assert (found["numNodeGroups"], found["replicasPerNodeGroup"]) == (1, 0)
    assert TOKEN not in json.dumps(found)


def test_a_replication_group_in_cluster_mode_has_one_endpoint(
    emulator: Emulator, plugin: Plugin, name: str, redis_server: RedisServer
) -> None:
    register(emulator, redis_server, name, ClusterMode=True)
    found = plugin.invoke(GROUP, {"replicationGroupId": name})
    assert fits(found, aws.elasticache.GetReplicationGroupResult, elasticache_outputs)
    assert found["configurationEndpointAddress"] == "localhost"
    assert (found["port"], found["clusterMode"]) == (redis_server.port, "enabled")
    assert found["primaryEndpointAddress"] == found["readerEndpointAddress"] == ""
    assert found["nodeGroupConfigurations"][0]["slots"] == "0-16383"


def test_a_member_of_a_replication_group_tells_its_engine(
    emulator: Emulator, plugin: Plugin, name: str, redis_server: RedisServer
) -> None:
    register(emulator, redis_server, name, AuthToken=TOKEN)
    found = plugin.invoke(MEMBER, {"clusterId": f"{name}-001"})
    assert fits(found, aws.elasticache.GetClusterResult, elasticache_outputs)
    assert (found["engine"], found["replicationGroupId"]) == (redis_server.engine, name)
    assert (found["subnetGroupName"], found["securityGroupIds"]) == ("", [])


def test_subnet_groups_of_both_services_are_found(plugin: Plugin, name: str) -> None:
    subnets = [found["SubnetId"] for found in plugin.client("ec2").describe_subnets()["Subnets"]][:2]
    asked = {"CacheSubnetGroupName": name, "CacheSubnetGroupDescription": "x", "SubnetIds": subnets}
    plugin.client("elasticache").create_cache_subnet_group(**asked)
    plugin.client("memorydb").create_subnet_group(SubnetGroupName=name, SubnetIds=subnets)
    found = plugin.invoke(SUBNETS, {"name": name})
    assert fits(found, aws.elasticache.GetSubnetGroupResult, elasticache_outputs)
    assert sorted(found["subnetIds"]) == sorted(subnets)
    found = plugin.invoke(MEMORYDB_SUBNETS, {"name": name})
    assert fits(found, aws.memorydb.GetSubnetGroupResult, memorydb_outputs)
    assert sorted(found["subnetIds"]) == sorted(subnets)


def test_a_group_that_only_moto_knows_is_found_too(plugin: Plugin, name: str) -> None:
    plugin.client("elasticache").create_replication_group(
        ReplicationGroupId=name, ReplicationGroupDescription="x", Engine="redis"
    )
    found = plugin.invoke(GROUP, {"replicationGroupId": name})
    assert found["primaryEndpointAddress"].endswith("cache.amazonaws.com")


def test_a_serverless_cache_is_found_with_its_user_group(
    emulator: Emulator, plugin: Plugin, name: str, redis_server: RedisServer
) -> None:
    plugin.client("elasticache").create_user_group(UserGroupId=name, Engine="redis", UserIds=["default"])
    settle(emulator)
    arn = register(emulator, redis_server, name, Kind="serverless", Group=name)
    found = plugin.invoke(SERVERLESS, {"name": name})
    address = {"address": "localhost", "port": redis_server.port}
    assert (found["endpoint"], found["readerEndpoint"]) == (address, address)
    assert (found["arn"], found["userGroupId"], found["status"]) == (arn, name, "available")
    assert (found["engine"], found["majorEngineVersion"]) == ("redis", "7")
    # AWS tells limits and keys only of a cache that has them
    declared = {
        member.fget._pulumi_name
        for _, member in inspect.getmembers(
            aws.elasticache.GetServerlessCacheResult, lambda member: isinstance(member, property)
        )
    }
    assert set(found) == declared


def test_a_user_is_found_without_its_passwords(emulator: Emulator, plugin: Plugin, name: str) -> None:
    plugin.client("elasticache").create_user(
        UserId=name, UserName=f"{name}-login", Engine="redis", Passwords=[PASSWORD], AccessString=ALL
    )
    found = plugin.invoke(USER, {"userId": name})
    assert fits(found, aws.elasticache.GetUserResult, elasticache_outputs)
    assert (found["id"], found["userId"], found["userName"]) == (name, name, f"{name}-login")
    assert (found["engine"], found["accessString"]) == ("redis", ALL)
    assert found["authenticationModes"] == [{"passwordCount": 1, "type": "password"}]
    assert PASSWORD not in json.dumps(found)
    assert PASSWORD not in emulator.log.read_text()


def test_a_cluster_of_memorydb_is_found_with_its_acl_and_shards(
    emulator: Emulator, plugin: Plugin, name: str, redis_server: RedisServer
) -> None:
    arn = register(emulator, redis_server, name, Kind="memorydb", Tags={"team": "a"})
    found = plugin.invoke(CLUSTER, {"name": name})
    assert fits(found, aws.memorydb.GetClusterResult, memorydb_outputs)
    assert (found["id"], found["arn"], found["tags"]) == (name, arn, {"team": "a"})
    assert (found["aclName"], found["tlsEnabled"], found["engine"]) == ("open-access", True, "redis")
    assert found["clusterEndpoints"] == [{"address": "localhost", "port": redis_server.port}]
    assert (found["port"], found["numShards"], found["numReplicasPerShard"]) == (redis_server.port, 1, 0)


def test_users_and_acls_of_memorydb_are_found(emulator: Emulator, plugin: Plugin, name: str) -> None:
    client = plugin.client("memorydb")
    mode = {"Type": "password", "Passwords": [PASSWORD, f"{PASSWORD}-2"]}
    tags = [{"Key": "team", "Value": "a"}]
    client.create_user(UserName=name, AuthenticationMode=mode, AccessString=ALL, Tags=tags)
    client.create_acl(ACLName=name, UserNames=[name], Tags=tags)
    settle(emulator)
    user = plugin.invoke(MEMORYDB_USER, {"userName": name})
    assert fits(user, aws.memorydb.GetUserResult, memorydb_outputs)
    assert user["arn"] == f"arn:aws:memorydb:us-east-1:123456789012:user/{name}"
    assert user["authenticationModes"] == [{"passwordCount": 2, "type": "password"}]
    assert (user["accessString"], user["tags"]) == (ALL, {"team": "a"})
    acl = plugin.invoke(ACL, {"name": name})
    assert fits(acl, aws.memorydb.GetAclResult, memorydb_outputs)
    assert (acl["userNames"], acl["tags"]) == ([name], {"team": "a"})
    assert PASSWORD not in json.dumps([user, acl])


@pytest.mark.parametrize(
    ("token", "args", "words"),
    [
        (GROUP, {"replicationGroupId": "nowhere"}, "no matching ElastiCache Replication Group found"),
        (
            SERVERLESS,
            {"name": "nowhere"},
            "reading ElastiCache Serverless Cache (nowhere): couldn't find resource",
        ),
        (
            USER,
            {"userId": "nowhere"},
            f"reading ElastiCache Cache Cluster (nowhere): {NOT_FOUND}",
        ),
        (CLUSTER, {"name": "nowhere"}, "no matching MemoryDB Cluster found"),
        (MEMBER, {"clusterId": "nowhere"}, "no matching ElastiCache Cluster found"),
        (SUBNETS, {"name": "nowhere"}, "no matching ElastiCache Subnet Group found"),
        (MEMORYDB_SUBNETS, {"name": "nowhere"}, "no matching MemoryDB Subnet Group found"),
        (MEMORYDB_USER, {"userName": "nowhere"}, "no matching MemoryDB User found"),
        (ACL, {"name": "nowhere"}, "no matching MemoryDB ACL found"),
    ],
)
def test_a_missing_object_is_reported_in_the_providers_words(
    plugin: Plugin, token: str, args: Properties, words: str
) -> None:
    assert refused(plugin, token, args) == shown(words)


@pytest.mark.parametrize(
    ("token", "argument"),
    [
        (GROUP, "replication_group_id"),
        (MEMBER, "cluster_id"),
        (SUBNETS, "name"),
        (MEMORYDB_SUBNETS, "name"),
        (SERVERLESS, "name"),
        (USER, "user_id"),
        (CLUSTER, "name"),
        (MEMORYDB_USER, "user_name"),
        (ACL, "name"),
    ],
)
def test_without_an_identifier_no_object_is_returned(plugin: Plugin, token: str, argument: str) -> None:
    for args in ({}, {"name": "", "userId": "", "userName": "", "replicationGroupId": ""}):
        assert f'The argument "{argument}" is required' in refused(plugin, token, args)


def test_another_region_has_other_caches(
    emulator: Emulator, plugin: Plugin, name: str, redis_server: RedisServer
) -> None:
    register(emulator, redis_server, name, Region="eu-west-1")
    assert "no matching" in refused(plugin, GROUP, {"replicationGroupId": name})
    found = plugin.invoke(GROUP, {"replicationGroupId": name, "region": "eu-west-1"})
    assert found["region"] == "eu-west-1"


@pytest.mark.parametrize(
    ("service", "token", "args", "method", "begin"),
    [
        (
            "elasticache",
            GROUP,
            {"replicationGroupId": "x"},
            "describe_replication_groups",
            "reading ElastiCache Replication Group: ",
        ),
        ("elasticache", USER, {"userId": "x"}, "describe_users", "reading ElastiCache Cache Cluster (x): "),
        ("memorydb", CLUSTER, {"name": "x"}, "describe_clusters", "reading MemoryDB Cluster: "),
    ],
)
def test_an_error_of_aws_is_reported_with_what_was_done(  # noqa: PLR0913, PLR0917  fixtures
    plugin: Plugin,
    service: str,
    token: str,
    args: Properties,
    method: str,
    begin: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "Describe")

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(plugin.client(service), method, refuse)
    text = refused(plugin, token, args)
    assert f"* {begin}operation error" in text
    assert "AccessDenied: not allowed" in text
