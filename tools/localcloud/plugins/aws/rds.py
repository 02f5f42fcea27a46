"""Functions of the aws package that look up databases."""

from collections.abc import Callable, Mapping
from typing import Any

from tools.localcloud.plugins.aws import tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error
from tools.localcloud.plugins.property_types import snake_case
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import Properties


def _master_user_secrets(found: dict[str, Any]) -> list[Properties]:
    secret = found.get("MasterUserSecret")
    if not secret:
        return []
    return [
        {
            "kmsKeyId": secret.get("KmsKeyId", ""),
            "secretArn": secret["SecretArn"],
            "secretStatus": secret.get("SecretStatus", ""),
        }
    ]


def _all(ask: Callable[[], list[dict[str, Any]]], action: str, not_found: str) -> list[dict[str, Any]]:
    """Return AWS's answer, and an empty list where it is the error `not_found`."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  loaded when first needed

    with doing(action):
        try:
            return ask()
        except ClientError as error:
            if is_error(error, not_found):
                return []
            raise


def _single(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    if len(found) > 1:
        reduce = f"use additional constraints to reduce matches to a single {kind}"
        raise ProviderError(f"multiple {kind}s matched; {reduce}")
    if not found:
        raise ProviderError(f"no matching {kind} found")
    return found[0]


def _given(args: Properties, name: str) -> str:
    """Return a required argument, without which AWS would return every object.

    Raises:
        ProviderError: it is missing or empty.
    """
    if not args.get(name):
        reason = f'The argument "{snake_case(name)}" is required, but no definition was found.'
        raise ProviderError(f"Missing required argument. {reason}")
    return str(args[name])


def _instance(account: Account, args: Properties) -> Properties:
    identifier, wanted = args.get("dbInstanceIdentifier"), args.get("tags") or {}
    client = account.client("rds", args)
    which = {"DBInstanceIdentifier": identifier} if identifier else {}
    instances = _all(
        lambda: [
            one
            for page in client.get_paginator("describe_db_instances").paginate(**which)
            for one in page["DBInstances"]
        ],
        "reading RDS DB Instance",
        "DBInstanceNotFound",
    )
    tagged = [one for one in instances if wanted.items() <= tags.as_map(one.get("TagList", [])).items()]
    found = _single(tagged, "RDS DB Instance")
    endpoint = found.get("Endpoint", {})
    address, port = endpoint.get("Address", ""), endpoint.get("Port", 0)
    return {
        "address": address,
        "allocatedStorage": found.get("AllocatedStorage", 0),
        "autoMinorVersionUpgrade": found.get("AutoMinorVersionUpgrade", False),
        "availabilityZone": found.get("AvailabilityZone", ""),
        "backupRetentionPeriod": found.get("BackupRetentionPeriod", 0),
        "caCertIdentifier": found.get("CACertificateIdentifier", ""),
        "databaseInsightsMode": found.get("DatabaseInsightsMode", ""),
        "dbClusterIdentifier": found.get("DBClusterIdentifier", ""),
        "dbInstanceArn": found["DBInstanceArn"],
        "dbInstanceClass": found.get("DBInstanceClass", ""),
        "dbInstanceIdentifier": found["DBInstanceIdentifier"],
        "dbInstancePort": found.get("DbInstancePort", 0),
        "dbName": found.get("DBName", ""),
        "dbParameterGroups": [group["DBParameterGroupName"] for group in found.get("DBParameterGroups", [])],
        "dbSubnetGroup": found.get("DBSubnetGroup", {}).get("DBSubnetGroupName", ""),
        "enabledCloudwatchLogsExports": found.get("EnabledCloudwatchLogsExports", []),
        # an instance that is being created has none
        "endpoint": f"{address}:{port}" if endpoint else "",
        "engine": found["Engine"],
        "engineVersion": found.get("EngineVersion", ""),
        "hostedZoneId": endpoint.get("HostedZoneId", ""),
        "id": found["DBInstanceIdentifier"],
        "iops": found.get("Iops", 0),
        "kmsKeyId": found.get("KmsKeyId", ""),
        "licenseModel": found.get("LicenseModel", ""),
        "masterUserSecrets": _master_user_secrets(found),
        "masterUsername": found.get("MasterUsername", ""),
        "maxAllocatedStorage": found.get("MaxAllocatedStorage", 0),
        "monitoringInterval": found.get("MonitoringInterval", 0),
        "monitoringRoleArn": found.get("MonitoringRoleArn", ""),
        "multiAz": found.get("MultiAZ", False),
        "networkType": found.get("NetworkType", ""),
        "optionGroupMemberships": [
            group["OptionGroupName"] for group in found.get("OptionGroupMemberships", [])
        ],
        "port": port,
        "preferredBackupWindow": found.get("PreferredBackupWindow", ""),
        "preferredMaintenanceWindow": found.get("PreferredMaintenanceWindow", ""),
        "publiclyAccessible": found.get("PubliclyAccessible", False),
        "region": args.get("region") or account.region,
        "replicateSourceDb": found.get("ReadReplicaSourceDBInstanceIdentifier", ""),
        "resourceId": found.get("DbiResourceId", ""),
        "storageEncrypted": found.get("StorageEncrypted", False),
        "storageThroughput": found.get("StorageThroughput", 0),
        "storageType": found.get("StorageType", ""),
        "tags": tags.as_map(found.get("TagList", [])),
        "timezone": found.get("Timezone", ""),
        "upgradeRolloutOrder": found.get("UpgradeRolloutOrder", ""),
        "vpcSecurityGroups": [group["VpcSecurityGroupId"] for group in found.get("VpcSecurityGroups", [])],
    }


def _cluster(account: Account, args: Properties) -> Properties:
    identifier = _given(args, "clusterIdentifier")
    client, action = account.client("rds", args), f"reading RDS Cluster ({identifier})"
    clusters = _all(
        lambda: list(client.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]),
        action,
        "DBClusterNotFoundFault",
    )
    if not clusters:
        raise ProviderError(f"{action}: couldn't find resource")
    found = clusters[0]
    return {
        "arn": found["DBClusterArn"],
        "availabilityZones": found.get("AvailabilityZones", []),
        "backtrackWindow": found.get("BacktrackWindow", 0),
        "backupRetentionPeriod": found.get("BackupRetentionPeriod", 0),
        "clusterIdentifier": found["DBClusterIdentifier"],
        "clusterMembers": [member["DBInstanceIdentifier"] for member in found.get("DBClusterMembers", [])],
        "clusterResourceId": found.get("DbClusterResourceId", ""),
        "clusterScalabilityType": found.get("ClusterScalabilityType", ""),
        "databaseInsightsMode": found.get("DatabaseInsightsMode", ""),
        "databaseName": found.get("DatabaseName", ""),
        "dbClusterParameterGroupName": found.get("DBClusterParameterGroup", ""),
        "dbSubnetGroupName": found.get("DBSubnetGroup", ""),
        "dbSystemId": found.get("DBSystemId", ""),
        "deletionProtection": found.get("DeletionProtection", False),
        "enabledCloudwatchLogsExports": found.get("EnabledCloudwatchLogsExports", []),
        "endpoint": found.get("Endpoint", ""),
        "engine": found["Engine"],
        "engineMode": found.get("EngineMode", ""),
        "engineVersion": found.get("EngineVersion", ""),
        "finalSnapshotIdentifier": "",
        "hostedZoneId": found.get("HostedZoneId", ""),
        "iamDatabaseAuthenticationEnabled": found.get("IAMDatabaseAuthenticationEnabled", False),
        "iamRoles": [role["RoleArn"] for role in found.get("AssociatedRoles", [])],
        "id": found["DBClusterIdentifier"],
        "kmsKeyId": found.get("KmsKeyId", ""),
        "masterUserSecrets": _master_user_secrets(found),
        "masterUsername": found.get("MasterUsername", ""),
        "monitoringInterval": found.get("MonitoringInterval", 0),
        "monitoringRoleArn": found.get("MonitoringRoleArn", ""),
        "networkType": found.get("NetworkType", ""),
        "port": found.get("Port", 0),
        "preferredBackupWindow": found.get("PreferredBackupWindow", ""),
        "preferredMaintenanceWindow": found.get("PreferredMaintenanceWindow", ""),
        "readerEndpoint": found.get("ReaderEndpoint", ""),
        "region": args.get("region") or account.region,
        "replicationSourceIdentifier": found.get("ReplicationSourceIdentifier", ""),
        "storageEncrypted": found.get("StorageEncrypted", False),
        "tags": tags.as_map(found.get("TagList", [])),
        "upgradeRolloutOrder": found.get("UpgradeRolloutOrder", ""),
        "vpcSecurityGroupIds": [group["VpcSecurityGroupId"] for group in found.get("VpcSecurityGroups", [])],
    }


def _subnet_group(account: Account, args: Properties) -> Properties:
    name = _given(args, "name")
    client = account.client("rds", args)
    groups = _all(
        lambda: list(client.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"]),
        "reading RDS DB Subnet Group",
        "DBSubnetGroupNotFoundFault",
    )
    found = _single(groups, "RDS DB Subnet Group")
    return {
        "arn": found.get("DBSubnetGroupArn", ""),
        "description": found.get("DBSubnetGroupDescription", ""),
        "id": found["DBSubnetGroupName"],
        "name": found["DBSubnetGroupName"],
        "region": args.get("region") or account.region,
        "status": found.get("SubnetGroupStatus", ""),
        "subnetIds": [subnet["SubnetIdentifier"] for subnet in found.get("Subnets", [])],
        "supportedNetworkTypes": found.get("SupportedNetworkTypes", []),
        "vpcId": found.get("VpcId", ""),
    }


FUNCTIONS: Mapping[str, Callable[[Any, Properties], Properties]] = {
    "aws:rds/getCluster:getCluster": _cluster,
    "aws:rds/getInstance:getInstance": _instance,
    "aws:rds/getSubnetGroup:getSubnetGroup": _subnet_group,
}
