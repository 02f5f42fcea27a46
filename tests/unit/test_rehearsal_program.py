"""Rehearsals on a schedule: the resources that they add, and what each may do, without an engine."""

# ruff: noqa: ANN401  whatever boto3 and a stack file hold

import json
from typing import Any

import pytest

from components.lambdas.rehearsal import declared
from components.lambdas.rehearsal.declared import Rehearsed
from components.scheduled_rehearsal import ScheduledRehearsalArgs, schedule
from stack_file import SettingsError
from tests.support.recorded_run import MASTER_ARN, Recording, run
from tests.unit.test_notices_program import ACCOUNT, COMMON, TOPIC

SERVER = {"host": "db.example", "outsideVpc": True, "admin": {"secretArn": MASTER_ARN}}
SETTINGS: dict[str, Any] = {
    "secrets": {
        "keys": {"values": {"KEY": {"random": {"length": 24}}}, "rotation": {"keys": ["KEY"]}},
        "plain": {"values": {"KEY": {"random": {"length": 24}}}},
    },
    "databases": {
        "main": {**SERVER, "logins": {"app": {"username": "shop", "database": "orders", "schemas": ["own"]}}}
    },
}
LOG = "/aws/lambda/rehearsal-aws-secrets/test"


def declare(**more: Any) -> Recording:
    settings = {**SETTINGS, **more}
    return run({"aws:region": "us-east-1", **{f"aws-secrets:{key}": one for key, one in settings.items()}})


def statements(recording: Recording, name: str) -> dict[str, dict[str, Any]]:
    policy = recording.only("aws:iam/rolePolicy:RolePolicy", name).inputs["policy"]
    return {one["Sid"]: one for one in json.loads(policy)["Statement"]}


def test_the_setting_adds_its_own_resources_and_changes_no_other() -> None:
    without, found = declare(), declare(rehearsal={})
    before = {without.real_urn(one): one.inputs for one in without.resources}
    after = {found.real_urn(one): one.inputs for one in found.resources}
    assert {urn: after[urn] for urn in before} == before
    kind = "urn:pulumi:test::aws-secrets::aws-secrets:index:ScheduledRehearsal"
    assert after.keys() - before.keys() == {
        f"{kind}::rehearsal",
        f"{kind}$aws:cloudwatch/logGroup:LogGroup::rehearsal-log-group",
        f"{kind}$aws:iam/role:Role::rehearsal-role",
        f"{kind}$aws:iam/rolePolicy:RolePolicy::rehearsal-policy",
        f"{kind}$aws:lambda/function:Function::rehearsal-function",
        f"{kind}$aws:cloudwatch/eventRule:EventRule::rehearsal-rule",
        f"{kind}$aws:lambda/permission:Permission::rehearsal-permission",
        f"{kind}$aws:cloudwatch/eventTarget:EventTarget::rehearsal-target",
        f"{kind}$aws:cloudwatch/metricAlarm:MetricAlarm::rehearsal-alarm",
    }
    assert found.outputs["rehearsal"]["function"] == "rehearsal-function"
    assert {key: one for key, one in found.outputs.items() if key != "rehearsal"} == without.outputs


def test_only_its_rule_invokes_it_and_it_invokes_only_rotation_functions() -> None:
    found = declare(rehearsal={"everyDays": 7, "hour": 5})
    function = found.only("aws:lambda/function:Function", "rotation-function")
    assert statements(found, "rehearsal-policy").keys() == {"HaveTheseRehearse", "WriteItsLog"}
    assert statements(found, "rehearsal-policy")["HaveTheseRehearse"] == {
        "Sid": "HaveTheseRehearse",
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": [f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function.name}"],
    }
    permission = found.only("aws:lambda/permission:Permission", "rehearsal-permission").inputs
    assert permission["principal"] == "events.amazonaws.com"
    assert permission["sourceArn"] == f"arn:aws:events:us-east-1:{ACCOUNT}:rule/rehearsal-rule"
    rule = found.only("aws:cloudwatch/eventRule:EventRule", "rehearsal-rule").inputs
    assert rule["scheduleExpression"] == "cron(0 5 1/7 * ? *)"
    assert "input" not in found.only("aws:cloudwatch/eventTarget:EventTarget", "rehearsal-target").inputs
    variables = found.only("aws:lambda/function:Function", "rehearsal-function").inputs["environment"]
    assert variables == {"variables": {declared.FUNCTIONS_VARIABLE: function.name}}


