"""The resources that redeploy an ECS service, without an engine."""

# ruff: noqa: ANN401  whatever a stack file holds

import json
from collections.abc import Mapping
from typing import Any

import pytest

from stack_file import SettingsError
from tests.support.recorded_run import MASTER_ARN, Recording, run

ACCOUNT = "123456789012"
FOREIGN = "arn:aws:iam::210987654321:role/team/tasks"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
FUNCTION = "aws:lambda/function:Function"
PERMISSION = "aws:lambda/permission:Permission"
SECRETS: dict[str, Any] = {
    "app": {"values": {"KEY_BASE": {"random": {}}, "OTHER": {"random": {}}}},
    "vendor": {"values": {"TOKEN": {"filledByHand": "the vendor"}}},
    "unread": {"values": {"A": {"random": {}}}},
}
SERVICE = {"cluster": "shop", "service": "web"}


def one_workload(
    ecs: Mapping[str, Any] | None = None, name: str = "web", secrets: Mapping[str, Any] = SECRETS, **more: Any
) -> Recording:
    declared = {
        "ecs": ecs or {"redeploy": SERVICE},
        "environment": {"KEY_BASE": {"secret": "app"}, "OTHER": {"secret": "app"}},
        "environmentFrom": ["vendor"],
        **more.pop("workload", {}),
    }
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": secrets,
            "aws-secrets:workloads": {name: declared},
            **{f"aws-secrets:{key}": value for key, value in more.items()},
        }
    )


def arn(secret: str) -> str:
    return f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{secret}-AbCdEf"


def test_by_default_nothing_is_redeployed() -> None:
    recording = one_workload({"role": "tasks"})
    assert not {RULE, TARGET, FUNCTION} & set(recording.types())
    assert "redeployFunction" not in recording.outputs["workloads"]["web"]


def test_the_rule_matches_new_versions_of_read_secrets_only() -> None:
    rule = one_workload().only(RULE, "web-redeploy-rule")
    assert "eventBusName" not in rule.inputs  # the default bus, where Secrets Manager's events go
    assert json.loads(rule.inputs["eventPattern"]) == {
        "source": ["aws.secretsmanager"],
        "detail-type": ["Secret Label Updated"],
        "resources": [arn("app"), arn("vendor")],
        "detail": {"labelUpdated": ["AWSCURRENT"]},
    }


def test_a_login_causes_redeployments_like_any_secret() -> None:
    database = {
        "host": "db.example",
        "outsideVpc": True,
        "admin": {"secretArn": MASTER_ARN},
        "logins": {"shop-database": {"username": "shop", "database": "shop"}},
    }
    recording = one_workload(
        workload={"environment": {"DATABASE_URL": {"secret": "shop-database"}}}, databases={"x": database}
    )
    found = json.loads(recording.only(RULE).inputs["eventPattern"])["resources"]
    assert found == [arn("shop-database"), arn("vendor")]


def test_the_function_may_redeploy_one_service_and_log() -> None:
    recording = one_workload()
    policy = recording.only("aws:iam/rolePolicy:RolePolicy", "web-redeploy-policy").inputs["policy"]
    redeploy, log = json.loads(policy)["Statement"]
    assert redeploy["Action"] == ["ecs:DescribeServices", "ecs:UpdateService"]
    assert redeploy["Resource"] == f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/shop/web"
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/lambda/web-redeploy-1"
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert log["Resource"] == f"{group}:log-stream:*"
    [trust] = json.loads(recording.only("aws:iam/role:Role", "web-redeploy-role").inputs["assumeRolePolicy"])[
        "Statement"
    ]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_function_has_limits_on_concurrency_time_and_log() -> None:
    recording = one_workload(rotation={"logRetentionDays": 7, "architecture": "x86_64"})
    function = recording.only(FUNCTION, "web-redeploy-function").inputs
    assert function["reservedConcurrentExecutions"] == 1
    assert function["timeout"] == 60
    assert function["architectures"] == ["x86_64"]
    assert function["environment"] == {"variables": {"ECS_CLUSTER": "shop", "ECS_SERVICE": "web"}}
    group = recording.only("aws:cloudwatch/logGroup:LogGroup", "web-redeploy-log-group")
    assert group.inputs["retentionInDays"] == 7


