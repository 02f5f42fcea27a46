# ruff: noqa: ANN401  boto3, protobuf and property values are of any type
"""Rules and targets of EventBridge in the stand-in aws plugin, in addition to the replay."""

import json
import uuid
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from tools.localcloud.plugins.values import Properties, from_struct, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, refusals, urn

pytestmark = pytest.mark.usefixtures("surroundings", "without_patience")

RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
PATTERN = {"source": ["aws.secretsmanager"], "detail": {"labelUpdated": ["AWSCURRENT"]}}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:redeploy"


@pytest.fixture
def rule() -> Properties:
    return {"name": f"rule-{uuid.uuid4().hex[:8]}", "eventPattern": json.dumps(PATTERN)}


def there(plugin: Plugin, name: str) -> Any:
    found = plugin.client("events").list_rules(NamePrefix=name)["Rules"]
    return found[0] if found else None


def targets(plugin: Plugin, rule: Properties) -> Any:
    return plugin.client("events").list_targets_by_rule(Rule=rule["name"])["Targets"]


def delete(plugin: Plugin, token: str, olds: Properties) -> None:
    request = provider_pb2.DeleteRequest(urn=urn(token), id=olds["id"], properties=to_struct(olds))
    plugin.servicer.Delete(request, Context())


def test_a_rule_is_created_updated_in_place_and_read(plugin: Plugin, rule: Properties) -> None:
    _, state = plugin.create(RULE, {**rule, "tags": {"a": "1", "b": "2"}})
    for given in (
        {**rule, "description": "another", "tags": {"b": "3"}},
        {**rule, "eventPattern": json.dumps({"source": ["aws.ecs"]}), "state": "DISABLED"},
        {**rule, "scheduleExpression": "rate(1 day)"},
    ):
        changed = difference(plugin, RULE, state, given)
        assert changed.diffs
        assert not changed.replaces
        state = plugin.update(RULE, rule["name"], state, given)
        assert not difference(plugin, RULE, state, given).diffs
        found = there(plugin, rule["name"])
        assert json.loads(found["EventPattern"]) == json.loads(given["eventPattern"])
        assert found["State"] == state["state"] == given.get("state", "ENABLED")
        tags = plugin.client("events").list_tags_for_resource(ResourceARN=state["arn"])["Tags"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == given.get("tags", {})


def test_a_rule_that_was_disabled_outside_is_enabled_again(plugin: Plugin, rule: Properties) -> None:
    plugin.create(RULE, rule)
    plugin.client("events").disable_rule(Name=rule["name"])
    state = from_struct(plugin.read(RULE, rule["name"]).properties)
    assert (state["state"], state["isEnabled"]) == ("DISABLED", False)
    assert "state" in difference(plugin, RULE, state, rule).diffs
    plugin.update(RULE, rule["name"], state, rule)
    assert there(plugin, rule["name"])["State"] == "ENABLED"


def test_another_name_or_bus_is_another_rule(plugin: Plugin, rule: Properties) -> None:
    _, made = plugin.create(RULE, rule)
    for change in ({"name": "other"}, {"eventBusName": "other"}):
        assert list(difference(plugin, RULE, made, {**rule, **change}).replaces) == list(change)


def test_a_rule_on_a_bus_of_its_own_is_found_there(plugin: Plugin, rule: Properties) -> None:
    bus = f"bus-{uuid.uuid4().hex[:8]}"
    plugin.client("events").create_event_bus(Name=bus)
    identity, made = plugin.create(RULE, {**rule, "eventBusName": bus})
    assert identity == f"{bus}/{rule['name']}"
    assert made["eventBusName"] == bus
    target, _ = plugin.create(TARGET, {"rule": rule["name"], "arn": FUNCTION, "eventBusName": bus})
    assert target.startswith(f"{bus}-{rule['name']}-")
    assert there(plugin, rule["name"]) is None  # on the default bus


def test_a_target_is_made_changed_in_place_and_taken_away(plugin: Plugin, rule: Properties) -> None:
    plugin.create(RULE, rule)
    given: Properties = {"rule": rule["name"], "arn": FUNCTION, "targetId": "it"}
    identity, state = plugin.create(TARGET, given)
    assert identity == f"{rule['name']}-it"
    queue = {"deadLetterConfig": {"arn": "arn:aws:sqs:us-east-1:123456789012:failed"}}
    for more in (queue, {"retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 2}}, {}):
        changed = difference(plugin, TARGET, state, {**given, **more})
        assert changed.diffs
        assert not changed.replaces
        state = plugin.update(TARGET, identity, state, {**given, **more})
        assert not difference(plugin, TARGET, state, {**given, **more}).diffs
    assert targets(plugin, rule) == [{"Id": "it", "Arn": FUNCTION}]
    delete(plugin, TARGET, state)
    assert targets(plugin, rule) == []


def test_an_object_deleted_outside_reads_as_missing(plugin: Plugin, rule: Properties) -> None:
    _, made = plugin.create(RULE, rule)
    _, target = plugin.create(TARGET, {"rule": rule["name"], "arn": FUNCTION, "targetId": "it"})
    plugin.client("events").remove_targets(Rule=rule["name"], Ids=["it"])
    assert not plugin.read(TARGET, f"{rule['name']}/it").id
    plugin.client("events").delete_rule(Name=rule["name"])
    assert not plugin.read(RULE, rule["name"]).id
    assert not plugin.read(TARGET, f"{rule['name']}/it").id
    delete(plugin, TARGET, target)
    delete(plugin, RULE, made)


def test_a_rule_that_still_has_targets_is_not_deleted(plugin: Plugin, rule: Properties) -> None:
    _, made = plugin.create(RULE, rule)
    plugin.create(TARGET, {"rule": rule["name"], "arn": FUNCTION})
    with pytest.raises(RefusedError, match=rf"deleting EventBridge Rule \({rule['name']}\): .*has targets"):
        delete(plugin, RULE, made)


def test_both_are_imported_by_their_ids(plugin: Plugin, rule: Properties) -> None:
    plugin.create(RULE, rule)
    plugin.create(TARGET, {"rule": rule["name"], "arn": FUNCTION, "targetId": "it"})
    assert from_struct(plugin.read(RULE, rule["name"]).inputs)["name"] == rule["name"]
    inputs = from_struct(plugin.read(TARGET, f"{rule['name']}/it").inputs)
    assert (inputs["rule"], inputs["targetId"], inputs["arn"]) == (rule["name"], "it", FUNCTION)


@pytest.mark.parametrize(
    ("token", "given", "about"),
    [
        (RULE, {}, "one of `event_pattern,schedule_expression` must be specified"),
        (RULE, {"eventPattern": "no JSON"}, '"event_pattern" contains an invalid JSON'),
        (RULE, {"eventPattern": json.dumps({"a": ["x" * 4096]})}, "expected length of event_pattern"),
        (RULE, {"eventPattern": "{}", "name": "a b"}, "invalid value for name"),
        (RULE, {"eventPattern": "{}", "state": "ON"}, "expected state to be one of ["),
        (RULE, {"eventPattern": "{}", "isEnabled": True}, "write state instead"),
        (RULE, {"eventPattern": "{}", "roleArn": "role"}, '"role_arn" is an invalid ARN'),
        (RULE, {"eventPattern": "{}", "name": "a", "namePrefix": "b"}, "conflicts with name_prefix"),
        (TARGET, {"rule": "r", "arn": "function"}, '"arn" is an invalid ARN'),
        (TARGET, {"rule": "r", "arn": FUNCTION, "targetId": "a b"}, "invalid value for target_id"),
        (TARGET, {"rule": "r", "arn": FUNCTION, "input": "{}", "inputPath": "$"}, "conflicts with"),
        (
            TARGET,
            {"rule": "r", "arn": FUNCTION, "inputTransformer": {"inputTemplate": "x"}},
            "does not implement it; leave it out",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_the_preview(
    plugin: Plugin, token: str, given: Properties, about: str
) -> None:
    assert any(about in reason for reason in refusals(plugin, token, given))


def test_a_target_of_a_missing_rule_is_rejected_in_the_providers_words(plugin: Plugin) -> None:
    with pytest.raises(RefusedError, match=r"creating EventBridge Target \(missing-it\): operation error"):
        plugin.create(TARGET, {"rule": "missing", "arn": FUNCTION, "targetId": "it"})
