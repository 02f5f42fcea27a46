"""Events of secrets, and the functions that EventBridge calls for them."""

# ruff: noqa: ANN401  boto3 makes its clients' types at run time

import json
import re
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulator_functions import ACCOUNT, REGION, call, client, deploy, logged, until, zipped
from tests.support.emulator_process import Emulator, running_emulator

SHOW = "import json\ndef handle(event, context):\n    print('event ' + json.dumps(event))\n"


class Listening:
    """A rule, and the function that it calls."""

    def __init__(self, emulator: Emulator, pattern: dict[str, Any] | None, **permission: str) -> None:
        self.emulator, self.name = emulator, f"rule-{uuid.uuid4().hex[:8]}"
        events = client(emulator, "events")
        asked = {"EventPattern": json.dumps(pattern)} if pattern else {"ScheduleExpression": "rate(1 day)"}
        self.arn = events.put_rule(Name=self.name, **asked)["RuleArn"]
        self.function = deploy(emulator, self.name, zipped(SHOW))
        allowed = {"SourceArn": self.arn} if "SourceArn" not in permission else {}
        client(emulator, "lambda").add_permission(
            FunctionName=self.name,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal=permission.pop("Principal", "events.amazonaws.com"),
            **allowed,
            **permission,
        )
        events.put_targets(Rule=self.name, Targets=[{"Id": "it", "Arn": self.function}])

    def called(self) -> int:
        """Return how often a call of the function has been decided, before a request is answered."""
        return len(re.findall(rf"rule {self.name}: it is called", self.emulator.log.read_text()))

    def shown(self, count: int) -> list[dict[str, Any]]:
        """Return the function's events, once there are `count`."""

        def found() -> list[str]:
            lines = logged(self.emulator, f"/aws/lambda/{self.name}")
            return [line.removeprefix("event ") for line in lines if line.startswith("event ")]

        until(lambda: len(found()) == count)
        return [json.loads(text) for text in found()]


def about(*arns: str, label: str | None = "AWSCURRENT") -> dict[str, Any]:
    detail = {"detail": {"labelUpdated": [label]}} if label else {}
    return {
        "source": ["aws.secretsmanager"],
        "detail-type": ["Secret Label Updated"],
        "resources": list(arns),
        **detail,
    }


def test_a_rule_with_a_schedule_is_run_on_request_only(emulator: Emulator, secret: str) -> None:
    rule, other = Listening(emulator, None), Listening(emulator, about(secret))
    assert rule.called() == 0
    request = urllib.request.Request(f"{emulator.endpoint}/_localcloud/run-schedules", data=b"")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert rule.name in json.load(answer)["called"]
    [event] = rule.shown(1)
    assert (event["source"], event["detail-type"], event["resources"]) == (
        "aws.events",
        "Scheduled Event",
        [rule.arn],
    )
    assert other.called() == 0


@pytest.fixture
def secrets(emulator: Emulator) -> Any:
    return client(emulator, "secretsmanager")


@pytest.fixture
def secret(secrets: Any) -> str:
    return str(secrets.create_secret(Name=f"app/{uuid.uuid4().hex[:8]}", SecretString="first")["ARN"])


def test_a_new_current_version_is_told_as_aws_tells_it(emulator: Emulator, secrets: Any, secret: str) -> None:
    rule = Listening(emulator, about(secret))
    before = datetime.now(UTC).replace(microsecond=0)
    version = secrets.put_secret_value(SecretId=secret, SecretString="second")["VersionId"]
    [event] = rule.shown(1)
    happened = datetime.fromisoformat(event.pop("time"))
    assert before <= happened <= datetime.now(UTC)
    assert uuid.UUID(event.pop("id"))
    assert event == {
        "version": "0",
        "detail-type": "Secret Label Updated",
        "source": "aws.secretsmanager",
        "account": ACCOUNT,
        "region": REGION,
        "resources": [secret],
        "detail": {
            "name": secret.rpartition(":")[2][:-7],
            "labelUpdated": "AWSCURRENT",
            "versionId": version,
        },
    }


