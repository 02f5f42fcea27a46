"""Functions of the aws package that look up caches and their users.

Source: data sources of the Terraform AWS provider, internal/service/elasticache and /memorydb.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tools.localcloud.plugins.aws import tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error
from tools.localcloud.plugins.property_types import snake_case
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import Properties

_NOT_FOUND = "couldn't find resource"


def _given(args: Properties, name: str) -> str:
    """Return a required argument, without which AWS would return every object.

    Raises:
        ProviderError: it is missing or empty.
    """
    if not args.get(name):
        reason = f'The argument "{snake_case(name)}" is required, but no definition was found.'
        raise ProviderError(f"Missing required argument. {reason}")
    return str(args[name])


def _only(
    ask: Callable[[], list[dict[str, Any]]], action: str, fault: str, missing: str | None = None
) -> dict[str, Any]:
    """Return AWS's answer about one object.

    Args:
        ask: the call.
        action: what is done, in the provider's words.
        fault: the code of AWS's error for an object that does not exist.
        missing: what the provider says then; by default that `action` could not find it.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415  loaded when first needed

    with doing(action):
        try:
            found = ask()
        except ClientError as error:
            if not is_error(error, fault):
                raise
            found = []
    if len(found) != 1:
        raise ProviderError(missing or f"{action}: {_NOT_FOUND}")
    return found[0]


def _authentication(found: Mapping[str, Any]) -> list[Properties]:
    about = found.get("Authentication")
    if not about:
        return []
    return [{"passwordCount": about.get("PasswordCount", 0), "type": about.get("Type", "")}]


def _destination(delivery: Mapping[str, Any]) -> Properties:
    details = delivery.get("DestinationDetails", {})
    group = details.get("CloudWatchLogsDetails", {}).get("LogGroup", "")
    stream = details.get("KinesisFirehoseDetails", {}).get("DeliveryStream", "")
    return {
        "destination": group or stream,
        "destinationType": delivery.get("DestinationType", ""),
        "logFormat": delivery.get("LogFormat", ""),
        "logType": delivery.get("LogType", ""),
    }


def _node_group(found: Mapping[str, Any]) -> Properties:
    members = found.get("NodeGroupMembers", [])
    primary = next(
        (one for one in members if one.get("CurrentRole") == "primary"), members[0] if members else {}
    )
    replicas = [one for one in members if one is not primary]
    return {
        "nodeGroupId": found.get("NodeGroupId", ""),
        "primaryAvailabilityZone": primary.get("PreferredAvailabilityZone", ""),
        "primaryOutpostArn": primary.get("PreferredOutpostArn", ""),
        "replicaAvailabilityZones": [one.get("PreferredAvailabilityZone", "") for one in replicas],
        "replicaCount": len(replicas),
        "replicaOutpostArns": [
            one["PreferredOutpostArn"] for one in replicas if one.get("PreferredOutpostArn")
        ],
        "slots": found.get("Slots", ""),
    }


def _replication_group(account: Account, args: Properties) -> Properties:
    identifier = _given(args, "replicationGroupId")
    client = account.client("elasticache", args)
    found = _only(
        lambda: list(client.describe_replication_groups(ReplicationGroupId=identifier)["ReplicationGroups"]),
        "reading ElastiCache Replication Group",
        "ReplicationGroupNotFoundFault",
        "no matching ElastiCache Replication Group found",
    )
    groups = found.get("NodeGroups") or []
    if not groups:
        reason = "doesn't have node groups"
        raise ProviderError(f"ElastiCache Replication Group ({found['ReplicationGroupId']}) {reason}")
    deliveries = found.get("LogDeliveryConfigurations", [])
    configuration = found.get("ConfigurationEndpoint")
    primary = {} if configuration else groups[0].get("PrimaryEndpoint", {})
    reader = {} if configuration else groups[0].get("ReaderEndpoint", {})
    return {
        "arn": found.get("ARN", ""),
        "authTokenEnabled": found.get("AuthTokenEnabled", False),
        "automaticFailoverEnabled": found.get("AutomaticFailover") in {"enabled", "enabling"},
        "clusterMode": found.get("ClusterMode", ""),
        "configurationEndpointAddress": (configuration or {}).get("Address", ""),
        "description": found.get("Description", ""),
        "id": found["ReplicationGroupId"],
        "logDeliveryConfigurations": [_destination(one) for one in deliveries],
        "memberClusters": found.get("MemberClusters", []),
        "multiAzEnabled": found.get("MultiAZ") == "enabled",
        "nodeGroupConfigurations": [_node_group(one) for one in groups],
        "nodeType": found.get("CacheNodeType", ""),
        "numCacheClusters": len(found.get("MemberClusters", [])),
        "numNodeGroups": len(groups),
        "port": (configuration or primary).get("Port", 0),
        "primaryEndpointAddress": primary.get("Address", ""),
        "readerEndpointAddress": reader.get("Address", ""),
        "region": args.get("region") or account.region,
        "replicasPerNodeGroup": len(groups[0].get("NodeGroupMembers", [])) - 1,
        "replicationGroupId": found["ReplicationGroupId"],
        "snapshotRetentionLimit": found.get("SnapshotRetentionLimit", 0),
        "snapshotWindow": found.get("SnapshotWindow", ""),
    }


