"""Partner credentials that AWS rotates itself, in AWS, report, and status."""

import json
import os
from contextlib import chdir
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from operations.report import Kind, report
from operations.report.model import plain
from operations.status import status
from tests.support.stacks import Stack

SCHEDULE = "crm-partner-schedule"
VALUES = {"consumerKey": {"value": "a-key"}, "consumerSecret": {"config": "stripeKey"}}
PARTNER: dict[str, Any] = {"type": "SalesforceClientSecret", "metadata": {"apiVersion": "v65.0"}}


def configure(stack: Stack, **changed: object) -> None:
    stack.configure({"crm": {"values": VALUES, "partner": {**PARTNER, **changed}}})


def reported(stack: Stack) -> list[tuple[Kind | None, str]]:
    """Return the dangers and changes in the last command's report."""
    lines = (stack.folder / "events.json").read_text().splitlines()
    found = report([json.loads(line) for line in lines if line.strip()])
    return [
        *((danger.kind, plain(danger.text)) for danger in found.dangers),
        *((None, plain(change.text)) for change in found.changes),
    ]


def problems(stack: Stack) -> list[str]:
    with patch.dict(os.environ, stack.environment, clear=True), chdir(stack.folder):
        [secret] = status("test").secrets
    assert secret.partner == "SalesforceClientSecret"
    return [problem.text for problem in secret.problems]


def test_a_partners_secret_is_typed_attached_and_compared(stack: Stack) -> None:
    configure(stack)
    made = stack.up()
    assert {"create crm-partner-role", "create crm-partner-policy", f"create {SCHEDULE}"} <= set(made)
    client = stack.client()
    described = client.describe_secret(SecretId="crm")
    assert described["Type"] == "SalesforceClientSecret"
    assert described["RotationEnabled"] is True
    assert "RotationLambdaARN" not in described
    assert described["ExternalSecretRotationMetadata"] == [{"Key": "apiVersion", "Value": "v65.0"}]
    assert ":role/crm-partner-role-" in described["ExternalSecretRotationRoleArn"]
    assert stack.version_count("crm") == 1  # and the change rotated nothing
    assert problems(stack) == []
    assert stack.preview() == []

    # later rotations by AWS stay
    client.rotate_secret(SecretId="crm")
    live = stack.edit("crm", consumerSecret="of-a-rotation")
    configure(stack, metadata={"apiVersion": "v66.0"}, rotation={"automaticallyAfterDays": 9})
    assert stack.up() == [f"update {SCHEDULE}"]
    assert (None, "Rotates every 9 days instead of every 30 days") in reported(stack)
    assert any("externalSecretRotationMetadatas" in text for _, text in reported(stack))
    assert stack.value("crm") == live

    other = [{"Key": "apiVersion", "Value": "v1.0"}]
    client.rotate_secret(SecretId="crm", ExternalSecretRotationMetadata=other, RotateImmediately=False)
    assert problems(stack) == [
        "The partner differs: the stack file has apiVersion=v66.0, AWS has apiVersion=v1.0"
    ]
    stack.refresh()
    assert stack.up() == [f"update {SCHEDULE}"]
    assert problems(stack) == []

    configure(stack, type="BigIDClientSecret")
    assert "replace crm-secret" in stack.preview()
    assert Kind.REPLACES_SECRET in [kind for kind, _ in reported(stack)]

    configure(stack, metadata={}, rotation={"enabled": False})
    assert f"delete {SCHEDULE}" in stack.up()
    text = "Rotation is turned off; the secret keeps its current value"
    assert (Kind.REMOVES_ROTATION, text) in reported(stack)
    assert stack.value("crm") == live
    assert problems(stack) == []


def test_a_partners_role_trusts_secrets_manager_only(stack: Stack) -> None:
    client = stack.client()
    client.create_secret(Name="crm", Type="SalesforceClientSecret", SecretString='{"consumerKey": "a"}')
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = stack.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    rules = {"AutomaticallyAfterDays": 30}
    with pytest.raises(ClientError, match="ExternalSecretRotationRoleArn"):
        client.rotate_secret(SecretId="crm", RotationRules=rules)
    with pytest.raises(ClientError, match="cannot assume"):
        client.rotate_secret(SecretId="crm", RotationRules=rules, ExternalSecretRotationRoleArn=role)