def pending(secrets: Any, secret: str) -> None:
    secrets.put_secret_value(SecretId=secret, SecretString="x", VersionStages=["AWSPENDING"])


def moved_pending(secrets: Any, secret: str) -> None:
    made = secrets.put_secret_value(SecretId=secret, SecretString="x", VersionStages=["AWSPENDING"])
    current = secrets.get_secret_value(SecretId=secret)["VersionId"]
    secrets.update_secret_version_stage(
        SecretId=secret,
        VersionStage="AWSPENDING",
        RemoveFromVersionId=made["VersionId"],
        MoveToVersionId=current,
    )


def described(secrets: Any, secret: str) -> None:
    secrets.update_secret(SecretId=secret, Description="another")
    secrets.tag_resource(SecretId=secret, Tags=[{"Key": "a", "Value": "b"}])


def refused(secrets: Any, secret: str) -> None:
    with pytest.raises(ClientError):
        secrets.put_secret_value(SecretId=secret, SecretString="x" * 70_000)


@pytest.mark.parametrize("change", [pending, moved_pending, described, refused])
def test_what_is_no_change_for_readers_is_not_told(
    emulator: Emulator, secrets: Any, secret: str, change: Callable[[Any, str], None]
) -> None:
    rule = Listening(emulator, about(secret, label=None))
    change(secrets, secret)
    assert rule.called() == 0


def test_a_rollback_and_a_custom_label_are_each_reported_once(
    emulator: Emulator, secrets: Any, secret: str
) -> None:
    rule = Listening(emulator, about(secret, label=None))
    first = secrets.get_secret_value(SecretId=secret)["VersionId"]
    second = secrets.update_secret(SecretId=secret, SecretString="second")["VersionId"]
    secrets.update_secret_version_stage(
        SecretId=secret, VersionStage="AWSCURRENT", RemoveFromVersionId=second, MoveToVersionId=first
    )
    secrets.update_secret_version_stage(SecretId=secret, VersionStage="kept", MoveToVersionId=first)
    secrets.update_secret_version_stage(SecretId=secret, VersionStage="kept", RemoveFromVersionId=first)
    told = {(event["detail"]["labelUpdated"], event["detail"]["versionId"]) for event in rule.shown(3)}
    assert told == {("AWSCURRENT", second), ("AWSCURRENT", first), ("kept", first)}
    assert rule.called() == 3


def test_the_same_request_once_more_is_not_told(emulator: Emulator, secrets: Any, secret: str) -> None:
    rule = Listening(emulator, about(secret))
    for _ in range(2):
        secrets.put_secret_value(SecretId=secret, SecretString="x", ClientRequestToken="t" * 32)
    assert rule.called() == 1


def test_only_enabled_rules_with_a_matching_pattern_get_events(
    emulator: Emulator, secrets: Any, secret: str
) -> None:
    other = secrets.create_secret(Name=f"app/{uuid.uuid4().hex[:8]}", SecretString="x")["ARN"]
    hears, of_other, of_label, scheduled, disabled = (
        Listening(emulator, about(secret, other)),
        Listening(emulator, about(other)),
        Listening(emulator, about(secret, label="kept")),
        Listening(emulator, None),
        Listening(emulator, about(secret)),
    )
    client(emulator, "events").disable_rule(Name=disabled.name)
    secrets.put_secret_value(SecretId=secret, SecretString="x")
    rules = (hears, of_other, of_label, scheduled, disabled)
    assert [rule.called() for rule in rules] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "permission",
    [
        {"SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/another"},
        {"Principal": "secretsmanager.amazonaws.com"},
        # EventBridge does not tell Lambda the account: such a permission never applies
        {"SourceAccount": ACCOUNT},
    ],
)
def test_a_function_that_does_not_permit_the_rule_is_not_called(
    emulator: Emulator, secrets: Any, secret: str, permission: dict[str, str]
) -> None:
    rule = Listening(emulator, about(secret), **permission)
    secrets.put_secret_value(SecretId=secret, SecretString="x")
    assert rule.called() == 0
    assert f"rule {rule.name}: it was not called" in emulator.log.read_text()