def test_only_the_rule_invokes_the_function_after_initial_values() -> None:
    recording = one_workload()
    permission = recording.only(PERMISSION)
    assert permission.inputs["principal"] == "events.amazonaws.com"
    assert permission.inputs["sourceArn"] == f"arn:aws:events:us-east-1:{ACCOUNT}:rule/web-redeploy-rule"
    # EventBridge needs the permission before it can invoke the function
    assert "sourceAccount" not in permission.inputs
    target = recording.only(TARGET)
    assert target.inputs["rule"] == "web-redeploy-rule"
    assert target.inputs["arn"] == f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:web-redeploy-function"
    versions = {
        found.urn
        for found in recording.resources
        if found.type == "aws:secretsmanager/secretVersion:SecretVersion" and "unread" not in found.name
    }
    assert len(versions) == 2
    assert {permission.urn, *versions} <= target.dependencies


def test_outputs_have_the_redeployment_function_and_its_log() -> None:
    web = one_workload().outputs["workloads"]["web"]
    assert web["redeployFunction"] == "web-redeploy-function"
    assert web["redeployLogGroup"] == "/aws/lambda/web-redeploy-1"
    assert {"roleArn", "containerSecrets"} < web.keys()


def test_a_failed_redeployment_notifies_the_topic() -> None:
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:alarms"
    alarm = one_workload(rotation={"alarmTopicArn": topic}).only("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert alarm.inputs["dimensions"] == {"FunctionName": "web-redeploy-function"}
    assert alarm.inputs["alarmActions"] == [topic]


def test_redeployment_resources_keep_their_names() -> None:
    recording = one_workload()
    urns = {
        recording.real_urn(found).removeprefix("urn:pulumi:test::aws-secrets::")
        for found in recording.resources
        if "Redeployment" in recording.real_urn(found)
    }
    kind = "aws-secrets:index:EcsRedeployment"
    assert urns == {
        f"{kind}::web-redeploy",
        f"{kind}$aws:cloudwatch/logGroup:LogGroup::web-redeploy-log-group",
        f"{kind}$aws:iam/role:Role::web-redeploy-role",
        f"{kind}$aws:iam/rolePolicy:RolePolicy::web-redeploy-policy",
        f"{kind}${FUNCTION}::web-redeploy-function",
        f"{kind}${RULE}::web-redeploy-rule",
        f"{kind}${PERMISSION}::web-redeploy-permission",
        f"{kind}${TARGET}::web-redeploy-target",
        f"{kind}$aws:cloudwatch/metricAlarm:MetricAlarm::web-redeploy-alarm",
    }


W = "aws-secrets:workloads.web.ecs.redeploy"
MANY: dict[str, Any] = {
    f"secret-number-{number}": {"values": {f"KEY_{number}": {"random": {}}}} for number in range(30)
}


@pytest.mark.parametrize(
    ("asked", "path", "words"),
    [
        ({"ecs": {"redeploy": {"cluster": "shop"}}}, f"{W}.service", ""),
        ({"ecs": {"redeploy": {**SERVICE, "service": ""}}}, f"{W}.service", "name only"),
        (
            {"ecs": {"redeploy": {**SERVICE, "cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/shop"}}},
            f"{W}.cluster",
            "name only",
        ),
        ({"ecs": {"redeploy": {**SERVICE, "sevice": "web"}}}, f"{W}.sevice", 'did you mean "service"'),
        ({"ecs": {"redeploy": SERVICE, "role": FOREIGN}}, W, "It cannot be redeployed from this account"),
        ({"name": "w" * 39}, f"aws-secrets:workloads.{'w' * 39}.ecs.redeploy", "38 characters"),
        (
            {"secrets": MANY, "workload": {"environment": {}, "environmentFrom": list(MANY)}},
            W,
            "EventBridge accepts 2048",
        ),
    ],
)
def test_impossible_redeployments_are_rejected_first(asked: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        one_workload(**asked)
    found = {mistake.path: str(mistake) for mistake in raised.value.mistakes}
    assert path in found, found
    assert words in found[path]


def test_one_rule_holds_twenty_short_names() -> None:
    some = dict(list(MANY.items())[:20])
    recording = one_workload(secrets=some, workload={"environment": {}, "environmentFrom": list(some)})
    assert len(recording.only(RULE).inputs["eventPattern"]) <= 2048