def _cluster(account: Account, args: Properties) -> Properties:
    """Return a cluster, such as a member of a replication group."""
    identifier = _given(args, "clusterId")
    client = account.client("elasticache", args)
    found = _only(
        lambda: list(client.describe_cache_clusters(CacheClusterId=identifier)["CacheClusters"]),
        "reading ElastiCache Cluster",
        "CacheClusterNotFound",
        "no matching ElastiCache Cluster found",
    )
    endpoint = found.get("ConfigurationEndpoint") or {}
    with doing(f"listing tags for ElastiCache Cluster ({identifier})"):
        described = tags.as_map(client.list_tags_for_resource(ResourceName=found["ARN"]).get("TagList", []))
    return {
        "arn": found["ARN"],
        "availabilityZone": found.get("PreferredAvailabilityZone", ""),
        "cacheNodes": [],
        "clusterAddress": endpoint.get("Address", ""),
        "clusterId": found["CacheClusterId"],
        "configurationEndpoint": f"{endpoint['Address']}:{endpoint['Port']}" if endpoint else "",
        "engine": found.get("Engine", ""),
        "engineVersion": found.get("EngineVersion", ""),
        "id": found["CacheClusterId"],
        "ipDiscovery": found.get("IpDiscovery", ""),
        "logDeliveryConfigurations": [],
        "maintenanceWindow": found.get("PreferredMaintenanceWindow", ""),
        "networkType": found.get("NetworkType", ""),
        "nodeType": found.get("CacheNodeType", ""),
        "notificationTopicArn": found.get("NotificationConfiguration", {}).get("TopicArn", ""),
        "numCacheNodes": found.get("NumCacheNodes", 0),
        "parameterGroupName": found.get("CacheParameterGroup", {}).get("CacheParameterGroupName", ""),
        "port": endpoint.get("Port", 0),
        "preferredOutpostArn": found.get("PreferredOutpostArn", ""),
        "region": args.get("region") or account.region,
        "replicationGroupId": found.get("ReplicationGroupId", ""),
        "securityGroupIds": [group["SecurityGroupId"] for group in found.get("SecurityGroups", [])],
        "snapshotRetentionLimit": found.get("SnapshotRetentionLimit", 0),
        "snapshotWindow": found.get("SnapshotWindow", ""),
        "subnetGroupName": found.get("CacheSubnetGroupName", ""),
        "tags": described,
    }


def _subnet_group(account: Account, args: Properties) -> Properties:
    name = _given(args, "name")
    client = account.client("elasticache", args)
    found = _only(
        lambda: list(client.describe_cache_subnet_groups(CacheSubnetGroupName=name)["CacheSubnetGroups"]),
        "reading ElastiCache Subnet Group",
        "CacheSubnetGroupNotFoundFault",
        "no matching ElastiCache Subnet Group found",
    )
    with doing(f"listing tags for ElastiCache Subnet Group ({name})"):
        described = tags.as_map(client.list_tags_for_resource(ResourceName=found["ARN"]).get("TagList", []))
    return {
        "arn": found["ARN"],
        "description": found.get("CacheSubnetGroupDescription", ""),
        "id": name,
        "name": name,
        "region": args.get("region") or account.region,
        "subnetIds": [subnet["SubnetIdentifier"] for subnet in found.get("Subnets", [])],
        "tags": described,
        "vpcId": found.get("VpcId", ""),
    }


def _memorydb_subnet_group(account: Account, args: Properties) -> Properties:
    name = _given(args, "name")
    client = account.client("memorydb", args)
    found = _only(
        lambda: list(client.describe_subnet_groups(SubnetGroupName=name)["SubnetGroups"]),
        "reading MemoryDB Subnet Group",
        "SubnetGroupNotFoundFault",
        "no matching MemoryDB Subnet Group found",
    )
    return {
        "arn": found["ARN"],
        "description": found.get("Description", ""),
        "id": found["Name"],
        "name": found["Name"],
        "region": args.get("region") or account.region,
        "subnetIds": [subnet["Identifier"] for subnet in found.get("Subnets", [])],
        "tags": _tags_of(client, found["ARN"], "SubnetGroup", name),
        "vpcId": found.get("VpcId", ""),
    }