WAIT = """
from pathlib import Path
def handle(event, context):
    Path(event["folder"], "began").touch()
    while not Path(event["folder"], "end").exists():
        pass
"""


def test_invocations_beyond_the_reserved_concurrency_run_later(emulator: Emulator, tmp_path: Path) -> None:
    name, event = f"one-{uuid.uuid4().hex[:8]}", {"folder": str(tmp_path)}
    deploy(emulator, name, zipped(WAIT), Timeout=60)
    lambdas = client(emulator, "lambda")
    lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(call, emulator, name, event)
        until((tmp_path / "began").exists)
        with pytest.raises(lambdas.exceptions.TooManyRequestsException):
            lambdas.invoke(FunctionName=name)
        lambdas.invoke(FunctionName=name, Payload=json.dumps(event), InvocationType="Event")
        (tmp_path / "end").touch()
        running.result()
    log = f"/aws/lambda/{name}"
    until(lambda: sum(line.startswith("END") for line in logged(emulator, log)) == 2)


def test_rules_and_services_survive_a_stop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_emulator(data) as first:
        arn = client(first, "secretsmanager").create_secret(Name="app", SecretString="x")["ARN"]
        name, function = Listening(first, about(arn)).name, service(first)
        ecs = client(first, "ecs")
        ecs.update_service(cluster=CLUSTER, service=function, forceNewDeployment=True)
        told = deployments(first, function)
        assert len(told) == 1
    with running_emulator(data) as second:
        assert deployments(second, function) == told
        client(second, "secretsmanager").put_secret_value(SecretId=arn, SecretString="y")
        until(lambda: any(line.startswith("END") for line in logged(second, f"/aws/lambda/{name}")))


# --- The function that redeploys, with ECS

CLUSTER = "shop"
SERVICE_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{CLUSTER}"


def service(emulator: Emulator, name: str = "") -> str:
    ecs, name = client(emulator, "ecs"), name or f"web-{uuid.uuid4().hex[:8]}"
    ecs.create_cluster(clusterName=CLUSTER)
    task = ecs.register_task_definition(
        family="web", containerDefinitions=[{"name": "web", "image": "web", "memory": 64}]
    )
    ecs.create_service(
        cluster=CLUSTER,
        serviceName=name,
        taskDefinition=task["taskDefinition"]["taskDefinitionArn"],
        desiredCount=1,
    )
    return name


def deployments(emulator: Emulator, name: str) -> list[str]:
    """Return the service's messages about deployments, since it was created."""
    [found] = client(emulator, "ecs").describe_services(cluster=CLUSTER, services=[name])["services"]
    return [event["message"] for event in found["events"] if "deployment completed" in event["message"]]


