# ruff: noqa: ANN401  boto3, protobuf and property values are of any type
"""Log groups and alarms in the stand-in aws plugin, against an emulator."""

import re
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from tools.localcloud.plugins.values import UNKNOWN, Properties, from_struct, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, refusals, urn

pytestmark = pytest.mark.usefixtures("surroundings", "without_patience")

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
TOPICS = [f"arn:aws:sns:us-east-1:123456789012:{name}" for name in ("alpha", "beta", "gamma")]


@pytest.fixture
def name() -> str:
    return f"/app/{uuid.uuid4()}"


@pytest.fixture
def alarm(name: str) -> Properties:
    return {
        "name": name,
        "namespace": "AWS/Lambda",
        "metricName": "Errors",
        "statistic": "Sum",
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0,
        "period": 300,
        "evaluationPeriods": 1,
        "dimensions": {"FunctionName": "rotate"},
    }


def refreshed(plugin: Plugin, token: str, olds: Properties, properties: Properties) -> Any:
    """Read as `pulumi refresh` does: with the properties in the state."""
    inputs = plugin.inputs(token, properties)
    request = provider_pb2.ReadRequest(
        urn=urn(token), id=olds["id"], properties=to_struct(olds), inputs=to_struct(inputs)
    )
    return plugin.servicer.Read(request, Context())


def delete(plugin: Plugin, token: str, olds: Properties) -> None:
    request = provider_pb2.DeleteRequest(urn=urn(token), id=olds["id"], properties=to_struct(olds))
    plugin.servicer.Delete(request, Context())


def log_group(plugin: Plugin, name: str) -> Any:
    found = plugin.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return next((group for group in found if group["logGroupName"] == name), None)


def tags_of(plugin: Plugin, service: str, arn: str) -> dict[str, str]:
    if service == "logs":
        found: dict[str, str] = plugin.client("logs").list_tags_for_resource(resourceArn=arn)["tags"]
        return found
    listed = plugin.client("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def metric_alarm(plugin: Plugin, name: str) -> Any:
    found = plugin.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0] if found else None


class Failing:
    """A client whose one method fails a few times with this error, or for ever."""

    def __init__(self, client: Any, method: str, code: str, message: str, times: int = 10**6) -> None:
        self._client, self._method, self.calls = client, method, 0
        self._error = ClientError({"Error": {"Code": code, "Message": message}}, "Some")
        self._times = times

    def __getattr__(self, name: str) -> Any:
        if name != self._method:
            return getattr(self._client, name)

        def fail(**arguments: Any) -> Any:
            self.calls += 1
            if self.calls <= self._times:
                raise self._error
            return getattr(self._client, name)(**arguments)

        return fail


