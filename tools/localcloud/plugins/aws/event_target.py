"""The resource aws:cloudwatch/eventTarget:EventTarget, for targets that need no parameters of their own."""

import re
from typing import Any

from tools.localcloud.plugins.aws import arns
from tools.localcloud.plugins.aws.account import Account, doing, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import Properties

_DEFAULT_BUS = "default"
_REQUEST = {"arn": "Arn", "input": "Input", "inputPath": "InputPath", "roleArn": "RoleArn"}
# Property to the request's parameter, and its parts likewise.
_PARTS = {
    "deadLetterConfig": ("DeadLetterConfig", {"arn": "Arn"}),
    "retryPolicy": (
        "RetryPolicy",
        {
            "maximumEventAgeInSeconds": "MaximumEventAgeInSeconds",
            "maximumRetryAttempts": "MaximumRetryAttempts",
        },
    ),
}
_NOT_IMPLEMENTED = (
    "appsyncTarget",
    "batchTarget",
    "ecsTarget",
    "httpTarget",
    "inputTransformer",
    "kinesisTarget",
    "redshiftTarget",
    "runCommandTargets",
    "sagemakerPipelineTarget",
    "sqsTarget",
)
_TARGET_ID = re.compile(r"[0-9A-Za-z_.-]{1,64}")


def _put(account: Account, inputs: Properties, identity: str, action: str) -> None:
    target = {there: inputs[here] for here, there in _REQUEST.items() if inputs.get(here)}
    for name, (there, parts) in _PARTS.items():
        if inputs.get(name):
            target[there] = {to: inputs[name][part] for part, to in parts.items() if part in inputs[name]}
    with doing(f"{action} EventBridge Target ({identity})"):
        answer = account.client("events", inputs).put_targets(
            Rule=inputs["rule"],
            EventBusName=inputs["eventBusName"],
            Targets=[{"Id": inputs["targetId"], **target}],
        )
    for failed in answer.get("FailedEntries", []):
        cause = f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}"
        raise ProviderError(f"{action} EventBridge Target ({identity}): {failed.get('TargetId')}: {cause}")


def _create(account: Account, inputs: Properties) -> str:
    parts = [inputs["rule"], inputs["targetId"]]
    identity = "-".join(parts if inputs["eventBusName"] == _DEFAULT_BUS else [inputs["eventBusName"], *parts])
    _put(account, inputs, identity, "creating")
    return identity


def _place(identity: str, known: Properties) -> tuple[str, str, str]:
    """Bus, rule and target; an import names them in its id, with slashes."""
    if known.get("rule"):
        return known.get("eventBusName") or _DEFAULT_BUS, known["rule"], known["targetId"]
    place, _, target = identity.rpartition("/")
    bus, _, rule = place.rpartition("/")
    return bus or _DEFAULT_BUS, rule, target


def _find(client: Any, bus: str, rule: str, target: str) -> dict[str, Any] | None:  # noqa: ANN401  boto3
    pages = client.get_paginator("list_targets_by_rule").paginate(Rule=rule, EventBusName=bus)
    return next((found for page in pages for found in page["Targets"] if found["Id"] == target), None)


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    bus, rule, target = _place(identity, known)
    if not (rule and target):
        return None
    with doing(f"reading EventBridge Target ({identity})"):
        found = unless_gone(lambda: _find(account.client("events", known), bus, rule, target))
    if found is None:
        return None
    parts = {
        name: {part: found[there].get(to) for part, to in names.items()} if found.get(there) else None
        for name, (there, names) in _PARTS.items()
    }
    return {
        "__meta": '{"schema_version":"1"}',
        **dict.fromkeys(_NOT_IMPLEMENTED),
        "runCommandTargets": [],
        **{here: found.get(there, "") for here, there in _REQUEST.items()},
        **parts,
        "eventBusName": bus,
        # AWS does not keep it
        "forceDestroy": known.get("forceDestroy", False),
        "id": identity,
        "region": known.get("region") or account.region,
        "rule": rule,
        "targetId": target,
    }


def _update(account: Account, identity: str, _olds: Properties, news: Properties) -> None:
    _put(account, news, identity, "updating")


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client, (bus, rule, target) = account.client("events", olds), _place(identity, olds)
    force = {"Force": True} if olds.get("forceDestroy") else {}
    with doing(f"deleting EventBridge Target ({identity})"):
        unless_gone(lambda: client.remove_targets(Rule=rule, EventBusName=bus, Ids=[target], **force))


def _check(inputs: Properties) -> list[Failure]:
    failures = [
        Failure(
            name,
            "the local stand-in for the aws plugin does not implement it; leave it out, or run with "
            "PULUMI_PLUGINS=official",
        )
        for name in _NOT_IMPLEMENTED
        if inputs.get(name)
    ]
    for name in ("arn", "roleArn"):
        wrong = arns.refusal(snake_case(name), inputs.get(name))
        failures += [Failure(name, wrong)] if wrong else []
    target = inputs.get("targetId")
    if isinstance(target, str) and not _TARGET_ID.fullmatch(target):
        allowed = "1 to 64 alphanumeric characters, hyphens, underscores and dots are allowed"
        failures.append(Failure("targetId", f"invalid value for target_id ({allowed})"))
    return failures


EVENT_TARGET = Resource(
    **shape("aws:cloudwatch/eventTarget:EventTarget"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={"eventBusName": _DEFAULT_BUS},
    fixed_defaults={"forceDestroy": False},
    planned=lambda inputs: {"runCommandTargets": [], **inputs},
    autoname="{}",
    named="targetId",
    conflicts=(frozenset({"input", "inputPath", "inputTransformer"}),),
)
