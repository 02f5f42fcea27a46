"""The status of a stack that the real engine deployed, after edits in AWS."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from operations.status.model import Difference, Problem
from tests.support.emulator_functions import until, zipped
from tests.support.status_stack import ACCOUNT, DRIFTING, POLICY, READER, ROTATING, StatusStack

# ruff: noqa: ANN401  boto3 makes its clients' types at run time


def kinds(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.kind for problem in problems]


def test_deployed_stack_has_no_drift(status_stack: StatusStack) -> None:
    found = status_stack.status()
    untouched = {"app", "vendor/prismic", "sessions"}
    assert {
        secret.name: secret.drift for secret in found.secrets if secret.name in untouched
    } == dict.fromkeys(untouched, ())
    assert {secret.presence for secret in found.secrets if secret.name in untouched} == {"present"}
    assert found.account == ACCOUNT
    assert found.region == "us-east-1"


def test_placeholder_waits_until_it_is_filled_in_by_hand(status_stack: StatusStack) -> None:
    before = status_stack.secret("vendor/filled")
    assert (before.filled, kinds(before.problems)) == ("waiting", ["waiting"])
    assert "TOKEN is not filled in yet" in before.problems[0].text
    assert "Vendor > Settings" in before.problems[0].remedy
    status_stack.stack.edit("vendor/filled", TOKEN="by-hand-and-secret")
    after = status_stack.secret("vendor/filled")
    assert (after.filled, after.problems) == ("filled", ())
    assert after.last_changed is not None
    assert before.last_changed is not None
    assert after.last_changed > before.last_changed


def test_placeholder_in_a_rotated_secret_is_unclear(
    status_stack: StatusStack,
) -> None:
    rotate(status_stack, "vendor/rotated")
    found = status_stack.secret("vendor/rotated")
    assert (found.filled, found.problems) == ("unclear", ())


def rotate(status_stack: StatusStack, name: str) -> None:
    client = status_stack.stack.client()
    settle(client, name)
    version = client.rotate_secret(SecretId=name)["VersionId"]
    until(lambda: "AWSCURRENT" in stages(client, name).get(version, ()))
    until(lambda: client.describe_secret(SecretId=name).get("LastRotatedDate"))


def stages(client: Any, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = client.describe_secret(SecretId=name)["VersionIdsToStages"]
    return found


def pending(client: Any, name: str) -> bool:
    return any(labels == ["AWSPENDING"] for labels in stages(client, name).values())


def settle(client: Any, name: str) -> None:
    """Wait for the test that AWS runs when rotation is attached."""
    until(lambda: not pending(client, name))


def edit_description(client: Any, name: str) -> None:
    client.update_secret(SecretId=name, Description="by hand")


def edit_tags(client: Any, name: str) -> None:
    client.tag_resource(SecretId=name, Tags=[{"Key": "team", "Value": "other"}])


def edit_key(client: Any, name: str) -> None:
    client.update_secret(SecretId=name, KmsKeyId="alias/aws/secretsmanager")


def switch_rotation_off(client: Any, name: str) -> None:
    client.cancel_rotate_secret(SecretId=name)


def edit_schedule(client: Any, name: str) -> None:
    client.rotate_secret(
        SecretId=name, RotateImmediately=False, RotationRules={"ScheduleExpression": "rate(10 days)"}
    )


def edit_policy(client: Any, name: str) -> None:
    client.delete_resource_policy(SecretId=name)


def allow_somebody(client: Any, name: str) -> None:
    other = {**POLICY["Statement"], "Sid": "Other", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    document = {"Version": "2012-10-17", "Statement": [POLICY["Statement"], other]}
    client.put_resource_policy(SecretId=name, ResourcePolicy=json.dumps(document))


def add_replica(client: Any, name: str) -> None:
    client.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "eu-central-1"}])


READING = f"Allow secretsmanager:GetSecretValue for {READER}"
EDITS: dict[str, tuple[Callable[[Any, str], None], Difference]] = {
    "description": (
        edit_description,
        Difference(what="description", declared="none", actual='"by hand"'),
    ),
    "tags": (edit_tags, Difference(what="tags", declared="team=web", actual="team=other")),
    "key": (
        edit_key,
        Difference(
            what="encryption",
            declared=f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/aws-secrets/test",
            actual="aws-managed",
        ),
    ),
    "off": (switch_rotation_off, Difference(what="rotation", declared="on, every 90 days", actual="off")),
    "schedule": (
        edit_schedule,
        Difference(what="rotation", declared="every 90 days", actual="rate(10 days)"),
    ),
    "policy": (
        edit_policy,
        Difference(what="policy", declared=READING, actual="no such statement"),
    ),
    "allowed": (
        allow_somebody,
        Difference(
            what="policy",
            declared="no such statement",
            actual=f"Allow secretsmanager:GetSecretValue for arn:aws:iam::{ACCOUNT}:root",
        ),
    ),
    "replica": (
        add_replica,
        Difference(what="replicas", declared="none in eu-central-1", actual="eu-central-1 with aws-managed"),
    ),
}


def test_every_kind_of_edit_in_aws_is_reported_as_drift(status_stack: StatusStack) -> None:
    client = status_stack.stack.client()
    for kind in EDITS:
        settle(client, f"drift/{kind}")
        EDITS[kind][0](client, f"drift/{kind}")
    settle(client, "drift/schedule")
    own = foreign_function(status_stack)
    settle(client, "drift/function")
    client.rotate_secret(SecretId="drift/function", RotateImmediately=False, RotationLambdaARN=own)
    settle(client, "drift/function")
    found = {secret.name: secret for secret in status_stack.status().secrets}
    for kind, (_, difference) in EDITS.items():
        secret = found[f"drift/{kind}"]
        assert secret.drift == (difference,), kind
        assert kinds(secret.problems) == ["drift"], kind
    assert found["drift/function"].drift == (
        Difference(what="rotation", declared="a function of this stack", actual=own),
    )
    assert {*DRIFTING, *ROTATING} == {*EDITS, "function"}


def foreign_function(status_stack: StatusStack) -> str:
    """Create a function that does nothing and is not the stack's."""
    lambda_ = status_stack.stack.client("lambda")
    ours = lambda_.list_functions()["Functions"][0]
    made = lambda_.create_function(
        FunctionName="somebody-elses",
        Runtime=ours["Runtime"],
        Handler="app.handle",
        Role=ours["Role"],
        Code={"ZipFile": zipped("def handle(event, context): return None")},
    )
    lambda_.add_permission(
        FunctionName="somebody-elses",
        StatementId="rotate",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=ACCOUNT,
    )
    return str(made["FunctionArn"])