@pytest.fixture
def failing(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace the client for logs with a failing one."""

    def put(method: str, code: str, message: str, times: int = 10**6) -> Failing:
        made = Failing(plugin.client("logs"), method, code, message, times)
        clients = plugin.servicer.context._clients
        monkeypatch.setitem(clients, ("logs", "us-east-1", False), made)
        return made

    return put


# Log groups


def test_a_log_group_is_made_and_read_as_it_is(plugin: Plugin, name: str) -> None:
    given = {"name": name, "retentionInDays": 14, "tags": {"team": "a"}}
    identity, made = plugin.create(LOG_GROUP, given)
    assert identity == made["name"] == name
    assert made["arn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{name}"
    assert log_group(plugin, name)["retentionInDays"] == 14
    assert tags_of(plugin, "logs", made["arn"]) == {"team": "a"}
    read = refreshed(plugin, LOG_GROUP, made, given)
    assert from_struct(read.properties) == made
    assert from_struct(read.inputs) == plugin.inputs(LOG_GROUP, given)
    assert not difference(plugin, LOG_GROUP, made, given).diffs


def test_a_name_prefix_does_not_match_another_object(plugin: Plugin, name: str) -> None:
    plugin.create(LOG_GROUP, {"name": f"{name}-2", "retentionInDays": 1})
    assert not plugin.read(LOG_GROUP, name).id
    plugin.create(LOG_GROUP, {"name": name, "retentionInDays": 7})
    assert plugin.read(LOG_GROUP, name).properties["retentionInDays"] == 7


def test_a_prefix_gives_a_name_that_stays(plugin: Plugin, name: str) -> None:
    given = {"namePrefix": f"{name}-"}
    made = [plugin.create(LOG_GROUP, given)[1] for _ in range(2)]
    assert all(re.fullmatch(rf"{name}-\d{{18}}[0-9a-f]{{8}}", one["name"]) for one in made)
    assert made[0]["name"] != made[1]["name"]
    assert made[0]["namePrefix"] == f"{name}-"
    assert not difference(plugin, LOG_GROUP, made[0], given).diffs
    other = difference(plugin, LOG_GROUP, made[0], {"namePrefix": f"{name}_"})
    assert list(other.replaces) == ["namePrefix"]


def test_without_name_and_prefix_it_is_named_after_the_resource(plugin: Plugin) -> None:
    inputs = plugin.inputs(LOG_GROUP, {})
    assert re.fullmatch(r"it-[0-9a-f]{7}", inputs["name"])


def test_retention_is_set_changed_and_taken_away_in_place(plugin: Plugin, name: str) -> None:
    _, state = plugin.create(LOG_GROUP, {"name": name})
    assert state["retentionInDays"] == 0
    for given, days in (({"retentionInDays": 30}, 30), ({"retentionInDays": 7}, 7), ({}, 0)):
        found = difference(plugin, LOG_GROUP, state, {"name": name, **given})
        assert (list(found.diffs), list(found.replaces)) == (["retentionInDays"], [])
        state = plugin.update(LOG_GROUP, name, state, {"name": name, **given})
        assert state["retentionInDays"] == days
        assert log_group(plugin, name).get("retentionInDays", 0) == days
        assert not difference(plugin, LOG_GROUP, state, {"name": name, **given}).diffs


def test_tags_of_a_log_group_are_put_changed_and_taken_away(plugin: Plugin, name: str) -> None:
    _, state = plugin.create(LOG_GROUP, {"name": name, "tags": {"a": "1", "b": "2"}})
    given = {"name": name, "tags": {"b": "3", "c": "4"}}
    state = plugin.update(LOG_GROUP, name, state, given)
    assert tags_of(plugin, "logs", state["arn"]) == state["tags"] == {"b": "3", "c": "4"}
    plugin.update(LOG_GROUP, name, state, {"name": name})
    assert tags_of(plugin, "logs", state["arn"]) == {}


def test_a_key_is_associated_and_disassociated(
    plugin: Plugin, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = plugin.client("kms").create_key()["KeyMetadata"]["Arn"]
    _, with_key = plugin.create(LOG_GROUP, {"name": name, "kmsKeyId": key})
    assert with_key["kmsKeyId"] == key == log_group(plugin, name)["kmsKeyId"]
    _, without = plugin.create(LOG_GROUP, {"name": f"{name}-2"})
    # the emulator answers neither of the two
    asked: list[Properties] = []
    for method in ("associate_kms_key", "disassociate_kms_key"):
        monkeypatch.setattr(plugin.client("logs"), method, lambda **arguments: asked.append(arguments))
    plugin.update(LOG_GROUP, name, with_key, {"name": name})
    plugin.update(LOG_GROUP, f"{name}-2", without, {"name": f"{name}-2", "kmsKeyId": key})
    assert asked == [{"logGroupName": name}, {"logGroupName": f"{name}-2", "kmsKeyId": key}]


def test_a_log_group_deleted_outside_reads_as_missing(plugin: Plugin, name: str) -> None:
    _, made = plugin.create(LOG_GROUP, {"name": name})
    plugin.client("logs").delete_log_group(logGroupName=name)
    assert not refreshed(plugin, LOG_GROUP, made, {"name": name}).id
    delete(plugin, LOG_GROUP, made)


@pytest.mark.parametrize("kept", [False, True])
def test_a_log_group_is_deleted_unless_it_is_to_be_kept(plugin: Plugin, name: str, *, kept: bool) -> None:
    _, made = plugin.create(LOG_GROUP, {"name": name, "skipDestroy": kept})
    delete(plugin, LOG_GROUP, made)
    assert (log_group(plugin, name) is not None) == kept


def test_a_taken_name_is_rejected_in_the_providers_words(plugin: Plugin, name: str) -> None:
    plugin.create(LOG_GROUP, {"name": name})
    with pytest.raises(RefusedError) as caught:
        plugin.create(LOG_GROUP, {"name": name})
    begin = f"creating CloudWatch Logs Log Group ({name}): operation error CloudWatch Logs: CreateLogGroup"
    assert begin in str(caught.value)
    assert "ResourceAlreadyExistsException" in str(caught.value)
    assert caught.value.recorded == {}


def test_a_log_group_without_its_retention_is_recorded(plugin: Plugin, name: str, failing: Any) -> None:
    failing("put_retention_policy", "LimitExceededException", "no more")
    with pytest.raises(RefusedError) as caught:
        plugin.create(LOG_GROUP, {"name": name, "retentionInDays": 3})
    assert f"setting CloudWatch Logs Log Group ({name}) retention policy: " in str(caught.value)
    assert caught.value.recorded["id"] == name


@pytest.mark.parametrize(
    ("method", "code", "message"),
    [
        (
            "put_retention_policy",
            "AccessDeniedException",
            "x because no identity-based policy allows the logs:PutRetentionPolicy action",
        ),
        ("delete_log_group", "OperationAbortedException", "A conflict; please try again."),
    ],
)
def test_what_passes_by_itself_is_tried_again_and_nothing_else(  # noqa: PLR0913, PLR0917  fixtures
    plugin: Plugin,
    name: str,
    failing: Any,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    code: str,
    message: str,
) -> None:
    def create_and_delete() -> None:
        _, made = plugin.create(LOG_GROUP, {"name": name, "retentionInDays": 3})
        delete(plugin, LOG_GROUP, made)

    monkeypatch.setattr("tools.localcloud.plugins.aws.retries.SECONDS", 30)
    monkeypatch.setattr("tools.localcloud.plugins.aws.retries._PAUSE", 0)
    client = failing(method, code, message, 2)
    create_and_delete()
    assert client.calls == 3
    client = failing(method, code, "something else")
    with pytest.raises(RefusedError, match=code):
        create_and_delete()
    assert client.calls == 1


@pytest.mark.parametrize(
    ("given", "about"),
    [
        ({"name": "a b"}, '"name" isn\'t a valid log group name (alphanumeric characters, underscores'),
        ({"name": "a" * 513}, '"name" cannot be longer than 512 characters'),
        ({"namePrefix": "a" * 484}, '"name_prefix" cannot be longer than 483 characters'),
        ({"name": "a", "namePrefix": "b"}, '"name": conflicts with name_prefix'),
        ({"retentionInDays": 2}, "expected retention_in_days to be one of [0 1 3 5 7 14 30"),
        ({"logGroupClass": "COLD"}, "expected log_group_class to be one of ["),
        ({"logGroupClass": "DELIVERY"}, "does not implement the class DELIVERY; leave it out, or run with"),
        ({"deletionProtectionEnabled": True}, "does not implement it; leave it out, or run with PULUMI"),
    ],
)
def test_a_log_group_that_cannot_be_is_refused_in_the_preview(
    plugin: Plugin, given: Properties, about: str
) -> None:
    assert any(about in reason for reason in refusals(plugin, LOG_GROUP, given))


def test_a_log_group_is_imported_by_its_name(plugin: Plugin, name: str) -> None:
    given = {"name": name, "retentionInDays": 5, "tags": {"team": "a"}}
    plugin.create(LOG_GROUP, given)
    found = plugin.read(LOG_GROUP, name)
    assert found.id == name
    inputs = json_format.MessageToDict(found.inputs)
    assert (inputs["name"], inputs["retentionInDays"], inputs["tags"]["team"]) == (name, 5, "a")
    assert not difference(plugin, LOG_GROUP, from_struct(found.properties), given).diffs


# Alarms


def test_an_alarm_is_made_and_read_as_it_is(plugin: Plugin, alarm: Properties) -> None:
    identity, made = plugin.create(ALARM, alarm)
    assert identity == made["name"] == alarm["name"]
    found = metric_alarm(plugin, identity)
    assert (found["Namespace"], found["MetricName"]) == ("AWS/Lambda", "Errors")
    assert (found["Statistic"], found["Threshold"], found["Period"]) == ("Sum", 0, 300)
    assert found["Dimensions"] == [{"Name": "FunctionName", "Value": "rotate"}]
    assert (found["ActionsEnabled"], found["TreatMissingData"]) == (True, "missing")
    read = refreshed(plugin, ALARM, made, alarm)
    properties = from_struct(read.properties)
    assert not difference(plugin, ALARM, made, alarm).diffs
    assert not difference(plugin, ALARM, properties, alarm).diffs
    assert from_struct(read.inputs) == plugin.inputs(ALARM, alarm)


def test_an_alarm_changes_in_place(plugin: Plugin, alarm: Properties) -> None:
    _, made = plugin.create(ALARM, alarm)
    changed = {
        **alarm,
        "alarmDescription": "Rotation fails",
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "datapointsToAlarm": 2,
        "dimensions": {"FunctionName": "other", "Resource": "other:live"},
        "evaluationPeriods": 3,
        "period": 60,
        "statistic": "Maximum",
        "threshold": 1.5,
        "treatMissingData": "notBreaching",
        "unit": "Count",
    }
    found = difference(plugin, ALARM, made, changed)
    assert (set(found.diffs), list(found.replaces)) == (
        {part for part, value in changed.items() if alarm.get(part) != value},
        [],
    )
    updated = plugin.update(ALARM, alarm["name"], made, changed)
    assert {part: updated[part] for part in changed} == changed
    there = metric_alarm(plugin, alarm["name"])
    assert {one["Name"]: one["Value"] for one in there["Dimensions"]} == changed["dimensions"]
    assert (there["Threshold"], there["DatapointsToAlarm"], there["Unit"]) == (1.5, 2, "Count")
    assert not difference(plugin, ALARM, updated, changed).diffs


def test_what_an_alarm_no_longer_says_is_taken_away(plugin: Plugin, alarm: Properties) -> None:
    more = {**alarm, "alarmDescription": "x", "alarmActions": TOPICS[:1], "datapointsToAlarm": 1}
    _, made = plugin.create(ALARM, more)
    bare = {part: value for part, value in alarm.items() if part != "dimensions"}
    updated = plugin.update(ALARM, alarm["name"], made, bare)
    found = metric_alarm(plugin, alarm["name"])
    assert not any(found.get(part) for part in ("AlarmDescription", "AlarmActions", "Dimensions"))
    assert not difference(plugin, ALARM, updated, bare).diffs


def test_other_dimensions_alone_are_put(plugin: Plugin, alarm: Properties) -> None:
    _, made = plugin.create(ALARM, alarm)
    plugin.update(ALARM, alarm["name"], made, {**alarm, "dimensions": {"FunctionName": "other"}})
    assert metric_alarm(plugin, alarm["name"])["Dimensions"] == [{"Name": "FunctionName", "Value": "other"}]


def test_the_order_of_an_alarm_s_actions_says_nothing(plugin: Plugin, alarm: Properties) -> None:
    actions = {"alarmActions": TOPICS[::-1], "okActions": [TOPICS[2], TOPICS[0]]}
    _, made = plugin.create(ALARM, {**alarm, **actions})
    assert set(metric_alarm(plugin, alarm["name"])["AlarmActions"]) == set(TOPICS)
    turned = {**alarm, "alarmActions": TOPICS, "okActions": [TOPICS[0], TOPICS[2]]}
    assert not difference(plugin, ALARM, made, turned).diffs
    assert not difference(plugin, ALARM, made, {**alarm, **actions}).diffs
    fewer = {**turned, "alarmActions": TOPICS[:2]}
    assert list(difference(plugin, ALARM, made, fewer).diffs) == ["alarmActions"]
    updated = plugin.update(ALARM, alarm["name"], made, fewer)
    assert updated["alarmActions"] == TOPICS[:2]
    assert updated["okActions"] == [TOPICS[0], TOPICS[2]]


def test_tags_of_an_alarm_change_and_the_alarm_is_not_put_again(
    plugin: Plugin, alarm: Properties, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = plugin.create(ALARM, {**alarm, "tags": {"a": "1", "b": "2"}})
    with monkeypatch.context() as patch:
        client = plugin.client("cloudwatch")
        patch.setattr(client, "put_metric_alarm", lambda **_: pytest.fail("it was put again"))
        updated = plugin.update(ALARM, alarm["name"], made, {**alarm, "tags": {"b": "3"}})
    assert tags_of(plugin, "cloudwatch", made["arn"]) == updated["tags"] == {"b": "3"}


def test_actions_that_are_switched_off_stay_off(plugin: Plugin, alarm: Properties) -> None:
    _, made = plugin.create(ALARM, {**alarm, "actionsEnabled": False})
    assert (made["actionsEnabled"], metric_alarm(plugin, alarm["name"])["ActionsEnabled"]) == (False, False)
    assert list(difference(plugin, ALARM, made, alarm).diffs) == ["actionsEnabled"]
    assert plugin.update(ALARM, alarm["name"], made, alarm)["actionsEnabled"] is True
    assert metric_alarm(plugin, alarm["name"])["ActionsEnabled"] is True


def test_another_name_replaces_an_alarm(plugin: Plugin, alarm: Properties) -> None:
    _, made = plugin.create(ALARM, alarm)
    assert list(difference(plugin, ALARM, made, {**alarm, "name": "other"}).replaces) == ["name"]
    del alarm["name"]
    assert re.fullmatch(r"it-[0-9a-f]{7}", plugin.inputs(ALARM, alarm)["name"])


def test_a_deleted_alarm_reads_as_missing_and_can_be_deleted_again(plugin: Plugin, alarm: Properties) -> None:
    _, made = plugin.create(ALARM, alarm)
    delete(plugin, ALARM, made)
    assert metric_alarm(plugin, alarm["name"]) is None
    assert not refreshed(plugin, ALARM, made, alarm).id
    delete(plugin, ALARM, made)


def test_an_alarm_that_aws_refuses_fails_in_the_provider_s_words(
    plugin: Plugin, alarm: Properties, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ClientError({"Error": {"Code": "LimitExceeded", "Message": "no more"}}, "PutMetricAlarm")
    client = plugin.client("cloudwatch")

    def refuse(**_: Any) -> None:
        raise error

    monkeypatch.setattr(client, "put_metric_alarm", refuse)
    with pytest.raises(RefusedError) as caught:
        plugin.create(ALARM, alarm)
    begin = f"creating CloudWatch Metric Alarm: ID: {alarm['name']}\nCause: operation error"
    assert begin in str(caught.value)
    assert "PutMetricAlarm, LimitExceeded: no more" in str(caught.value)
    assert caught.value.recorded == {}


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"comparisonOperator": "Greater"}, 'expected comparison_operator to be one of ["GreaterThanOrEqual'),
        ({"comparisonOperator": None}, 'The argument "comparison_operator" is required'),
        ({"evaluationPeriods": None}, 'The argument "evaluation_periods" is required'),
        ({"evaluationPeriods": 0}, "expected evaluation_periods to be at least (1), got 0"),
        ({"datapointsToAlarm": 0}, "expected datapoints_to_alarm to be at least (1), got 0"),
        ({"period": 15}, "expected period to be divisible by 60, got: 15"),
        ({"statistic": "Median"}, "expected statistic to be one of ["),
        ({"statistic": None}, "One of `statistic` or `extended_statistic` must be set"),
        ({"extendedStatistic": "p90"}, '"extended_statistic": conflicts with statistic'),
        ({"statistic": None, "extendedStatistic": "half"}, "invalid value for extended_statistic"),
        ({"treatMissingData": "maybe"}, "expected treat_missing_data to be one of ["),
        ({"alarmActions": ["topic"]}, '"alarm_actions" is an invalid ARN: arn: invalid prefix'),
        ({"okActions": TOPICS * 2}, "ok_actions supports 5 item maximum, but config has 6 declared"),
        ({"alarmDescription": "a" * 1025}, "expected length of alarm_description to be in the range (0 - 1"),
        ({"name": "a" * 256}, "expected length of alarm_name to be in the range (1 - 255), got 256"),
        ({"thresholdMetricId": "e1"}, "has alarms on one metric only"),
    ],
)
def test_an_alarm_that_cannot_be_is_refused_in_the_preview(
    plugin: Plugin, alarm: Properties, change: Properties, about: str
) -> None:
    assert refusals(plugin, ALARM, alarm) == []
    assert any(about in reason for reason in refusals(plugin, ALARM, {**alarm, **change}))


@pytest.mark.parametrize("statistic", ["p90", "p99.9", "p100", "tm90", "IQM", "TM(10%:90%)", "PR(:300)"])
def test_percentiles_are_statistics_too(plugin: Plugin, alarm: Properties, statistic: str) -> None:
    del alarm["statistic"]
    assert refusals(plugin, ALARM, {**alarm, "extendedStatistic": statistic}) == []


def test_unknown_alarm_inputs_pass_the_preview(plugin: Plugin, alarm: Properties) -> None:
    unknown = {part: UNKNOWN for part in alarm if part != "statistic"}
    assert refusals(plugin, ALARM, {**alarm, **unknown, "alarmActions": [UNKNOWN]}) == []
    assert refusals(plugin, ALARM, {**alarm, "statistic": UNKNOWN}) == []


def test_an_alarm_is_imported_by_its_name(plugin: Plugin, alarm: Properties) -> None:
    given = {**alarm, "threshold": 2, "alarmActions": TOPICS, "tags": {"team": "a"}}
    plugin.create(ALARM, given)
    found = plugin.read(ALARM, alarm["name"])
    assert found.id == alarm["name"]
    inputs = json_format.MessageToDict(found.inputs)
    assert inputs["dimensions"]["FunctionName"] == "rotate"
    assert {part: inputs[part] for part in ("metricName", "threshold", "alarmActions")} == {
        "metricName": "Errors",
        "threshold": 2,
        "alarmActions": TOPICS,
    }
    assert not difference(plugin, ALARM, from_struct(found.properties), given).diffs
    assert not plugin.read(ALARM, f"{alarm['name']}-2").id
