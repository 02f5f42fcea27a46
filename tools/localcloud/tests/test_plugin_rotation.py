# ruff: noqa: ANN401  boto3, protobuf and property values are of any type
"""SecretRotation in the stand-in aws plugin, against an emulator that really rotates."""

import json
import threading
import time
import urllib.request
import uuid
from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from tests.support.emulator_functions import ACCOUNT, deploy, logged, until, zipped
from tests.support.emulator_process import Emulator
from tools.localcloud.plugins.values import UNKNOWN, Properties, from_struct, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, refusals, urn

pytestmark = pytest.mark.usefixtures("surroundings", "without_patience")

ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
SOURCE = """
import boto3

def handle(event, context):
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    print("step", step, secret)
    sm = boto3.client("secretsmanager")
    stages = sm.describe_secret(SecretId=secret)["VersionIdsToStages"]
    current = next((version for version, labels in stages.items() if "AWSCURRENT" in labels), None)
    if step == "createSecret":
        sm.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString="made for " + token,
                            VersionStages=["AWSPENDING"])
    if step == "finishSecret":
        before = {"RemoveFromVersionId": current} if current else {}
        sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                       **before)
"""
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]


def permit(plugin: Plugin, function: str) -> None:
    plugin.client("lambda").add_permission(
        FunctionName=function,
        StatementId="rotation",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=ACCOUNT,
    )


@pytest.fixture(scope="module")
def function(emulator: Emulator, plugin: Plugin) -> str:
    arn = deploy(emulator, "rotate", zipped(SOURCE))
    permit(plugin, arn)
    return arn


@pytest.fixture
def secret(plugin: Plugin) -> str:
    name = f"app/{uuid.uuid4()}"
    return str(plugin.client("secretsmanager").create_secret(Name=name, SecretString="first")["ARN"])


@pytest.fixture
def given(function: str, secret: str) -> Properties:
    """Return inputs that rotate every 30 days, and not at once."""
    return {
        "secretId": secret,
        "rotationLambdaArn": function,
        "rotateImmediately": False,
        "rotationRules": {"automaticallyAfterDays": 30},
    }


def described(plugin: Plugin, secret: str) -> Any:
    return plugin.client("secretsmanager").describe_secret(SecretId=secret)


def versions(plugin: Plugin, secret: str) -> dict[str, set[str]]:
    stages = described(plugin, secret)["VersionIdsToStages"]
    return {version: set(labels) for version, labels in stages.items()}


def value(plugin: Plugin, secret: str) -> Any:
    return plugin.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]


def steps(emulator: Emulator, secret: str) -> list[str]:
    lines = [line.split() for line in logged(emulator, "/aws/lambda/rotate")]
    return [line[1] for line in lines if len(line) == 3 and line[0] == "step" and line[2] == secret]


def wait(emulator: Emulator, secret: str) -> None:
    """Wait until no rotation of this secret is in progress."""

    def is_over() -> bool:
        with urllib.request.urlopen(f"{emulator.endpoint}/_localcloud/rotations", timeout=60) as answer:
            return all(one["SecretId"] != secret for one in json.load(answer)["unfinished"])

    until(is_over)


def refreshed(plugin: Plugin, olds: Properties, properties: Properties) -> Any:
    """Read as `pulumi refresh` does: with the properties in the state."""
    inputs = plugin.inputs(ROTATION, properties)
    request = provider_pb2.ReadRequest(
        urn=urn(ROTATION), id=olds["id"], properties=to_struct(olds), inputs=to_struct(inputs)
    )
    return plugin.servicer.Read(request, Context())


def delete(plugin: Plugin, olds: Properties) -> None:
    request = provider_pb2.DeleteRequest(urn=urn(ROTATION), id=olds["id"], properties=to_struct(olds))
    plugin.servicer.Delete(request, Context())