def redeploying(emulator: Emulator, cluster: str, name: str, allowed: str) -> str:
    """Return the function as it is deployed, with a role for one service."""
    iam, made = client(emulator, "iam"), f"redeploy-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    redeploy = {"Action": ["ecs:DescribeServices", "ecs:UpdateService"], "Resource": allowed}
    log = {"Action": "logs:*", "Resource": "*"}
    role = iam.create_role(
        RoleName=made,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    statements = [{"Effect": "Allow", **statement} for statement in (redeploy, log)]
    iam.put_role_policy(
        RoleName=made,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    source = (Path(__file__).parents[3] / "components" / "lambdas" / "redeploy.py").read_text()
    deploy(
        emulator,
        made,
        zipped(source, "redeploy.py"),
        Handler="redeploy.handle",
        Role=role,
        Timeout=60,
        Environment={"Variables": {"ECS_CLUSTER": cluster, "ECS_SERVICE": name}},
    )
    return made


def event_at(moment: datetime) -> dict[str, Any]:
    return {"time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "detail": {"name": "app"}}


def test_an_event_that_comes_twice_is_one_deployment(emulator: Emulator) -> None:
    name = service(emulator)
    function = redeploying(emulator, CLUSTER, name, f"{SERVICE_ARN}/{name}")
    later = event_at(datetime.now(UTC) + timedelta(minutes=1))  # than the service was created
    call(emulator, function, later)
    assert len(deployments(emulator, name)) == 1
    long_before = event_at(datetime.now(UTC) - timedelta(minutes=1))
    _, answer = call(emulator, function, long_before)
    assert "FunctionError" not in answer
    assert len(deployments(emulator, name)) == 1
    assert any(
        "has already been deployed since" in line for line in logged(emulator, f"/aws/lambda/{function}")
    )


def test_a_deployment_in_the_events_second_does_not_count(emulator: Emulator) -> None:
    name = service(emulator)
    function = redeploying(emulator, CLUSTER, name, f"{SERVICE_ARN}/{name}")
    call(emulator, function, event_at(datetime.now(UTC) + timedelta(minutes=1)))
    ecs = client(emulator, "ecs")
    [found] = ecs.describe_services(cluster=CLUSTER, services=[name])["services"]
    began = found["deployments"][0]["createdAt"].astimezone(UTC)
    call(emulator, function, event_at(began))  # events are dated to the second before their moment
    assert len(deployments(emulator, name)) == 2


@pytest.mark.parametrize("state", ["missing", "deleted"])
def test_an_unknown_service_is_named_in_the_error(emulator: Emulator, state: str) -> None:
    name = f"web-{uuid.uuid4().hex[:8]}"
    service(emulator, name if state == "deleted" else "")
    if state == "deleted":
        client(emulator, "ecs").delete_service(cluster=CLUSTER, service=name, force=True)
    function = redeploying(emulator, CLUSTER, name, f"{SERVICE_ARN}/{name}")
    payload, answer = call(emulator, function, event_at(datetime.now(UTC)))
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "NoServiceError"
    assert f"no active service {name}" in payload["errorMessage"]


@pytest.mark.parametrize("where", ["other-service", "other-cluster"])
def test_the_role_reaches_no_other_service(emulator: Emulator, where: str) -> None:
    name = service(emulator)
    allowed = f"{SERVICE_ARN}/other" if where == "other-service" else f"{SERVICE_ARN}-2/{name}"
    function = redeploying(emulator, CLUSTER, name, allowed)
    payload, _ = call(emulator, function, event_at(datetime.now(UTC)))
    assert payload["errorType"] == "AccessDeniedException"
    assert "ecs:DescribeServices" in payload["errorMessage"]
    assert deployments(emulator, name) == []


def test_a_forced_deployment_is_new_unless_the_service_is_inactive(emulator: Emulator) -> None:
    ecs, name = client(emulator, "ecs"), service(emulator)

    def newest() -> Any:
        [found] = ecs.describe_services(cluster=CLUSTER, services=[name])["services"]
        [deployment] = found["deployments"]
        return deployment

    first = newest()
    ecs.update_service(cluster=CLUSTER, service=name, desiredCount=2)
    assert newest()["id"] == first["id"]
    ecs.update_service(cluster=CLUSTER, service=name, forceNewDeployment=True)
    second = newest()
    assert second["id"] != first["id"]
    assert second["createdAt"] > first["createdAt"]
    assert (second["status"], second["rolloutState"]) == ("PRIMARY", "COMPLETED")
    assert len(deployments(emulator, name)) == 1
    ecs.delete_service(cluster=CLUSTER, service=name, force=True)
    with pytest.raises(ecs.exceptions.ServiceNotActiveException):
        ecs.update_service(cluster=CLUSTER, service=name, forceNewDeployment=True)
