"""Functions of the aws package that look things up."""

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.plugins.aws import tags
from localcloud.plugins.aws.account import Account, doing
from localcloud.plugins.resource import normal_policy
from localcloud.plugins.values import Properties, Secret


def _caller_identity(account: Account, _args: Properties) -> Properties:
    with doing("reading STS Caller Identity"):
        found = account.client("sts").get_caller_identity()
    return {
        "accountId": found["Account"],
        "arn": found["Arn"],
        "id": found["Account"],
        "userId": found["UserId"],
    }


def _data(account: Account, args: Properties) -> tuple[str, Any, str]:
    """The region asked for, what botocore knows of its partition, and the partition's name."""
    region = str(args.get("region") or account.region)
    partition = account.session.get_partition_for_region(region)
    described = account.session._session.get_data("endpoints")["partitions"]  # noqa: SLF001  no other way
    data = next(entry for entry in described if entry["partition"] == partition)
    return region, data, partition


def _region(account: Account, args: Properties) -> Properties:
    region, data, _ = _data(account, args)
    return {
        "description": data["regions"].get(region, {}).get("description", ""),
        "endpoint": f"ec2.{region}.{data['dnsSuffix']}",
        "id": region,
        "name": region,
        "region": region,
    }


def _partition(account: Account, args: Properties) -> Properties:
    _, data, partition = _data(account, args)
    suffix = data["dnsSuffix"]
    return {
        "dnsSuffix": suffix,
        "id": partition,
        "partition": partition,
        "reverseDnsPrefix": ".".join(reversed(suffix.split("."))),
    }


def _time(value: Any) -> str:  # noqa: ANN401  a datetime or nothing
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value else ""


def _secret(account: Account, args: Properties) -> Properties:
    client = account.client("secretsmanager", args)
    wanted = args.get("arn") or args["name"]
    with doing(f"reading Secrets Manager Secret ({wanted})"):
        found = client.describe_secret(SecretId=wanted)
        policy = client.get_resource_policy(SecretId=found["ARN"]).get("ResourcePolicy")
    return {
        "arn": found["ARN"],
        "createdDate": _time(found.get("CreatedDate")),
        "description": found.get("Description", ""),
        "id": found["ARN"],
        "kmsKeyId": found.get("KmsKeyId", ""),
        "lastChangedDate": _time(found.get("LastChangedDate")),
        "name": found["Name"],
        "policy": normal_policy(policy) if policy else "",
        "region": args.get("region") or account.region,
        "tags": tags.as_map(found.get("Tags", [])),
    }


def _secret_versions(account: Account, args: Properties) -> Properties:
    client = account.client("secretsmanager", args)
    secret = args["secretId"]
    with doing(f"reading Secrets Manager Secret Versions ({secret})"):
        found = client.list_secret_version_ids(
            SecretId=secret, IncludeDeprecated=bool(args.get("includeDeprecated"))
        )
    return {
        "arn": found["ARN"],
        "id": secret,
        "includeDeprecated": args.get("includeDeprecated"),
        "name": found["Name"],
        "region": args.get("region") or account.region,
        "secretId": secret,
        "versions": [
            {
                "createdTime": _time(version.get("CreatedDate")),
                "lastAccessedDate": _time(version.get("LastAccessedDate")),
                "versionId": version["VersionId"],
                "versionStages": version.get("VersionStages", []),
            }
            for version in found["Versions"]
        ],
    }


def _secret_version(account: Account, args: Properties) -> Properties:
    client = account.client("secretsmanager", args)
    secret = args["secretId"]
    which = (
        {"VersionId": args["versionId"]}
        if args.get("versionId")
        else {"VersionStage": args.get("versionStage") or "AWSCURRENT"}
    )
    with doing(f"reading Secrets Manager Secret Version ({secret})"):
        found = client.get_secret_value(SecretId=secret, **which)
    return {
        "arn": found["ARN"],
        "createdDate": _time(found.get("CreatedDate")),
        "id": f"{secret}|{found['VersionId']}",
        "region": args.get("region") or account.region,
        "secretBinary": Secret(""),
        "secretId": secret,
        "secretString": Secret(found.get("SecretString", "")),
        "versionId": found["VersionId"],
        "versionStage": args.get("versionStage") or "AWSCURRENT",
        "versionStages": found.get("VersionStages", []),
    }


FUNCTIONS: Mapping[str, Callable[[Any, Properties], Properties]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
    "aws:secretsmanager/getSecret:getSecret": _secret,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _secret_version,
    "aws:secretsmanager/getSecretVersions:getSecretVersions": _secret_versions,
}