def test_policy_with_equal_meaning_is_no_drift(status_stack: StatusStack) -> None:
    statement = {**POLICY["Statement"], "Action": ["secretsmanager:getsecretvalue"]}
    document = {"Statement": [statement], "Version": "2012-10-17"}
    status_stack.stack.client().put_resource_policy(SecretId="app", ResourcePolicy=json.dumps(document))
    assert status_stack.secret("app").drift == ()


def test_policies_are_skipped_on_request(status_stack: StatusStack) -> None:
    found = status_stack.status(policies=False)
    assert all(one.what != "policy" for secret in found.secrets for one in secret.drift)


def test_deleted_secrets_are_unavailable_with_and_without_recovery_window(
    status_stack: StatusStack,
) -> None:
    client = status_stack.stack.client()
    client.delete_secret(SecretId="deleted", RecoveryWindowInDays=7)
    client.delete_secret(SecretId="lost", ForceDeleteWithoutRecovery=True)
    found = {secret.name: secret for secret in status_stack.status().secrets}
    deleted, lost = found["deleted"], found["lost"]
    assert (deleted.presence, kinds(deleted.problems)) == ("deletion-scheduled", ["unavailable"])
    assert "restore-secret --secret-id deleted" in deleted.problems[0].remedy
    assert deleted.deletion_after is not None
    assert (lost.presence, kinds(lost.problems), lost.arn) == ("missing", ["unavailable"], None)


def test_pending_rotation_is_running_for_an_hour_then_unfinished(status_stack: StatusStack) -> None:
    client = status_stack.stack.client()
    settle(client, "pending")
    version = client.put_secret_value(SecretId="pending", SecretString="{}", VersionStages=["AWSPENDING"])
    now = datetime.now(UTC)
    running = status_stack.secret("pending", now)
    assert running.rotation is not None
    assert (running.rotation.state, running.problems) == ("running", ())
    unfinished = status_stack.secret("pending", now + timedelta(hours=2))
    assert unfinished.rotation is not None
    assert unfinished.rotation.state == "unfinished"
    assert kinds(unfinished.problems) == ["rotation"]
    listed = client.list_secret_version_ids(SecretId="pending")["Versions"]
    dates = {one["VersionId"]: one["CreatedDate"] for one in listed}
    assert unfinished.rotation.pending_since == dates[version["VersionId"]]
    client.update_secret_version_stage(
        SecretId="pending", VersionStage="AWSPENDING", RemoveFromVersionId=version["VersionId"]
    )
    assert status_stack.secret("pending", now + timedelta(hours=2)).problems == ()


