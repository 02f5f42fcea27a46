"""From the first update to the last, and what AWS keeps afterwards."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.engine.shops import Shop
from tests.engine.stacks import CONFIGURED, Stack
from tests.example_project import config

SNAPSHOT = Path(__file__).parents[1] / "unit" / "example_urns.txt"
ONE = {"app": {"values": {"PASSWORD": {"random": {"length": 24}}}}}


def test_the_example_holds_what_a_rails_team_needs_and_a_second_update_does_nothing(stack: Stack) -> None:
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
    declared = [resource for resource in state["deployment"]["resources"] if resource["urn"] in custom]
    assert [resource["urn"] for resource in declared if not _of_this_project(resource)] == []


def _of_this_project(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is recorded with the line that declares it, and no frame of anything else."""
    frames = [frame["sourcePosition"] for frame in resource["stackTrace"]]
    ours = all(frame.startswith(("project:///components/", "project:///program/")) for frame in frames)
    return ours and 1 <= len(frames) <= 3 and resource["sourcePosition"] == frames[0]


def test_debug_messages_of_the_sdk_are_sent_to_those_who_ask_for_them(stack: Stack) -> None:
    stack.configure(ONE, encryption="aws-managed")
    message = "registering resource: ty=aws:secretsmanager/secret:Secret, name=app-secret"
    assert message not in stack.pulumi("preview", "--debug").stdout
    assert message in stack.pulumi("preview", environment={"PULUMI_OPTION_DEBUG": "true"}).stdout


def test_destroy_leaves_the_recovery_window_and_a_new_update_names_the_remedy(stack: Stack) -> None:
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


def test_without_a_recovery_window_destroy_leaves_nothing_and_the_name_is_free(stack: Stack) -> None:
    stack.configure(ONE, recoveryWindowDays=0, encryption="aws-managed")
    stack.up()
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.client().list_secrets(IncludePlannedDeletion=True)["SecretList"] == []
    stack.up()
    assert len(stack.value("app")["PASSWORD"]) == 24


def test_a_protected_secret_is_not_deleted_by_taking_it_out_of_the_stack_file(stack: Stack) -> None:
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
    # the provider leaves a replica that is no longer named; docs/stack-file.md says so
    assert stack.client().describe_secret(SecretId="app")["ReplicationStatus"]
    stack.pulumi("destroy", "--yes", "--skip-preview")
    with pytest.raises(ClientError):
        stack.client(region="eu-west-1").get_secret_value(SecretId="app")


def test_names_with_slashes_and_every_other_character_that_aws_takes(stack: Stack) -> None:
    names = ["team/app/db", "a_b+c=d.e@f-g", "-", "x" * 512]
    stack.configure({name: {"values": {"k/e.y-1": {"value": name[:3]}}} for name in names})
    stack.up()
    for name in names:
        assert stack.value(name) == {"k/e.y-1": name[:3]}
    assert stack.up() == []


def test_forty_secrets_at_once_are_each_right(stack: Stack) -> None:
    # the state is written once, not after each of 200 steps: crashes are tested elsewhere
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
