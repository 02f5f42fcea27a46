"""The resource aws:cloudwatch/eventRule:EventRule."""

import json
import re
from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws import arns, names, retries, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties

_DEFAULT_BUS = "default"
_REQUEST = {
    "description": "Description",
    "eventBusName": "EventBusName",
    "eventPattern": "EventPattern",
    "roleArn": "RoleArn",
    "scheduleExpression": "ScheduleExpression",
    "state": "State",
}
_STATES = ("DISABLED", "ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
_LENGTHS = {"description": 512, "eventPattern": 4096, "name": 64, "namePrefix": 38, "scheduleExpression": 256}
_NAME = re.compile(r"[0-9A-Za-z_.-]+")


def _put(account: Account, name: str, inputs: Properties, action: str) -> str:
    """Return the rule's ARN; a role given just now may not be known yet."""
    request = {there: inputs[here] for here, there in _REQUEST.items() if inputs.get(here)}
    with doing(f"{action} EventBridge Rule ({name})"):
        answer = retries.retried(
            lambda: account.client("events", inputs).put_rule(Name=name, **request),
            lambda error: is_error(error, "ValidationException", "cannot be assumed by principal"),
        )
    return str(answer["RuleArn"])


def _create(account: Account, inputs: Properties) -> str:
    name = str(inputs.get("name") or inputs["namePrefix"] + names.unique_suffix())
    arn, bus = _put(account, name, inputs, "creating"), inputs["eventBusName"]
    made = name if bus == _DEFAULT_BUS else f"{bus}/{name}"
    if inputs.get("tagsAll"):
        with doing(f"setting EventBridge Rule ({name}) tags", made=made):
            account.client("events", inputs).tag_resource(
                ResourceARN=arn, Tags=tags.as_list(inputs["tagsAll"])
            )
    return made


def _place(identity: str) -> tuple[str, str]:
    """Bus and name."""
    bus, _, name = identity.rpartition("/")
    return bus or _DEFAULT_BUS, name


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client, (bus, name) = account.client("events", known), _place(identity)
    with doing(f"reading EventBridge Rule ({identity})"):
        found = unless_gone(lambda: client.describe_rule(Name=name, EventBusName=bus))
    if found is None:
        return None
    with doing(f"listing tags for EventBridge Rule ({found['Arn']})"):
        tagged = client.list_tags_for_resource(ResourceARN=found["Arn"]).get("Tags", [])
    return {
        "__meta": '{"schema_version":"1"}',
        "arn": found["Arn"],
        "description": found.get("Description", ""),
        "eventBusName": bus,
        "eventPattern": policies.normal(found.get("EventPattern", "")),
        # AWS does not keep it
        "forceDestroy": known.get("forceDestroy", False),
        "id": identity,
        "isEnabled": found["State"] == "ENABLED",
        "name": name,
        "namePrefix": names.prefix_of(name),
        "region": known.get("region") or account.region,
        "roleArn": found.get("RoleArn", ""),
        "scheduleExpression": found.get("ScheduleExpression", ""),
        "state": found["State"],
        **tags.outputs(tags.as_map(tagged), known, account.default_tags),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client, change = account.client("events", news), tags.change(olds, news)
    with doing(f"updating tags for EventBridge Rule ({olds['arn']})"):
        if change.remove:
            client.untag_resource(ResourceARN=olds["arn"], TagKeys=change.remove)
        if change.put:
            client.tag_resource(ResourceARN=olds["arn"], Tags=tags.as_list(change.put))
    _put(account, _place(identity)[1], news, "updating")


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client, (bus, name) = account.client("events", olds), _place(identity)
    force = {"Force": True} if olds.get("forceDestroy") else {}
    with doing(f"deleting EventBridge Rule ({identity})"):
        unless_gone(
            lambda: retries.retried(
                lambda: client.delete_rule(Name=name, EventBusName=bus, **force),
                lambda error: is_error(error, "ValidationException", "has targets"),
            )
        )


def _check(inputs: Properties) -> list[Failure]:
    failures = []
    for name, limit in _LENGTHS.items():
        value = inputs.get(name)
        if isinstance(value, str) and len(value) > limit:
            reason = f"expected length of {snake_case(name)} to be in the range (0 - {limit})"
            failures.append(Failure(name, reason))
    for name in ("name", "namePrefix"):
        value = inputs.get(name)
        if isinstance(value, str) and not _NAME.fullmatch(value):
            allowed = "only alphanumeric characters, hyphens, underscores and dots are allowed"
            failures.append(Failure(name, f"invalid value for {snake_case(name)} ({allowed})"))
    if not ({"eventPattern", "scheduleExpression"} & inputs.keys()):
        reason = 'Missing required argument. "event_pattern": one of `event_pattern,schedule_expression` must'
        failures.append(Failure("eventPattern", f"{reason} be specified"))
    wrong = arns.refusal("role_arn", inputs.get("roleArn"))
    failures += [Failure("roleArn", wrong)] if wrong else []
    return failures + _check_pattern(inputs.get("eventPattern")) + _check_state(inputs)


def _check_pattern(pattern: object) -> list[Failure]:
    try:
        is_object = not isinstance(pattern, str) or isinstance(json.loads(pattern), dict)
    except ValueError:
        is_object = False
    return [] if is_object else [Failure("eventPattern", '"event_pattern" contains an invalid JSON')]


def _check_state(inputs: Properties) -> list[Failure]:
    failures = []
    state: Any = inputs.get("state")
    if isinstance(state, str) and state not in _STATES:
        listed = " ".join(f'"{known}"' for known in _STATES)
        failures.append(Failure("state", f"expected state to be one of [{listed}], got {state}"))
    if "isEnabled" in inputs:
        reason = "the local stand-in for the aws plugin does not implement it; write state instead"
        failures.append(Failure("isEnabled", reason))
    return failures


def _planned(inputs: Properties) -> Properties:
    if "eventPattern" not in inputs:
        return inputs
    return {**inputs, "eventPattern": policies.normal(inputs["eventPattern"])}


EVENT_RULE = Resource(
    **shape("aws:cloudwatch/eventRule:EventRule"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={"eventBusName": _DEFAULT_BUS},
    fixed_defaults={"forceDestroy": False},
    planned=_planned,
    left_out={"isEnabled": True, "state": "ENABLED"},
    autoname="{}",
    conflicts=(frozenset({"name", "namePrefix"}),),
)
