"""Messages where nothing can be adopted; none of them needs the engine."""

import json
from typing import Any

import pytest
import yaml

from tests.adopt.live import merged, snapshot, thoughtbot
from tests.adopt.running import adopt
from tests.support.stacks import Stack


def state_file(stack: Stack, state: Any) -> str:  # noqa: ANN401  a document
    file = stack.folder / "terraform.tfstate"
    file.write_text(json.dumps(state))
    return str(file)


def test_a_prefix_without_secrets_is_reported(stack: Stack) -> None:
    stack.configure({})
    printed = adopt(stack, "aws", "--prefix", "nothing/", "--dry-run")
    assert "0 secrets can be adopted" in printed
    assert "Nothing was found. Check the prefix, tag, or file" in printed
    assert "next update" not in printed


def test_secrets_of_another_account_or_region_are_left_out(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    text = json.dumps(made.state)
    states = [json.loads(text.replace(":123456789012:secret", ":210987654321:secret"))]
    states.append(json.loads(text.replace("secretsmanager:us-east-1", "secretsmanager:eu-west-1")))
    states.append({**made.state})
    stack.configure({})
    printed = adopt(stack, "terraform", state_file(stack, merged(*states)), "--dry-run", code=1)
    assert "it is in account 210987654321, the credentials are of 123456789012" in printed
    assert "it is in eu-west-1, the stack is in us-east-1" in printed
    assert "1 secret can be adopted" in printed


def test_secrets_that_a_stack_cannot_manage_are_left_out(stack: Stack) -> None:
    client = stack.client()
    client.create_secret(Name="web/empty")
    client.create_secret(Name="web/deleted", SecretString="x")
    client.delete_secret(SecretId="web/deleted", RecoveryWindowInDays=7)
    stack.configure({})
    printed = adopt(stack, "aws", "--prefix", "web/", "--dry-run", code=1)
    assert "web/empty: it has no value yet" in printed
    assert "web/deleted: its deletion is scheduled" in printed


def test_a_public_policy_stays_in_aws_and_is_reported(stack: Stack) -> None:
    thoughtbot(stack, "app")
    everyone = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    stack.client().put_resource_policy(
        SecretId="app", ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [everyone]})
    )
    stack.configure({})
    printed = adopt(stack, "aws", "--prefix", "app", "--dry-run")
    assert "its policy stays in AWS as it is and is not managed" in printed
    assert "grants access to everyone" in printed


DAMAGED = {
    "missing": (None, "cannot be read"),
    "cut-off": ('{"version": 4, "resources": [', "damaged or cut off"),
    "newer": ('{"version": 9}', "newer than 4"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_state_that_cannot_be_read_ends_with_3(stack: Stack, kind: str) -> None:
    text, words = DAMAGED[kind]
    file = stack.folder / "terraform.tfstate"
    if text is not None:
        file.write_text(text)
    stack.configure({})
    assert words in adopt(stack, "terraform", str(file), "--dry-run", code=3)


def test_a_stack_that_does_not_exist_ends_with_4(stack: Stack) -> None:
    stack.file.unlink()
    assert 'Stack "test" not found' in adopt(stack, "aws", "--prefix", "x", "--dry-run", code=4)


def test_nobody_to_ask_needs_yes(stack: Stack) -> None:
    assert "needs --yes" in adopt(stack, "aws", "--prefix", "x", code=2)
    assert "needs --prefix or --tag" in adopt(stack, "aws", "--dry-run", code=2)


def test_wrong_credentials_end_with_7(stack: Stack) -> None:
    environment = {**stack.environment, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    environment = {key: value for key, value in environment.items() if not key.startswith("AWS_") or value}
    without = Stack(stack.folder, {**environment, "AWS_EC2_METADATA_DISABLED": "true"}, stack.endpoint)
    stack.configure({})
    assert "AWS_PROFILE" in adopt(without, "aws", "--prefix", "x", "--dry-run", code=7)


def test_credentials_of_an_account_that_is_not_allowed_end_with_7(stack: Stack) -> None:
    stack.configure({})
    stack.file.write_text(stack.file.read_text().replace("'123456789012'", "'210987654321'"))
    printed = adopt(stack, "aws", "--prefix", "x", "--dry-run", code=7)
    assert "which the stack file does not allow" in printed


def test_secrets_in_the_project_file_are_not_hidden(stack: Stack) -> None:
    thoughtbot(stack, "app")
    before = snapshot(stack, "app")
    stack.configure({})
    text = stack.file.read_text().replace("  aws-secrets:secrets: {}\n", "")
    stack.file.write_text(text)
    project = stack.folder / "Pulumi.yaml"
    about = yaml.safe_load(project.read_text())
    about["config"]["aws-secrets:secrets"] = {"value": {"own": {"values": {"KEY": {"random": {}}}}}}
    project.write_text(yaml.safe_dump(about))
    assert "Copy them into Pulumi.test.yaml first" in adopt(stack, "aws", "--prefix", "app", "--yes", code=3)
    assert (snapshot(stack, "app"), stack.file.read_text()) == (before, text)