def _serverless_cache(account: Account, args: Properties) -> Properties:
    name = _given(args, "name")
    client = account.client("elasticache", args)
    found = _only(
        lambda: list(client.describe_serverless_caches(ServerlessCacheName=name)["ServerlessCaches"]),
        f"reading ElastiCache Serverless Cache ({name})",
        "ServerlessCacheNotFoundFault",
    )
    created = found.get("CreateTime")
    return {
        "arn": found["ARN"],
        "cacheUsageLimits": _limits(found.get("CacheUsageLimits")),
        "createTime": created.strftime("%Y-%m-%dT%H:%M:%SZ") if created else None,
        "dailySnapshotTime": found.get("DailySnapshotTime"),
        "description": found.get("Description"),
        "endpoint": _endpoint(found.get("Endpoint")),
        "engine": found.get("Engine"),
        "fullEngineVersion": found.get("FullEngineVersion"),
        "kmsKeyId": found.get("KmsKeyId"),
        "majorEngineVersion": found.get("MajorEngineVersion"),
        "name": name,
        "readerEndpoint": _endpoint(found.get("ReaderEndpoint")),
        "region": args.get("region") or account.region,
        "securityGroupIds": found.get("SecurityGroupIds"),
        "snapshotRetentionLimit": found.get("SnapshotRetentionLimit"),
        "status": found.get("Status"),
        "subnetIds": found.get("SubnetIds"),
        "userGroupId": found.get("UserGroupId"),
    }


def _limits(found: Mapping[str, Any] | None) -> Properties | None:
    if not found:
        return None
    storage, units = found.get("DataStorage"), found.get("ECPUPerSecond")
    return {
        "dataStorage": storage
        and {
            "maximum": storage.get("Maximum"),
            "minimum": storage.get("Minimum"),
            "unit": storage.get("Unit"),
        },
        "ecpuPerSecond": units and {"maximum": units.get("Maximum"), "minimum": units.get("Minimum")},
    }


def _endpoint(found: Mapping[str, Any] | None) -> Properties | None:
    return {"address": found.get("Address"), "port": found.get("Port")} if found else None


def _user(account: Account, args: Properties) -> Properties:
    identifier = _given(args, "userId")
    client = account.client("elasticache", args)
    # the provider's own words, which call it a cluster
    action = f"reading ElastiCache Cache Cluster ({identifier})"
    found = _only(
        lambda: list(client.describe_users(UserId=identifier)["Users"]),
        action,
        "UserNotFound",
        f"{action}: Not found. Please change your search criteria and try again: {_NOT_FOUND}",
    )
    return {
        "accessString": found.get("AccessString", ""),
        "authenticationModes": _authentication(found),
        "engine": found.get("Engine", ""),
        "id": found["UserId"],
        # AWS tells neither: what was asked with is what the answer has
        "noPasswordRequired": args.get("noPasswordRequired"),
        "passwords": args.get("passwords"),
        "region": args.get("region") or account.region,
        "userId": found["UserId"],
        "userName": found.get("UserName", ""),
    }


def _tags_of(client: Any, arn: str, kind: str, identifier: str) -> dict[str, str]:  # noqa: ANN401  boto3 is untyped
    with doing(f"listing tags for MemoryDB {kind} ({identifier})"):
        return tags.as_map(client.list_tags(ResourceArn=arn).get("TagList", []))


