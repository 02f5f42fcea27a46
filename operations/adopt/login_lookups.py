"""Ask AWS about database logins: the functions that rotate them, and the servers that they are on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from operations.adopt.login_functions import APPLICATION_TAG, ENDPOINT, VARIABLES
from operations.adopt.model import RotationFunction
from operations.status.aws import AwsSession, Denied
from operations.status.errors import is_denied, query_error

_CONFIGURATION = "lambda:GetFunctionConfiguration"
_TAGS = "lambda:ListTags"
_PARTS = 7  # of a function's ARN
_INSTANCES, _CLUSTERS = "rds:DescribeDBInstances", "rds:DescribeDBClusters"


@dataclass(frozen=True, kw_only=True)
class RdsServer:
    """A server that RDS runs.

    Attributes:
        place: the key in a stack file that names it.
        identifier, engine, port: as RDS has them.
        admin_arn: ARN of its master user's secret; None if RDS does not manage that.
        master_username: name of its master user.
        obstacle: why no login can be created at this address; empty if one can.
    """

    place: Literal["rdsInstance", "auroraCluster"]
    identifier: str
    engine: str
    port: int
    admin_arn: str | None
    master_username: str
    obstacle: str = ""


def functions(
    aws: AwsSession, arns: Iterable[str], declared: Mapping[str, RotationFunction]
) -> dict[str, RotationFunction | Denied]:
    """Return rotation functions by ARN, as AWS has them, or as the origin declares them where AWS denies.

    Of the environment variables, only those that say how the function rotates are kept.

    Raises:
        QueryError: AWS could not be asked.
    """
    client = aws.client("lambda")

    def function(arn: str) -> RotationFunction | Denied:
        configured = aws.call(_CONFIGURATION, lambda: client.get_function_configuration(FunctionName=arn))
        known = declared.get(arn)
        if isinstance(configured, Denied):
            return known or configured
        if configured is None:
            return known or RotationFunction(arn=arn)
        # tags belong to the function, not to a version or alias of it
        unqualified = ":".join(arn.split(":")[:_PARTS])
        listed = aws.call(_TAGS, lambda: client.list_tags(Resource=unqualified))
        tags = listed.get("Tags", {}) if isinstance(listed, Mapping) else {}
        return _function(arn, configured, tags.get(APPLICATION_TAG) or (known.application if known else ""))

    return aws.each(dict.fromkeys(arns), function)


def _function(arn: str, configured: Mapping[str, Any], application: str) -> RotationFunction:
    variables = (configured.get("Environment") or {}).get("Variables") or {}
    network = configured.get("VpcConfig") or {}
    return RotationFunction(
        arn=arn,
        handler=configured.get("Handler", ""),
        variables={name: variables[name] for name in VARIABLES if variables.get(name)},
        has_endpoint=ENDPOINT in variables,
        application=application,
        subnet_ids=tuple(network.get("SubnetIds") or ()),
        security_group_ids=tuple(network.get("SecurityGroupIds") or ()),
    )


def servers(aws: AwsSession) -> dict[str, RdsServer] | Denied:
    """Return the servers that RDS runs, by address in lower case; Denied if the caller may not list them.

    Raises:
        QueryError: AWS could not be asked.
    """
    client = aws.client("rds")
    found: dict[str, RdsServer] = {}
    action = _CLUSTERS
    try:
        for page in client.get_paginator("describe_db_clusters").paginate():
            for cluster in page["DBClusters"]:
                found |= _of_cluster(cluster)
        action = _INSTANCES
        for page in client.get_paginator("describe_db_instances").paginate():
            for instance in page["DBInstances"]:
                address = (instance.get("Endpoint") or {}).get("Address", "").casefold()
                if address:
                    found.setdefault(address, _of_instance(instance))
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and is_denied(error):
            return Denied(action=action)
        raise query_error(error, action) from None
    return found


def _of_cluster(cluster: Mapping[str, Any]) -> dict[str, RdsServer]:
    def at(obstacle: str) -> RdsServer:
        return RdsServer(
            place="auroraCluster",
            identifier=cluster["DBClusterIdentifier"],
            engine=cluster["Engine"],
            port=int(cluster.get("Port") or 0),
            admin_arn=(cluster.get("MasterUserSecret") or {}).get("SecretArn"),
            master_username=cluster.get("MasterUsername", ""),
            obstacle=obstacle,
        )

    reader, writer = cluster.get("ReaderEndpoint"), cluster.get("Endpoint")
    found = {reader.casefold(): at("it is the reader endpoint of a cluster")} if reader else {}
    return {**found, **({writer.casefold(): at("")} if writer else {})}


def _of_instance(instance: Mapping[str, Any]) -> RdsServer:
    obstacle = ""
    if instance.get("DBClusterIdentifier"):
        obstacle = f"it is an instance of the cluster {instance['DBClusterIdentifier']}, not its endpoint"
    elif instance.get("ReadReplicaSourceDBInstanceIdentifier"):
        obstacle = "it is a read replica"
    return RdsServer(
        place="rdsInstance",
        identifier=instance["DBInstanceIdentifier"],
        engine=instance["Engine"],
        port=int((instance.get("Endpoint") or {}).get("Port") or 0),
        admin_arn=(instance.get("MasterUserSecret") or {}).get("SecretArn"),
        master_username=instance.get("MasterUsername", ""),
        obstacle=obstacle,
    )
