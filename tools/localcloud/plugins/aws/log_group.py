"""The resource aws:cloudwatch/logGroup:LogGroup."""

import re
from typing import Any

from tools.localcloud.plugins.aws import names, retries, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties

_LONGEST = {"name": 512, "namePrefix": 483}
_NAME = re.compile(r"[.\-_/#A-Za-z0-9]+")
_ALLOWED = "alphanumeric characters, underscores, hyphens, slashes, hash signs and dots are allowed"
_CLASSES = ("STANDARD", "INFREQUENT_ACCESS", "DELIVERY")
_NOT_IMPLEMENTED = "the local stand-in for the aws plugin does not implement"
_REMEDY = "leave it out, or run with PULUMI_PLUGINS=official"
_RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def _create(account: Account, inputs: Properties) -> str:
    client = account.client("logs", inputs)
    name = str(inputs.get("name") or inputs.get("namePrefix", "terraform-") + names.unique_suffix())
    request: dict[str, Any] = {"logGroupName": name}
    parameters = {"kmsKeyId": "kmsKeyId", "logGroupClass": "logGroupClass", "tagsAll": "tags"}
    request |= {there: inputs[here] for here, there in parameters.items() if inputs.get(here)}
    with doing(f"creating CloudWatch Logs Log Group ({name})"):
        client.create_log_group(**request)
    if inputs.get("retentionInDays"):
        _keep(client, name, inputs["retentionInDays"], made=name)
    return name


def _keep(client: Any, name: str, days: int, made: str | None = None) -> None:  # noqa: ANN401  boto3 is untyped
    """Set the retention in days; a permission granted just now may not be effective yet."""
    lacking = "no identity-based policy allows the logs:PutRetentionPolicy action"
    with doing(f"setting CloudWatch Logs Log Group ({name}) retention policy", made=made):
        retries.retried(
            lambda: client.put_retention_policy(logGroupName=name, retentionInDays=days),
            lambda error: is_error(error, "AccessDeniedException", lacking),
        )


def _find(client: Any, name: str) -> dict[str, Any] | None:  # noqa: ANN401  boto3 is untyped
    pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    return next(
        (group for page in pages for group in page["logGroups"] if group["logGroupName"] == name), None
    )


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("logs", known)
    with doing(f"reading CloudWatch Logs Log Group ({identity})"):
        found = _find(client, identity)
    if found is None:
        return None
    arn = found["arn"].removesuffix(":*")
    with doing(f"listing tags for CloudWatch Logs Log Group ({arn})"):
        tagged = client.list_tags_for_resource(resourceArn=arn)["tags"]
    return {
        "arn": arn,
        "deletionProtectionEnabled": found.get("deletionProtectionEnabled", False),
        "id": identity,
        "kmsKeyId": found.get("kmsKeyId", ""),
        # the emulator keeps none
        "logGroupClass": found.get("logGroupClass") or known.get("logGroupClass") or "",
        "name": identity,
        "namePrefix": names.prefix_of(identity),
        "region": known.get("region") or account.region,
        "retentionInDays": found.get("retentionInDays", 0),
        # AWS does not keep it
        "skipDestroy": known.get("skipDestroy", False) if known else None,
        **tags.outputs(tagged, known, account.default_tags),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("logs", news)
    change = tags.change(olds, news)
    with doing(f"updating tags for CloudWatch Logs Log Group ({olds['arn']})"):
        if change.remove:
            client.untag_resource(resourceArn=olds["arn"], tagKeys=change.remove)
        if change.put:
            client.tag_resource(resourceArn=olds["arn"], tags=change.put)
    days = news.get("retentionInDays") or 0
    if days != (olds.get("retentionInDays") or 0):
        if days:
            _keep(client, identity, days)
        else:
            with doing(f"deleting CloudWatch Logs Log Group ({identity}) retention policy"):
                client.delete_retention_policy(logGroupName=identity)
    key = news.get("kmsKeyId") or ""
    if key != (olds.get("kmsKeyId") or ""):
        with doing(f"{'' if key else 'dis'}associating CloudWatch Logs Log Group ({identity}) KMS key"):
            if key:
                client.associate_kms_key(logGroupName=identity, kmsKeyId=key)
            else:
                client.disassociate_kms_key(logGroupName=identity)


def _delete(account: Account, identity: str, olds: Properties) -> None:
    if olds.get("skipDestroy"):
        return
    client = account.client("logs", olds)
    with doing(f"deleting CloudWatch Logs Log Group ({identity})"):
        unless_gone(
            lambda: retries.retried(
                lambda: client.delete_log_group(logGroupName=identity),
                lambda error: is_error(error, "OperationAbortedException", "try again"),
            )
        )


def _check(inputs: Properties) -> list[Failure]:
    failures = []
    for name, limit in _LONGEST.items():
        value, about = inputs.get(name), snake_case(name)
        if isinstance(value, str) and len(value) > limit:
            failures.append(Failure(name, f'"{about}" cannot be longer than {limit} characters'))
        if isinstance(value, str) and not _NAME.fullmatch(value):
            failures.append(Failure(name, f'"{about}" isn\'t a valid log group name ({_ALLOWED})'))
    days = inputs.get("retentionInDays")
    if isinstance(days, int) and days not in _RETENTION_DAYS:
        known = " ".join(map(str, _RETENTION_DAYS))
        failures.append(
            Failure("retentionInDays", f"expected retention_in_days to be one of [{known}], got {days}")
        )
    if inputs.get("deletionProtectionEnabled") is True:
        failures.append(Failure("deletionProtectionEnabled", f"{_NOT_IMPLEMENTED} it; {_REMEDY}"))
    return failures + _check_class(inputs.get("logGroupClass"))


def _check_class(found: object) -> list[Failure]:
    if found == "DELIVERY":
        return [Failure("logGroupClass", f"{_NOT_IMPLEMENTED} the class DELIVERY; {_REMEDY}")]
    if isinstance(found, str) and found not in _CLASSES:
        listed = " ".join(f'"{name}"' for name in _CLASSES)
        return [Failure("logGroupClass", f"expected log_group_class to be one of [{listed}]")]
    return []


LOG_GROUP = Resource(
    **shape("aws:cloudwatch/logGroup:LogGroup"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    fixed_defaults={"retentionInDays": 0, "skipDestroy": False},
    autoname="{}",
    conflicts=(frozenset({"name", "namePrefix"}),),
)
