"""A stack's life from the first update to destroy, and what AWS keeps afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.example_project import config
from tests.support.shops import Shop
from tests.support.stacks import CONFIGURED, Stack

SNAPSHOT = Path(__file__).parents[1] / "unit" / "example_urns.txt"
ONE = {"app": {"values": {"PASSWORD": {"random": {"length": 24}}}}}


def test_the_example_is_complete_and_a_second_update_changes_nothing(stack: Stack) -> None:
    created = stack.up()
    assert len(created) == 7
    assert all(step.startswith("create ") for step in created)
    app = stack.value("example-app-secret")
    assert app.keys() == {"SECRET_KEY_BASE", "RAILS_ENV", "STRIPE_KEY"}
    assert len(app["SECRET_KEY_BASE"]) == 32
    assert app["SECRET_KEY_BASE"].isalnum()
    assert app["RAILS_ENV"] == "production"
    assert app["STRIPE_KEY"] == CONFIGURED
    assert stack.value("example-prismic") == {"PRISMIC_ACCESS_TOKEN": ""}
    outputs_lead_any_aws_client_to_the_secrets_and_hold_no_value(stack)
    assert stack.refresh() == []
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def outputs_lead_any_aws_client_to_the_secrets_and_hold_no_value(stack: Stack) -> None:
    outputs = json.loads(stack.pulumi("stack", "output", "--json").stdout)
    arn = outputs["secrets"]["example-app-secret"]["arn"]
    assert stack.value(arn) == stack.value("example-app-secret")
    assert outputs["secrets"]["example-app-secret"]["references"]["RAILS_ENV"] == f"{arn}:RAILS_ENV::"
    printed = stack.pulumi("stack", "output", "--json", "--show-secrets").stdout
    assert stack.value(arn)["SECRET_KEY_BASE"] not in printed
    assert CONFIGURED not in printed


def test_every_urn_in_the_state_is_as_in_the_snapshot(stack: Stack, shop: Shop) -> None:
    example = config("local")
    login = {"username": shop.username, "database": shop.database}
    server = {"rdsInstance": "shop", "certificateAuthorities": str(shop.server.ca_file)}
    databases = {
        name: {**server, "logins": dict.fromkeys(declared["logins"], login)}
        for name, declared in example["aws-secrets:databases"].items()
    }
    stack.configure(
        example["aws-secrets:secrets"], databases=databases, workloads=example["aws-secrets:workloads"]
    )
    stack.up()
    state = json.loads(stack.pulumi("stack", "export").stdout)
    urns = {
        resource["urn"]
        for resource in state["deployment"]["resources"]
        if "pulumi:pulumi:" not in resource["type"]
    }
    custom = {urn for urn in urns if "pulumi:providers:" not in urn}
    assert custom == set(SNAPSHOT.read_text().splitlines())
    positions = {"sourcePosition", "stackTrace"}
    with_positions = [
        resource["urn"]
        for resource in state["deployment"]["resources"]
        if resource["urn"] in custom and positions & resource.keys()
    ]
    assert with_positions == []


def test_debug_messages_are_sent_on_request(stack: Stack) -> None:
    stack.configure(ONE, encryption="aws-managed")
    message = "registering resource: ty=aws:secretsmanager/secret:Secret, name=app-secret"
    assert message not in stack.pulumi("preview", "--debug").stdout
    assert message in stack.pulumi("preview", environment={"PULUMI_OPTION_DEBUG": "true"}).stdout


def test_an_update_after_destroy_names_the_remedy(stack: Stack) -> None:
    stack.configure(ONE, recoveryWindowDays=7, encryption="aws-managed")
    stack.up()
    stack.pulumi("destroy", "--yes", "--skip-preview")
    with pytest.raises(ClientError, match="marked for deletion"):
        stack.client().get_secret_value(SecretId="app")
    listed = stack.client().list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert [secret["Name"] for secret in listed] == ["app"]
    assert listed[0]["DeletedDate"]
    failed = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "scheduled for deletion" in failed.stdout
    assert "restore-secret --secret-id app" in failed.stdout
    assert "Traceback" not in failed.stdout


def test_destroy_without_recovery_window_frees_the_name(stack: Stack) -> None:
    stack.configure(ONE, recoveryWindowDays=0, encryption="aws-managed")
    stack.up()
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.client().list_secrets(IncludePlannedDeletion=True)["SecretList"] == []
    stack.up()
    assert len(stack.value("app")["PASSWORD"]) == 24


def test_a_protected_secret_survives_its_removal_from_the_stack_file(stack: Stack) -> None:
    other = {"other": {"values": {"K": {"value": "v"}}}}
    stack.configure({**ONE, **other}, protect=True)
    stack.up()
    live = stack.value("app")
    stack.configure(other, protect=True)
    refused = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert refused.returncode != 0
    assert "protect" in refused.stdout
    assert stack.value("app") == live


def test_policy_and_replica_follow_the_stack_file(stack: Stack) -> None:
    reader = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    full = {**ONE["app"], "policy": {"Statement": [reader]}, "replicas": [{"region": "eu-west-1"}]}
    stack.configure({"app": full})
    stack.up()
    policy = json.loads(stack.client().get_resource_policy(SecretId="app")["ResourcePolicy"])
    assert policy["Statement"][0]["Principal"] == reader["Principal"]
    copied = stack.client(region="eu-west-1").get_secret_value(SecretId="app")["SecretString"]
    assert json.loads(copied) == stack.value("app")
    assert stack.preview("--refresh") == []
    stack.configure(ONE)
    stack.up()
    assert "ResourcePolicy" not in stack.client().get_resource_policy(SecretId="app")
    # the provider leaves the last replica when it is no longer declared (docs/stack-file.md)
    assert stack.client().describe_secret(SecretId="app")["ReplicationStatus"]
    stack.pulumi("destroy", "--yes", "--skip-preview")
    with pytest.raises(ClientError):
        stack.client(region="eu-west-1").get_secret_value(SecretId="app")


def test_names_may_have_every_character_that_aws_accepts(stack: Stack) -> None:
    names = ["team/app/db", "a_b+c=d.e@f-g", "-", "x" * 512]
    stack.configure({name: {"values": {"k/e.y-1": {"value": name[:3]}}} for name in names})
    stack.up()
    for name in names:
        assert stack.value(name) == {"k/e.y-1": name[:3]}
    assert stack.up() == []


def test_forty_secrets_at_once_are_each_right(stack: Stack) -> None:
    # write the state once, not after each of 200 steps: crashes are tested elsewhere
    quick = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
    stack = replace(stack, environment={**stack.environment, **quick})
    stack.configure(
        {f"app-{n}": {"values": {"ID": {"value": str(n)}, "P": {"random": {}}}} for n in range(40)},
        encryption="aws-managed",
    )
    stack.up()
    passwords = set()
    for n in range(40):
        value = stack.value(f"app-{n}")
        assert value["ID"] == str(n)
        passwords.add(value["P"])
    assert len(passwords) == 40
    assert stack.up() == []