def test_the_alarm_is_its_own_and_stays_until_the_next_rehearsal() -> None:
    alarm = declare(rehearsal={}).only("aws:cloudwatch/metricAlarm:MetricAlarm", "rehearsal-alarm").inputs
    assert alarm["dimensions"] == {"FunctionName": "rehearsal-function"}
    assert (alarm["treatMissingData"], alarm["period"]) == ("ignore", 60)


def test_nothing_is_added_where_no_function_of_the_stack_rotates() -> None:
    plain = {"secrets": {"plain": SETTINGS["secrets"]["plain"]}, "databases": {}}
    assert not [one for one in declare(**plain, rehearsal={}).resources if "rehearsal" in one.name]


def test_the_archive_names_each_secret_with_its_function_and_schemas() -> None:
    secrets = [Rehearsed("keys", 0), Rehearsed("app", 1, ("public", "own"))]
    assert declared.parse(declared.written(secrets)) == secrets


def test_notices_read_the_outcomes_and_nothing_else_of_the_log() -> None:
    notices = {"topicArn": TOPIC}
    without, found = declare(notices=notices), declare(notices=notices, rehearsal={})
    added = statements(found, "notices-policy").keys() - statements(without, "notices-policy").keys()
    assert added == {"ReadOutcomesOfRehearsals"}
    reads = statements(found, "notices-policy")["ReadOutcomesOfRehearsals"]
    assert reads["Action"] == "logs:FilterLogEvents"
    assert reads["Resource"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{LOG}:*"
    assert found.only("aws:cloudwatch/logGroup:LogGroup", "rehearsal-log-group").inputs["name"] == LOG
    variables = found.only("aws:lambda/function:Function", "notices-function").inputs["environment"]
    assert variables["variables"]["REHEARSAL_LOG_GROUP"] == LOG


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"everyDays": 0}, "aws-secrets:rehearsal.everyDays"),
        ({"everyDays": 32}, "aws-secrets:rehearsal.everyDays"),
        ({"hour": 24}, "aws-secrets:rehearsal.hour"),
        ({"scheduleExpression": "rate(1 day)"}, "aws-secrets:rehearsal.scheduleExpression"),
    ],
)
def test_an_impossible_schedule_is_rejected(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(SettingsError) as raised:
        declare(rehearsal=settings)
    assert path in {mistake.path for mistake in raised.value.mistakes}


def test_a_day_of_the_month_is_left_out_of_a_daily_schedule() -> None:
    assert schedule(ScheduledRehearsalArgs(common=COMMON, secrets=[])) == "cron(0 12 * * ? *)"


def test_the_boundary_of_a_pipeline_allows_what_the_functions_need() -> None:
    pipeline = {
        "repository": "acme/shop",
        "oidcProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
        "environment": "production",
        "stacks": ["prod"],
        "secretPrefixes": ["app"],
    }

    def made(**more: Any) -> dict[str, Any]:
        recording = run({"aws:region": "us-east-1", "aws-secrets:pipeline": {**pipeline, **more}})
        update = statements(recording, "update-policy")
        boundary = recording.only("aws:iam/policy:Policy", "update-boundary").inputs["policy"]
        return update | {one.get("Sid"): one for one in json.loads(boundary)["Statement"]}

    without, found = made(), made(rehearsal=True)
    assert found.keys() - without.keys() == {
        "HaveTheirFunctionsRehearse",
        "KeepRules",
        "LetRulesCallTheirFunctions",
    }
    functions = found["HaveTheirFunctionsRehearse"]["Resource"]
    assert functions == [f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:aws-secrets-prod_*"]
    assert "ReadOutcomesOfRehearsals" in made(rehearsal=True, notices={})