def test_attached_it_rotates_at_once_unless_told_otherwise(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    asked = {name: item for name, item in given.items() if name != "rotateImmediately"}
    inputs = plugin.inputs(ROTATION, asked)
    assert (inputs["rotateImmediately"], inputs["__defaults"]) == (True, ["rotateImmediately"])
    identity, made = plugin.create(ROTATION, asked)
    wait(emulator, secret)
    assert identity == secret
    assert made["rotationRules"] == {"automaticallyAfterDays": 30, "duration": "", "scheduleExpression": ""}
    assert steps(emulator, secret) == STEPS
    assert value(plugin, secret).startswith("made for terraform-")
    assert not difference(plugin, ROTATION, made, asked).diffs


def test_changing_the_kind_of_schedule_updates_in_place_without_rotating(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    _, state = plugin.create(ROTATION, given)
    wait(emulator, secret)
    before = versions(plugin, secret)
    expression = {"scheduleExpression": "cron(0 16 1,15 * ? *)", "duration": "2h"}
    for rules, paths in (
        (expression, {"automaticallyAfterDays", "duration", "scheduleExpression"}),
        ({"automaticallyAfterDays": 7}, {"automaticallyAfterDays", "duration", "scheduleExpression"}),
        ({"automaticallyAfterDays": 8}, {"automaticallyAfterDays"}),
    ):
        changed = {**given, "rotationRules": rules}
        found = difference(plugin, ROTATION, state, changed)
        assert set(found.detailedDiff) == {f"rotationRules.{path}" for path in paths}
        assert list(found.replaces) == []
        state = plugin.update(ROTATION, secret, state, changed)
        wait(emulator, secret)
        assert {part: item for part, item in state["rotationRules"].items() if item} == rules
        assert not difference(plugin, ROTATION, state, changed).diffs
    assert described(plugin, secret)["RotationRules"] == {"AutomaticallyAfterDays": 8}
    assert versions(plugin, secret) == before
    assert value(plugin, secret) == "first"
    assert set(steps(emulator, secret)) == {"testSecret"}


def test_changing_rotate_immediately_alone_changes_nothing_in_aws(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    before = steps(emulator, secret)
    changed = {**given, "rotateImmediately": True}
    assert list(difference(plugin, ROTATION, made, changed).diffs) == ["rotateImmediately"]
    updated = plugin.update(ROTATION, secret, made, changed)
    assert updated["rotateImmediately"] is True
    wait(emulator, secret)
    assert steps(emulator, secret) == before
    assert value(plugin, secret) == "first"


def test_another_function_is_attached_in_place(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    other = deploy(emulator, f"f{uuid.uuid4().hex}", zipped(SOURCE))
    permit(plugin, other)
    changed = {**given, "rotationLambdaArn": other}
    assert list(difference(plugin, ROTATION, made, changed).replaces) == []
    assert plugin.update(ROTATION, secret, made, changed)["rotationLambdaArn"] == other
    assert described(plugin, secret)["RotationLambdaARN"] == other
    wait(emulator, secret)


def test_a_secret_without_a_value_gets_its_first_one_by_rotating(
    emulator: Emulator, plugin: Plugin, given: Properties
) -> None:
    empty = plugin.client("secretsmanager").create_secret(Name=f"app/{uuid.uuid4()}")["ARN"]
    asked = {**given, "secretId": empty, "rotateImmediately": True}
    _, made = plugin.create(ROTATION, asked)
    wait(emulator, empty)
    assert value(plugin, empty).startswith("made for ")
    assert from_struct(refreshed(plugin, made, asked).properties) == made


def test_a_secret_given_by_name_is_known_by_its_arn(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    name = described(plugin, secret)["Name"]
    identity, made = plugin.create(ROTATION, {**given, "secretId": name})
    assert identity == made["secretId"] == secret
    wait(emulator, secret)


def test_another_secret_replaces_it(plugin: Plugin, given: Properties) -> None:
    _, made = plugin.create(ROTATION, given)
    found = difference(plugin, ROTATION, made, {**given, "secretId": f"{given['secretId']}2"})
    assert list(found.replaces) == ["secretId"]


@pytest.mark.parametrize(
    "rules",
    [
        {"automaticallyAfterDays": 30},
        {"scheduleExpression": "rate(10 days)"},
        {"scheduleExpression": "cron(0 16 1,15 * ? *)", "duration": "2h"},
    ],
)
def test_read_after_three_rotations_it_shows_no_change(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str, rules: Properties
) -> None:
    given = {**given, "rotationRules": rules}
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    for _ in range(3):
        plugin.client("secretsmanager").rotate_secret(SecretId=secret)
        wait(emulator, secret)
    assert steps(emulator, secret).count("finishSecret") == 3
    read = refreshed(plugin, made, given)
    assert from_struct(read.properties) == made
    assert from_struct(read.inputs) == plugin.inputs(ROTATION, given)
    assert not difference(plugin, ROTATION, from_struct(read.properties), given).diffs


def test_a_schedule_changed_outside_is_seen_and_put_back(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    outside = {"ScheduleExpression": "rate(4 days)"}
    plugin.client("secretsmanager").rotate_secret(
        SecretId=secret, RotateImmediately=False, RotationRules=outside
    )
    wait(emulator, secret)
    found = from_struct(refreshed(plugin, made, given).properties)
    assert found["rotationRules"]["scheduleExpression"] == "rate(4 days)"
    assert list(difference(plugin, ROTATION, found, given).diffs) == ["rotationRules"]
    plugin.update(ROTATION, secret, found, given)
    assert described(plugin, secret)["RotationRules"] == {"AutomaticallyAfterDays": 30}
    wait(emulator, secret)


def test_deleted_it_is_cancelled_and_leaves_value_and_labels(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    plugin.client("secretsmanager").rotate_secret(SecretId=secret)
    wait(emulator, secret)
    before, live = versions(plugin, secret), value(plugin, secret)
    delete(plugin, made)
    assert not described(plugin, secret)["RotationEnabled"]
    assert versions(plugin, secret) == before
    assert value(plugin, secret) == live != "first"


def test_a_rotation_cancelled_outside_is_attached_again(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    plugin.client("secretsmanager").cancel_rotate_secret(SecretId=secret)
    read = refreshed(plugin, made, given)
    found = from_struct(read.properties)
    assert read.id == made["id"]
    assert (found["rotationEnabled"], found["rotationLambdaArn"]) == (False, "")
    assert found["rotationRules"] is None
    differing = difference(plugin, ROTATION, found, given)
    assert set(differing.diffs) == {"rotationLambdaArn", "rotationRules"}
    assert not differing.replaces
    again = plugin.update(ROTATION, read.id, found, given)
    assert again == made
    assert described(plugin, secret)["RotationEnabled"]
    wait(emulator, secret)


@pytest.mark.parametrize("at_once", [True, False])
def test_it_reads_as_gone_with_its_secret(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str, *, at_once: bool
) -> None:
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    plugin.client("secretsmanager").delete_secret(
        SecretId=secret, **({"ForceDeleteWithoutRecovery": True} if at_once else {"RecoveryWindowInDays": 7})
    )
    assert not refreshed(plugin, made, given).id
    with pytest.raises(RefusedError) as caught:
        delete(plugin, made)
    assert f"deleting Secret Manager Secret Rotation ({secret}): operation error" in str(caught.value)


# What is refused


def test_a_function_without_a_permission_for_secrets_manager_is_not_attached(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    closed = deploy(emulator, f"f{uuid.uuid4().hex}", zipped(SOURCE))
    with pytest.raises(RefusedError) as caught:
        plugin.create(ROTATION, {**given, "rotationLambdaArn": closed})
    text = str(caught.value)
    assert f"creating Secrets Manager Secret Rotation ({secret}): operation error Secrets Manager" in text
    assert "AccessDeniedException: Secrets Manager cannot invoke the specified Lambda function" in text
    assert caught.value.recorded == {}  # so that the engine creates it at the next try
    assert "RotationEnabled" not in described(plugin, secret)
    assert len(versions(plugin, secret)) == 1


def test_a_permission_given_while_the_plugin_tries_is_enough(
    emulator: Emulator,
    plugin: Plugin,
    given: Properties,
    secret: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tools.localcloud.plugins.aws.retries.SECONDS", 30)
    late = deploy(emulator, f"f{uuid.uuid4().hex}", zipped(SOURCE))

    def add_permission() -> None:
        time.sleep(0.3)
        permit(plugin, late)

    thread = threading.Thread(target=add_permission)
    thread.start()
    _, made = plugin.create(ROTATION, {**given, "rotationLambdaArn": late})
    thread.join()
    assert made["rotationLambdaArn"] == late == described(plugin, secret)["RotationLambdaARN"]
    wait(emulator, secret)


def test_a_secret_and_a_function_that_are_not_there_are_refused(
    plugin: Plugin, given: Properties, function: str, secret: str
) -> None:
    with pytest.raises(RefusedError, match="ResourceNotFoundException"):
        plugin.create(ROTATION, {**given, "secretId": "not-there"})
    with pytest.raises(RefusedError, match="AccessDeniedException"):
        plugin.create(ROTATION, {**given, "rotationLambdaArn": f"{function}-not-there"})
    assert "RotationEnabled" not in described(plugin, secret)


def test_an_update_that_is_refused_leaves_what_was_attached(
    emulator: Emulator, plugin: Plugin, given: Properties, function: str, secret: str
) -> None:
    _, made = plugin.create(ROTATION, given)
    wait(emulator, secret)
    closed = deploy(emulator, f"f{uuid.uuid4().hex}", zipped(SOURCE))
    with pytest.raises(RefusedError) as caught:
        plugin.update(ROTATION, secret, made, {**given, "rotationLambdaArn": closed})
    assert f"updating Secrets Manager Secret Rotation ({secret}): " in str(caught.value)
    assert described(plugin, secret)["RotationLambdaARN"] == function


def test_while_a_rotation_is_not_over_an_update_is_refused(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    broken = deploy(emulator, f"f{uuid.uuid4().hex}", zipped("raise RuntimeError"))
    permit(plugin, broken)
    asked = {**given, "rotationLambdaArn": broken, "rotateImmediately": True}
    _, made = plugin.create(ROTATION, asked)
    with pytest.raises(RefusedError, match="InvalidRequestException: A previous rotation isn't complete"):
        plugin.update(ROTATION, secret, made, {**asked, "rotationRules": {"automaticallyAfterDays": 5}})
    delete(plugin, made)
    assert value(plugin, secret) == "first"


@pytest.mark.parametrize(
    ("rules", "about"),
    [
        ({}, "one of `rotation_rules.0.automatically_after_days,rotation_rules.0.schedule_expression` must"),
        ({"automaticallyAfterDays": 1, "scheduleExpression": "rate(1 day)"}, "only one of `rotation_rules.0"),
        ({"automaticallyAfterDays": 0}, "automatically_after_days to be in the range (1 - 1000), got 0"),
        ({"automaticallyAfterDays": 1001}, "to be in the range (1 - 1000), got 1001"),
        ({"automaticallyAfterDays": 1, "duration": "two"}, "expected value of rotation_rules.0.duration to"),
        ({"scheduleExpression": "!"}, "expected value of rotation_rules.0.schedule_expression to match"),
    ],
)
def test_an_empty_or_contradictory_schedule_fails_the_preview(
    plugin: Plugin, rules: Properties, about: str
) -> None:
    given = {"secretId": "s", "rotationRules": rules}
    (reason,) = refusals(plugin, ROTATION, given)
    assert about in reason


def test_what_a_preview_does_not_know_is_not_refused(plugin: Plugin) -> None:
    for rules in (UNKNOWN, {"scheduleExpression": UNKNOWN}, {"automaticallyAfterDays": UNKNOWN}):
        given = {"secretId": UNKNOWN, "rotationLambdaArn": UNKNOWN, "rotationRules": rules}
        assert refusals(plugin, ROTATION, given) == []


@pytest.mark.parametrize(
    ("arn", "about"),
    [
        ("rotate", "arn: invalid prefix"),
        ("arn:aws:lambda", "arn: not enough sections"),
        ("arn:AWS:lambda:us-east-1:123456789012:function:f", "invalid partition value"),
        ("arn:aws:lambda:useast1:123456789012:function:f", "invalid region value"),
        ("arn:aws:lambda:us-east-1:1234:function:f", "invalid account ID value"),
        ("arn:aws:lambda:us-east-1:123456789012:", "missing resource value"),
    ],
)
def test_a_function_that_is_no_arn_is_refused_in_the_preview(plugin: Plugin, arn: str, about: str) -> None:
    given = {"secretId": "s", "rotationLambdaArn": arn, "rotationRules": {"automaticallyAfterDays": 1}}
    (reason,) = refusals(plugin, ROTATION, given)
    assert f'"rotation_lambda_arn" is an invalid ARN: {about}' in reason


# Import


def test_it_is_imported_by_the_secret_s_arn(
    emulator: Emulator, plugin: Plugin, given: Properties, secret: str
) -> None:
    plugin.create(ROTATION, given)
    wait(emulator, secret)
    found = plugin.read(ROTATION, secret)
    assert found.id == secret
    inputs = json_format.MessageToDict(found.inputs)
    assert inputs["secretId"] == secret
    assert inputs["rotationLambdaArn"] == given["rotationLambdaArn"]
    assert inputs["rotationRules"]["automaticallyAfterDays"] == 30
    differing = difference(plugin, ROTATION, from_struct(found.properties), given).diffs
    assert list(differing) == ["rotateImmediately"]  # AWS does not tell it


def test_a_secret_that_does_not_rotate_is_imported_as_off(plugin: Plugin, secret: str) -> None:
    assert from_struct(plugin.read(ROTATION, secret).properties)["rotationEnabled"] is False
    assert not plugin.read(ROTATION, f"{secret}-not-there").id
