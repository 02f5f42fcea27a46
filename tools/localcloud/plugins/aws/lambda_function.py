"""The resource aws:lambda/function:Function."""

import re
import time
from collections.abc import Callable
from typing import Any

from tools.localcloud.plugins import archives
from tools.localcloud.plugins.aws import retries, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import UNKNOWN, Asset, Properties

# The official provider tries for five minutes while the function's role becomes known to Lambda.
_ROLE_NOT_READY = (
    "The role defined for the function cannot be assumed by Lambda",
    "The provided execution role does not have permissions",
)
_NAME = re.compile(r"(arn:[\w-]+:lambda:[\w-]+:\d{12}:function:)?[0-9A-Za-z_-]+")
_MOST_NAME = 64
_READY_SECONDS, _PAUSE = 600.0, 0.02
_NOT_IMPLEMENTED = (
    "capacityProviderConfig",
    "codeSigningConfigArn",
    "durableConfig",
    "fileSystemConfig",
    "imageConfig",
    "layers",
    "publishTo",
    "snapStart",
    "sourceKmsKeyArn",
    "tenancyConfig",
)
_DEPLOYED_OTHERWISE = ("imageUri", "s3Bucket", "s3Key", "s3ObjectVersion")
# A change of these asks for UpdateFunctionCode.
_CODE = frozenset({"architectures", "code", "codeSha256", "sourceCodeHash"})
# A part's name in Lambda's API; what is not named here is as in Pulumi with a capital letter.
_PARTS = {"ipv6AllowedForDualStack": "Ipv6AllowedForDualStack"}


def _part(properties: Properties, name: str) -> Properties:
    return properties.get(name) or {}


def _request_parts(given: Properties) -> dict[str, Any]:
    return {
        _PARTS.get(name, name[0].upper() + name[1:]): value
        for name, value in given.items()
        if name not in {"__defaults", "vpcId"} and value not in (None, "")
    }


def _environment(properties: Properties) -> dict[str, Any]:
    return {"Variables": _part(properties, "environment").get("variables") or {}}


def _network(properties: Properties) -> dict[str, Any]:
    given = _part(properties, "vpcConfig")
    return {
        "Ipv6AllowedForDualStack": bool(given.get("ipv6AllowedForDualStack")),
        "SecurityGroupIds": given.get("securityGroupIds") or [],
        "SubnetIds": given.get("subnetIds") or [],
    }


def _parts_of(name: str) -> Callable[[Properties], dict[str, Any]]:
    return lambda properties: _request_parts(_part(properties, name))


# Property to the request's parameter, its value, and what tells AWS that it was removed.
_CONFIGURATION: dict[str, tuple[str, Callable[[Properties], Any]]] = {
    "deadLetterConfig": (
        "DeadLetterConfig",
        lambda inputs: {"TargetArn": _part(inputs, "deadLetterConfig").get("targetArn") or ""},
    ),
    "description": ("Description", lambda inputs: inputs.get("description") or ""),
    "environment": ("Environment", _environment),
    "ephemeralStorage": ("EphemeralStorage", _parts_of("ephemeralStorage")),
    "handler": ("Handler", lambda inputs: inputs["handler"]),
    "kmsKeyArn": ("KMSKeyArn", lambda inputs: inputs.get("kmsKeyArn") or ""),
    "loggingConfig": ("LoggingConfig", _parts_of("loggingConfig")),
    "memorySize": ("MemorySize", lambda inputs: inputs["memorySize"]),
    "role": ("Role", lambda inputs: inputs["role"]),
    "runtime": ("Runtime", lambda inputs: inputs["runtime"]),
    "timeout": ("Timeout", lambda inputs: inputs["timeout"]),
    "tracingConfig": ("TracingConfig", _parts_of("tracingConfig")),
    "vpcConfig": ("VpcConfig", _network),
}


def _archive(inputs: Properties) -> bytes:
    code = inputs["code"]
    assert isinstance(code, Asset)  # noqa: S101  Check saw to it
    return archives.zipped(code)


