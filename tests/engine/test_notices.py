"""A daily message about secrets that need attention, from the stack file to the topic's subscribers."""

import json
import re
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulator_functions import until
from tests.support.emulator_process import Emulator
from tests.support.stacks import Stack

SECRETS = {
    "app": {"values": {"KEY_BASE": {"random": {"length": 40, "special": False}}}, "maxAgeDays": 365},
    "vendor": {"values": {"TOKEN": {"filledByHand": "Vendor > API", "expires": "2020-01-31"}}},
}
PARTS = ("log-group", "role", "policy", "function", "rule", "permission", "target", "alarm")


def subscribed(stack: Stack) -> tuple[str, str]:
    """Create a topic with a queue; return the topic's ARN and the queue's URL."""
    topic: str = stack.client("sns").create_topic(Name="alerts")["TopicArn"]
    sqs = stack.client("sqs")
    queue: str = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, queue


def run_schedules(emulator: Emulator) -> list[str]:
    request = urllib.request.Request(f"{emulator.endpoint}/_localcloud/run-schedules", data=b"{}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        called: list[str] = json.load(answer)["called"]
    return called


def ended(emulator: Emulator) -> int:
    return len(re.findall(r"^lambda notices-.* succeeded", emulator.log.read_text(), re.MULTILINE))


def received(stack: Stack, queue: str) -> list[dict[str, Any]]:
    sqs, found = stack.client("sqs"), []
    for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        found.append(json.loads(message["Body"]))
    return found


def test_a_message_arrives_while_a_secret_needs_attention(stack: Stack, emulator: Emulator) -> None:
    topic, queue = subscribed(stack)
    stack.configure(SECRETS, notices={"topicArn": topic})
    assert {f"create notices-{part}" for part in PARTS} <= set(stack.up())

    [rule] = run_schedules(emulator)
    assert rule.startswith("notices-rule")
    until(lambda: ended(emulator) == 1)
    [message] = received(stack, queue)
    assert message["Subject"] == "1 of 2 secrets of aws-secrets/test needs attention"
    assert "- vendor: TOKEN is not filled in yet. Get the value here: Vendor > API." in message["Message"]
    assert "(account 123456789012, us-east-1)" in message["Message"]

    token = stack.edit("vendor", TOKEN="planted-token-5d20")["TOKEN"]
    run_schedules(emulator)
    until(lambda: ended(emulator) == 2)
    [message] = received(stack, queue)
    assert "- vendor: TOKEN expired on 2020-01-31" in message["Message"]
    shown = json.dumps(message) + stack.function_log() + emulator.log.read_text()
    for value in (token, stack.value("app")["KEY_BASE"]):
        assert value not in shown

    the_role_may_do_nothing_else(stack, topic)

    renewed = json.loads(json.dumps(SECRETS).replace("2020-01-31", "2999-01-31"))
    stack.configure(renewed, notices={"topicArn": topic})
    assert stack.up() == ["update notices-function"]
    run_schedules(emulator)
    until(lambda: ended(emulator) == 3)
    assert received(stack, queue) == []

    stack.configure(renewed)
    assert set(stack.up()) == {f"delete notices-{part}" for part in PARTS}
    assert run_schedules(emulator) == []


def the_role_may_do_nothing_else(stack: Stack, topic: str) -> None:
    iam = stack.client("iam")
    [role] = [one for one in iam.list_roles()["Roles"] if one["RoleName"].startswith("notices-role")]
    me = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [me]})
    iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust)
    taken = stack.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="function")["Credentials"]
    secrets, topics = stack.client(credentials=taken), stack.client("sns", credentials=taken)
    stack.client().create_secret(Name="application", SecretString="of another stack")
    other = topic.replace(":alerts", ":others")
    email = {"Protocol": "email", "Endpoint": "a@example.com"}
    refused: Any = (
        lambda: secrets.get_secret_value(SecretId="app"),
        lambda: secrets.put_secret_value(SecretId="app", SecretString="x"),
        lambda: secrets.describe_secret(SecretId="application"),
        lambda: topics.publish(TopicArn=other, Message="x"),
        lambda: topics.subscribe(TopicArn=topic, **email),
    )
    for call in refused:
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
    assert secrets.describe_secret(SecretId="app")["Name"] == "app"