def test_pending_label_on_the_previous_version_is_reported_at_once(status_stack: StatusStack) -> None:
    client = status_stack.stack.client()
    settle(client, "pending")
    before = client.describe_secret(SecretId="pending")["VersionIdsToStages"]
    [current] = [version for version, labels in before.items() if "AWSCURRENT" in labels]
    client.update_secret_version_stage(SecretId="pending", VersionStage="AWSPENDING", MoveToVersionId=current)
    assert status_stack.secret("pending").problems == ()
    status_stack.stack.edit("pending", KEY="by-hand-and-secret")
    assert status_stack.secret("pending").problems == ()  # an edit removes the label, as on AWS
    client.update_secret_version_stage(SecretId="pending", VersionStage="AWSPENDING", MoveToVersionId=current)
    [problem] = status_stack.secret("pending").problems
    assert "may bring that version back" in problem.text
    assert f"--remove-from-version-id {current}" in problem.remedy
    client.update_secret_version_stage(
        SecretId="pending", VersionStage="AWSPENDING", RemoveFromVersionId=current
    )
    assert status_stack.secret("pending").problems == ()


def test_rotation_is_overdue_after_the_next_rotation_date(status_stack: StatusStack) -> None:
    found = status_stack.secret("sessions")
    assert found.rotation is not None
    assert found.rotation.next_by is not None
    assert found.rotation.schedule == "cron(0 3 1 * ? *)"
    on_time = status_stack.secret("sessions", found.rotation.next_by)
    assert on_time.problems == ()
    late = status_stack.secret("sessions", found.rotation.next_by + timedelta(hours=2))
    assert late.rotation is not None
    assert (late.rotation.state, kinds(late.problems)) == ("overdue", ["rotation"])


def test_error_alarm_is_a_problem_of_the_function(status_stack: StatusStack) -> None:
    cloudwatch = status_stack.stack.client("cloudwatch")
    [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
    assert [function.alarm for function in ours(status_stack)] == ["OK"]
    cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="ALARM", StateReason="a test")
    try:
        [function] = ours(status_stack)
        assert (function.alarm, kinds(function.problems)) == ("ALARM", ["rotation"])
        assert "sessions" in function.secrets
    finally:
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="a test")


def ours(status_stack: StatusStack) -> list[Any]:
    return [function for function in status_stack.status().functions if "somebody-elses" not in function.arn]


def test_readers_are_listed_with_exactly_their_keys(status_stack: StatusStack) -> None:
    found = status_stack.status()
    readers = {
        (secret.name, reader.workload): reader.keys for secret in found.secrets for reader in secret.readers
    }
    assert readers == {
        ("app", "rails"): ("STRIPE",),
        ("app", "worker"): ("KEY", "STRIPE"),
        ("sessions", "rails"): ("KEY",),
        ("vendor/prismic", "rails"): ("TOKEN",),
    }
    assert [(workload.name, workload.platform, workload.role) for workload in found.workloads] == [
        ("rails", "kubernetes", None),
        ("worker", "ecs", None),
    ]
    outputs = json.loads(status_stack.stack.pulumi("stack", "output", "--json").stdout)
    roles = [workload.role for workload in status_stack.status(outputs=outputs).workloads]
    assert roles == [outputs["workloads"][name]["roleArn"] for name in ("rails", "worker")]


def test_unusable_key_makes_its_secrets_unavailable(status_stack: StatusStack) -> None:
    kms = status_stack.stack.client("kms")
    key = status_stack.stack.client().describe_secret(SecretId="app")["KmsKeyId"]
    kms.disable_key(KeyId=key)
    try:
        found = status_stack.secret("app")
        assert kinds(found.problems) == ["unavailable"]
        assert "Disabled" in found.problems[0].text
    finally:
        kms.enable_key(KeyId=key)
