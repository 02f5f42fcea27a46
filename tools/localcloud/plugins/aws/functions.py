"""Functions of the aws package that look things up."""

from collections.abc import Callable, Mapping
from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws import tags
from tools.localcloud.plugins.aws.account import Account, doing
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import Properties, Secret


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
    """Return the region asked for, what botocore knows of its partition, and the partition's name."""
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
    given = [name for name in ("arn", "name") if args.get(name)]
    if len(given) != 1:
        amount = (
            "one of `arn,name` must be specified" if not given else "only one of `arn,name` can be specified"
        )
        raise ProviderError(f'Invalid combination of arguments. "arn": {amount}')
    wanted = args[given[0]]
    with doing(f"reading Secrets Manager Secret ({wanted})"):
        found = client.describe_secret(SecretId=wanted)
        if "DeletedDate" in found:
            raise ProviderError(f"reading Secrets Manager Secret ({wanted}): couldn't find resource")
        policy = client.get_resource_policy(SecretId=found["ARN"]).get("ResourcePolicy")
    return {
        "arn": found["ARN"],
        "createdDate": _time(found.get("CreatedDate")),
        "description": found.get("Description", ""),
        "id": found["ARN"],
        "kmsKeyId": found.get("KmsKeyId", ""),
        "lastChangedDate": _time(found.get("LastChangedDate")),
        "name": found["Name"],
        "policy": policies.as_known(None, policy),
        "region": args.get("region") or account.region,
        "tags": tags.as_map(found.get("Tags", [])),
    }


def _secrets(account: Account, args: Properties) -> Properties:
    """Secrets that all filters match; none is no error, and those scheduled for deletion do not count."""
    client = account.client("secretsmanager", args)
    given = args.get("filters") or []
    filters = [{"Key": one["name"], "Values": sorted(set(one["values"]))} for one in given]
    with doing("reading Secrets Manager Secrets"):
        pages = list(client.get_paginator("list_secrets").paginate(Filters=filters))
    found = [secret for page in pages for secret in page["SecretList"]]
    region = args.get("region") or account.region
    return {
        # sets of the official provider, each in an order of its own
        "arns": sorted(secret["ARN"] for secret in found),
        "filters": given or None,
        "id": region,
        "names": sorted(secret["Name"] for secret in found),
        "region": region,
    }


def _secret_versions(account: Account, args: Properties) -> Properties:
    """Versions with a staging label: the official provider never asks for the deprecated ones."""
    secret = args["secretId"]
    client = account.client("secretsmanager", args)
    with doing(f"reading Secrets Manager Secret Versions Data Source ({secret})"):
        found = [client.list_secret_version_ids(SecretId=secret)]
        while token := found[-1].get("NextToken"):
            found.append(client.list_secret_version_ids(SecretId=secret, NextToken=token))
    return {
        "arn": found[0]["ARN"],
        "id": secret,
        "includeDeprecated": args.get("includeDeprecated"),
        "name": found[0]["Name"],
        "region": args.get("region") or account.region,
        "secretArn": found[0]["ARN"],
        "secretId": secret,
        "secretName": found[0]["Name"],
        "versions": [
            {
                "createdTime": _time(version.get("CreatedDate")),
                "lastAccessedDate": _time(version.get("LastAccessedDate")),
                "versionId": version["VersionId"],
                "versionStages": version.get("VersionStages", []),
            }
            for page in found
            for version in page["Versions"]
        ],
    }


def _secret_version(account: Account, args: Properties) -> Properties:
    client = account.client("secretsmanager", args)
    secret, stage = args["secretId"], args.get("versionStage") or "AWSCURRENT"
    version = args.get("versionId")
    which = {"VersionId": version} if version else {"VersionStage": stage}
    with doing(f"reading Secrets Manager Secret Version ({secret}|{version or stage})"):
        found = client.get_secret_value(SecretId=secret, **which)
    return {
        "arn": found["ARN"],
        "createdDate": _time(found.get("CreatedDate")),
        "id": f"{secret}|{version or stage}",
        "region": args.get("region") or account.region,
        "secretArn": found["ARN"],
        "secretBinary": Secret(found.get("SecretBinary", b"").decode("latin-1")),
        "secretId": secret,
        "secretString": Secret(found.get("SecretString", "")),
        "versionId": found["VersionId"],
        "versionStage": stage,
        "versionStages": sorted(found.get("VersionStages", [])),
    }


FUNCTIONS: Mapping[str, Callable[[Any, Properties], Properties]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
    "aws:secretsmanager/getSecret:getSecret": _secret,
    "aws:secretsmanager/getSecrets:getSecrets": _secrets,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _secret_version,
    "aws:secretsmanager/getSecretVersions:getSecretVersions": _secret_versions,
}