def _create(account: Account, inputs: Properties) -> str:
    client = account.client("lambda", inputs)
    name = str(inputs["name"])
    request: dict[str, Any] = {
        "Code": {"ZipFile": _archive(inputs)},
        "Description": inputs.get("description") or "",
        "FunctionName": name,
        "PackageType": inputs["packageType"],
        "Publish": bool(inputs.get("publish")),
        **{
            parameter: value(inputs)
            for property_name, (parameter, value) in _CONFIGURATION.items()
            if inputs.get(property_name)
        },
    }
    if inputs.get("architectures"):
        request["Architectures"] = inputs["architectures"]
    if inputs.get("tagsAll"):
        request["Tags"] = inputs["tagsAll"]
    with doing(f"creating Lambda Function ({name})"):
        _once_role_is_ready(lambda: client.create_function(**request))
    with doing(f"waiting for Lambda Function ({name}) create", made=name):
        _wait_until_ready(client, name)
    if inputs["reservedConcurrentExecutions"] >= 0:
        _set_concurrency(client, name, inputs, made=name)
    return name


def _once_role_is_ready(call: Callable[[], object]) -> None:
    retries.retried(
        call,
        lambda error: any(
            is_error(error, "InvalidParameterValueException", text) for text in _ROLE_NOT_READY
        ),
    )


