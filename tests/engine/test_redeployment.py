"""A secret's new value reaches the ECS service that reads it, by exactly one deployment."""

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.ecs_services import CLUSTER, SERVICE, deployments, service
from tests.support.emulator_functions import until
from tests.support.emulator_process import Emulator
from tests.support.shops import SECRET, Shop
from tests.support.stacks import Stack

SECRETS = {
    "app": {"values": {"KEY_BASE": {"random": {}}}},
    "vendor": {"values": {"TOKEN": {"filledByHand": "the vendor"}}},
    "other": {"values": {"PASSWORD": {"random": {}}}},
}
WEB = {
    "ecs": {"redeploy": {"cluster": CLUSTER, "service": SERVICE}},
    "environment": {"KEY_BASE": {"secret": "app"}, "TOKEN": {"secret": "vendor"}},
}
MADE = {
    f"create web-redeploy-{role}"
    for role in ("log-group", "role", "policy", "function", "rule", "permission", "target", "alarm")
}


def calls(emulator: Emulator) -> int:
    """Return how often a rule has called a function; counted before the triggering request returns."""
    return len(re.findall(r"^rule web-redeploy-.* is called", emulator.log.read_text(), re.MULTILINE))


def ended(emulator: Emulator) -> int:
    return len(re.findall(r"^lambda web-redeploy-.* succeeded", emulator.log.read_text(), re.MULTILINE))


def test_each_new_value_triggers_exactly_one_deployment(stack: Stack, emulator: Emulator) -> None:
    service(stack)
    service(stack, "worker")
    stack.configure(SECRETS, workloads={"web": WEB})
    assert set(stack.up()) >= MADE
    assert calls(emulator) == 0  # initial values trigger no deployment

    stack.edit("app", KEY_BASE="another")
    until(lambda: ended(emulator) == 1)
    assert deployments(stack) == 1

    secrets = stack.client()
    secrets.put_secret_value(SecretId="app", SecretString="{}", VersionStages=["AWSPENDING"])
    stack.edit("other", PASSWORD="another")
    secrets.update_secret(SecretId="app", Description="another")
    assert calls(emulator) == 1
    assert stack.up() == []

    stack.edit("vendor", TOKEN="filled")
    until(lambda: ended(emulator) == 2)
    assert calls(emulator) == 2
    assert (deployments(stack), deployments(stack, "worker")) == (2, 0)
    group = json.loads(stack.pulumi("stack", "output", "--json").stdout)["workloads"]["web"]
    log = stack.client("logs").filter_log_events(logGroupName=group["redeployLogGroup"])["events"]
    text = "".join(event["message"] for event in log)
    assert "service web of cluster shop is being deployed again" in text
    assert "filled" not in text
    the_role_may_do_nothing_else(stack)

    stack.configure(SECRETS, workloads={"web": {**WEB, "ecs": {}}})
    assert set(stack.up()) == {step.replace("create", "delete") for step in MADE}
    stack.edit("app", KEY_BASE="once more")
    assert calls(emulator) == 2
    stack.pulumi("destroy", "--yes", "--skip-preview")
    nothing_is_left(stack)


def the_role_may_do_nothing_else(stack: Stack) -> None:
    iam = stack.client("iam")
    [role] = [
        found for found in iam.list_roles()["Roles"] if found["RoleName"].startswith("web-redeploy-role")
    ]
    me = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [me]})
    iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust)
    taken = stack.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="function")["Credentials"]

    def as_function(of: str) -> Any:  # noqa: ANN401  boto3 is untyped
        return stack.client(of, credentials=taken)

    ecs = as_function("ecs")
    here, force = {"cluster": CLUSTER}, {"forceNewDeployment": True}
    refused = (
        lambda: ecs.delete_service(**here, service=SERVICE),
        lambda: ecs.update_service(**here, service="worker", **force),
        lambda: ecs.update_service(cluster="another", service=SERVICE, **force),
        lambda: ecs.describe_services(**here, services=[SERVICE, "worker"]),
        lambda: ecs.create_service(**here, serviceName="new", taskDefinition="web"),
        lambda: ecs.run_task(**here, taskDefinition="web"),
        lambda: ecs.stop_task(**here, task="x"),
        lambda: ecs.register_task_definition(family="web", containerDefinitions=[]),
        ecs.list_clusters,
        lambda: as_function("secretsmanager").get_secret_value(SecretId="app"),
        lambda: as_function("logs").create_log_group(logGroupName="x"),
    )
    for call in refused:
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    assert ecs.describe_services(**here, services=[SERVICE])["services"]


def nothing_is_left(stack: Stack) -> None:
    assert stack.client("events").list_rules()["Rules"] == []
    assert stack.client("lambda").list_functions()["Functions"] == []
    assert stack.client("iam").list_roles()["Roles"] == []
    assert stack.client("logs").describe_log_groups()["logGroups"] == []
    assert stack.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_a_login_rotation_triggers_one_deployment(shop: Shop, emulator: Emulator) -> None:
    stack = shop.stack
    service(stack)
    shop.configure(workloads={"web": {**WEB, "environment": {"DATABASE_URL": {"secret": SECRET}}}})
    stack.up()
    shop.wait_for_rotations()
    assert calls(emulator) == 0
    shop.rotate()
    until(lambda: ended(emulator) == 1)
    shop.wait_for_rotations()
    assert (calls(emulator), deployments(stack)) == (1, 1)
    stack.refresh()
    assert stack.up() == []