def _memorydb_cluster(account: Account, args: Properties) -> Properties:
    name = _given(args, "name")
    client = account.client("memorydb", args)
    found = _only(
        lambda: list(client.describe_clusters(ClusterName=name, ShowShardDetails=True)["Clusters"]),
        "reading MemoryDB Cluster",
        "ClusterNotFoundFault",
        "no matching MemoryDB Cluster found",
    )
    shards = found.get("Shards", [])
    endpoint = found.get("ClusterEndpoint", {})
    topic = found.get("SnsTopicArn", "") if found.get("SnsTopicStatus") == "ACTIVE" else ""
    return {
        "aclName": found.get("ACLName", ""),
        "arn": found["ARN"],
        "autoMinorVersionUpgrade": found.get("AutoMinorVersionUpgrade", False),
        "clusterEndpoints": _endpoints(endpoint),
        "dataTiering": found.get("DataTiering") == "true",
        "description": found.get("Description", ""),
        "engine": found.get("Engine", ""),
        "enginePatchVersion": found.get("EnginePatchVersion", ""),
        "engineVersion": found.get("EngineVersion", ""),
        "finalSnapshotName": "",
        "id": found["Name"],
        "ipDiscovery": found.get("IpDiscovery", ""),
        "kmsKeyArn": found.get("KmsKeyId", ""),
        "maintenanceWindow": found.get("MaintenanceWindow", ""),
        "name": found["Name"],
        "networkType": found.get("NetworkType", ""),
        "nodeType": found.get("NodeType", ""),
        "numReplicasPerShard": max((shard.get("NumberOfNodes", 1) for shard in shards), default=1) - 1,
        "numShards": found.get("NumberOfShards", 0),
        "parameterGroupName": found.get("ParameterGroupName", ""),
        "port": endpoint.get("Port", 0),
        "region": args.get("region") or account.region,
        "securityGroupIds": [group["SecurityGroupId"] for group in found.get("SecurityGroups", [])],
        "shards": [_shard(shard) for shard in shards],
        "snapshotRetentionLimit": found.get("SnapshotRetentionLimit", 0),
        "snapshotWindow": found.get("SnapshotWindow", ""),
        "snsTopicArn": topic,
        "subnetGroupName": found.get("SubnetGroupName", ""),
        "tags": _tags_of(client, found["ARN"], "Cluster", name),
        "tlsEnabled": found.get("TLSEnabled", False),
    }


def _endpoints(found: Mapping[str, Any]) -> list[Properties]:
    return [{"address": found.get("Address", ""), "port": found.get("Port", 0)}] if found else []


def _shard(found: Mapping[str, Any]) -> Properties:
    return {
        "name": found.get("Name", ""),
        "nodes": [
            {
                "availabilityZone": node.get("AvailabilityZone", ""),
                "createTime": node["CreateTime"].strftime("%Y-%m-%dT%H:%M:%SZ"),
                "endpoints": _endpoints(node.get("Endpoint", {})),
                "name": node.get("Name", ""),
            }
            for node in found.get("Nodes", [])
        ],
        "numNodes": found.get("NumberOfNodes", 0),
        "slots": found.get("Slots", ""),
    }


def _memorydb_user(account: Account, args: Properties) -> Properties:
    name = _given(args, "userName")
    client = account.client("memorydb", args)
    found = _only(
        lambda: list(client.describe_users(UserName=name)["Users"]),
        "reading MemoryDB User",
        "UserNotFoundFault",
        "no matching MemoryDB User found",
    )
    return {
        "accessString": found.get("AccessString", ""),
        "arn": found["ARN"],
        "authenticationModes": _authentication(found),
        "id": found["Name"],
        "minimumEngineVersion": found.get("MinimumEngineVersion", ""),
        "region": args.get("region") or account.region,
        "tags": _tags_of(client, found["ARN"], "User", name),
        "userName": found["Name"],
    }


def _memorydb_acl(account: Account, args: Properties) -> Properties:
    name = _given(args, "name")
    client = account.client("memorydb", args)
    found = _only(
        lambda: list(client.describe_acls(ACLName=name)["ACLs"]),
        "reading MemoryDB ACL",
        "ACLNotFoundFault",
        "no matching MemoryDB ACL found",
    )
    return {
        "arn": found["ARN"],
        "id": found["Name"],
        "minimumEngineVersion": found.get("MinimumEngineVersion", ""),
        "name": found["Name"],
        "region": args.get("region") or account.region,
        "tags": _tags_of(client, found["ARN"], "ACL", name),
        "userNames": found.get("UserNames", []),
    }


FUNCTIONS: Mapping[str, Callable[[Any, Properties], Properties]] = {
    "aws:elasticache/getCluster:getCluster": _cluster,
    "aws:elasticache/getSubnetGroup:getSubnetGroup": _subnet_group,
    "aws:memorydb/getSubnetGroup:getSubnetGroup": _memorydb_subnet_group,
    "aws:elasticache/getReplicationGroup:getReplicationGroup": _replication_group,
    "aws:elasticache/getServerlessCache:getServerlessCache": _serverless_cache,
    "aws:elasticache/getUser:getUser": _user,
    "aws:memorydb/getAcl:getAcl": _memorydb_acl,
    "aws:memorydb/getCluster:getCluster": _memorydb_cluster,
    "aws:memorydb/getUser:getUser": _memorydb_user,
}