def _wait_until_ready(client: Any, name: str) -> None:  # noqa: ANN401  boto3 is untyped
    """Wait until the function is neither created nor updated any more, as the official provider does."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        found = client.get_function_configuration(FunctionName=name)
        if found["State"] == "Active" and found.get("LastUpdateStatus") != "InProgress":
            return
        if found["State"] == "Failed" or time.monotonic() > deadline:
            reason = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
            raise ProviderError(f"unexpected state '{found['State']}': {reason}")
        time.sleep(_PAUSE)


def _set_concurrency(client: Any, name: str, news: Properties, made: str | None = None) -> None:  # noqa: ANN401  boto3
    most = news["reservedConcurrentExecutions"]
    with doing(f"{'setting' if most >= 0 else 'deleting'} Lambda Function ({name}) concurrency", made=made):
        if most >= 0:
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=most)
        else:
            client.delete_function_concurrency(FunctionName=name)


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("lambda", known)
    with doing(f"reading Lambda Function ({identity})"):
        answer = unless_gone(lambda: client.get_function(FunctionName=identity))
        if answer is None:
            return None
    with doing(f"reading Lambda Function ({identity}) latest version"):
        pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=identity)
        latest = [version for page in pages for version in page["Versions"]][-1]
    found, region = answer["Configuration"], known.get("region") or account.region
    arn = found["FunctionArn"]

    def gateway(function: str) -> str:
        return f"{_gateway(arn)}:path/2015-03-31/functions/{function}/invocations"

    return {
        "architectures": found.get("Architectures", []),
        "arn": arn,
        "capacityProviderConfig": None,
        "code": _known_archive(known.get("code")),
        "codeSha256": found["CodeSha256"],
        "codeSigningConfigArn": "",
        "deadLetterConfig": _read_target(found),
        "description": found.get("Description", ""),
        "durableConfig": None,
        "environment": _read_environment(found),
        "ephemeralStorage": {"size": found.get("EphemeralStorage", {}).get("Size", 512)},
        "fileSystemConfig": None,
        "handler": found.get("Handler", ""),
        "id": identity,
        "imageConfig": None,
        "imageUri": "",
        "invokeArn": gateway(arn),
        "kmsKeyArn": found.get("KMSKeyArn", ""),
        "lastModified": found["LastModified"],
        "layers": [],
        "loggingConfig": _read_logging(found),
        "memorySize": found["MemorySize"],
        "name": found["FunctionName"],
        "packageType": found.get("PackageType", "Zip"),
        "publish": known.get("publish", False),
        "publishTo": None,
        "qualifiedArn": latest["FunctionArn"],
        "qualifiedInvokeArn": gateway(latest["FunctionArn"]),
        "region": region,
        "replaceSecurityGroupsOnDestroy": known.get("replaceSecurityGroupsOnDestroy"),
        "replacementSecurityGroupIds": known.get("replacementSecurityGroupIds"),
        "reservedConcurrentExecutions": answer.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1),
        "responseStreamingInvokeArn": (
            f"{_gateway(arn)}:path/2021-11-15/functions/{arn}/response-streaming-invocations"
        ),
        "role": found["Role"],
        "runtime": found.get("Runtime", ""),
        "s3Bucket": None,
        "s3Key": None,
        "s3ObjectVersion": None,
        "signingJobArn": "",
        "signingProfileVersionArn": "",
        "skipDestroy": known.get("skipDestroy", False),
        "snapStart": None,
        "sourceCodeHash": known.get("sourceCodeHash") or "",
        "sourceCodeSize": found["CodeSize"],
        "sourceKmsKeyArn": "",
        "tenancyConfig": None,
        "timeout": found["Timeout"],
        "tracingConfig": {"mode": found.get("TracingConfig", {}).get("Mode", "PassThrough")},
        "version": latest["Version"],
        "vpcConfig": _read_network(found),
        **tags.outputs(tags.own(answer.get("Tags", {})), known, account.default_tags),
    }


def _known_archive(code: object) -> object:
    """Return the archive as the program gave it: AWS does not tell.

    For a refresh the engine sends its hash alone, which the bridge answers as an archive without files.
    """
    if isinstance(code, Asset) and not code.source:
        return Asset(code.signature, code.hash, {"assets": {}})
    return code


def _gateway(arn: str) -> str:
    """Return the beginning of the ARN by which API Gateway invokes a function."""
    _, partition, _, region, *_ = arn.split(":")
    return f"arn:{partition}:apigateway:{region}:lambda"


def _read_target(found: dict[str, Any]) -> Properties | None:
    target = found.get("DeadLetterConfig", {}).get("TargetArn")
    return {"targetArn": target} if target else None


def _read_environment(found: dict[str, Any]) -> Properties | None:
    variables = found.get("Environment", {}).get("Variables")
    return {"variables": variables} if variables else None


def _read_logging(found: dict[str, Any]) -> Properties:
    logging = found.get("LoggingConfig", {})
    return {
        "applicationLogLevel": logging.get("ApplicationLogLevel", ""),
        "logFormat": logging.get("LogFormat", "Text"),
        "logGroup": logging.get("LogGroup", ""),
        "systemLogLevel": logging.get("SystemLogLevel", ""),
    }


def _read_network(found: dict[str, Any]) -> Properties | None:
    network = found.get("VpcConfig", {})
    if not (network.get("SubnetIds") or network.get("SecurityGroupIds") or network.get("VpcId")):
        return None
    return {
        "ipv6AllowedForDualStack": bool(network.get("Ipv6AllowedForDualStack")),
        "securityGroupIds": network.get("SecurityGroupIds", []),
        "subnetIds": network.get("SubnetIds", []),
        "vpcId": network.get("VpcId", ""),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("lambda", news)
    change = tags.change(olds, news)
    with doing(f"updating tags for Lambda Function ({olds['arn']})"):
        if change.remove:
            client.untag_resource(Resource=olds["arn"], TagKeys=change.remove)
        if change.put:
            client.tag_resource(Resource=olds["arn"], Tags=change.put)
    configuration = _changed_configuration(olds, news)
    if configuration:
        with doing(f"updating Lambda Function ({identity}) configuration"):
            _once_role_is_ready(
                lambda: client.update_function_configuration(FunctionName=identity, **configuration)
            )
        with doing(f"waiting for Lambda Function ({identity}) configuration update"):
            _wait_until_ready(client, identity)
    is_new_code = any(news.get(name) and news[name] != olds.get(name) for name in _CODE)
    if is_new_code:
        architectures = {"Architectures": news["architectures"]} if news.get("architectures") else {}
        archive = _archive(news)
        with doing(f"updating Lambda Function ({identity}) code"):
            client.update_function_code(FunctionName=identity, ZipFile=archive, **architectures)
        with doing(f"waiting for Lambda Function ({identity}) code update"):
            _wait_until_ready(client, identity)
    if news["reservedConcurrentExecutions"] != olds.get("reservedConcurrentExecutions", -1):
        _set_concurrency(client, identity, news)
    if news.get("publish") and (configuration or is_new_code or not olds.get("publish")):
        with doing(f"publishing Lambda Function ({identity}) version"):
            client.publish_version(FunctionName=identity)


def _changed_configuration(olds: Properties, news: Properties) -> dict[str, Any]:
    """Return the parameters of UpdateFunctionConfiguration; what is computed and left out stays as it is."""
    request: dict[str, Any] = {}
    for name, (parameter, value) in _CONFIGURATION.items():
        computed = FUNCTION.outputs[name].get("required")
        if computed and not news.get(name):
            continue
        wanted, had = value(news), value({**news, name: olds.get(name)})
        if isinstance(wanted, dict) and computed:
            had = {part: had.get(part) for part in wanted}
        if wanted != had:
            request[parameter] = wanted
    return request


def _delete(account: Account, identity: str, olds: Properties) -> None:
    if olds.get("skipDestroy"):
        return
    client = account.client("lambda", olds)
    with doing(f"deleting Lambda Function ({identity})"):
        unless_gone(lambda: client.delete_function(FunctionName=identity))


def _check(inputs: Properties) -> list[Failure]:
    failures = [_refused(name) for name in _NOT_IMPLEMENTED if inputs.get(name)]
    failures += [_only_archives(name) for name in _DEPLOYED_OTHERWISE if inputs.get(name)]
    if inputs.get("packageType") not in {"Zip", UNKNOWN}:
        failures.append(_only_archives("packageType"))
    elif not failures:
        failures += _check_code(inputs)
    for name, least, most in (("memorySize", 128, 10240), ("timeout", 1, 900)):
        value = inputs.get(name)
        if isinstance(value, int) and not least <= value <= most:
            reason = f"expected {snake_case(name)} to be in the range ({least} - {most}), got {value}"
            failures.append(Failure(name, reason))
    failures += _check_name(inputs.get("name"))
    return failures


def _check_name(name: object) -> list[Failure]:
    if isinstance(name, str) and not _NAME.fullmatch(name):
        reason = "invalid value for function_name (must be valid function name or function ARN)"
        return [Failure("name", reason)]
    if isinstance(name, str) and len(name.rpartition(":")[2]) > _MOST_NAME:
        most_of = f"less than or equal to {_MOST_NAME}"
        reason = f"expected length of the Lambda function name to be {most_of}, got {len(name)} characters"
        return [Failure("name", reason)]
    return []


def _check_code(inputs: Properties) -> list[Failure]:
    code = inputs.get("code")
    if code is None:
        one = "one of `code,image_uri,s3_bucket` must be specified"
        return [Failure("code", f'Invalid combination of arguments. "code": {one}')]
    if code is not UNKNOWN and not (isinstance(code, Asset) and code.is_archive):
        reason = "expected an archive: pulumi.FileArchive of a .zip file or a folder, or pulumi.AssetArchive"
        return [Failure("code", reason)]
    if not (inputs.get("handler") and inputs.get("runtime")):
        return [Failure("", "handler and runtime must be set when PackageType is Zip")]
    return []


def _refused(name: str) -> Failure:
    reason = "the local stand-in for the aws plugin does not implement this setting of Lambda functions"
    return Failure(name, f"{reason}; leave it out, or run with PULUMI_PLUGINS=official")


def _only_archives(name: str) -> Failure:
    reason = "the local stand-in for the aws plugin deploys archives only, no images and nothing from S3"
    return Failure(name, f"{reason}; give the archive as `code`, or run with PULUMI_PLUGINS=official")


def _renewed(news: Properties, changed: frozenset[str]) -> frozenset[str]:
    renewed = {"lastModified"} if changed & _CODE else set()
    if news.get("publish") and changed & (_CODE | _CONFIGURATION.keys() | {"publish"}):
        renewed |= {"qualifiedArn", "qualifiedInvokeArn", "version"}
    return frozenset(renewed)


def _is_same_network(old: Any, new: Any) -> bool:  # noqa: ANN401  any property value
    """Return whether networks are the same: order does not matter, and an empty one equals none."""

    def meaning(given: Properties | None) -> tuple[frozenset[str], frozenset[str], bool]:
        network = _network({"vpcConfig": given})
        return (
            frozenset(network["SubnetIds"]),
            frozenset(network["SecurityGroupIds"]),
            network["Ipv6AllowedForDualStack"],
        )

    return not _has_unknown(new) and meaning(old) == meaning(new)


def _has_unknown(value: Any) -> bool:  # noqa: ANN401  any property value
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    return any(map(_has_unknown, value)) if isinstance(value, list) else value is UNKNOWN


def _is_same_environment(old: Any, new: Any) -> bool:  # noqa: ANN401  any property value
    """Return whether environments are the same: one without variables equals none."""
    return not _has_unknown(new) and _environment({"environment": old}) == _environment({"environment": new})


FUNCTION = Resource(
    **shape("aws:lambda/function:Function"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={
        "memorySize": 128,
        "packageType": "Zip",
        "reservedConcurrentExecutions": -1,
        "timeout": 3,
    },
    fixed_defaults={"publish": False, "skipDestroy": False},
    autoname="{}",
    equivalent={"environment": _is_same_environment, "vpcConfig": _is_same_network},
    computed_parts=frozenset(
        {
            "ephemeralStorage.size",
            "loggingConfig.applicationLogLevel",
            "loggingConfig.logGroup",
            "loggingConfig.systemLogLevel",
            "vpcConfig.vpcId",
        }
    ),
    renewed=_renewed,
    unreadable=frozenset({"code", "sourceCodeHash"}),
    timeouts={"create": 600, "delete": 600, "update": 600},
)
