"""Readers on the local cloud: who is planted is found, and nobody else (precision and recall are 1)."""

# ruff: noqa: ANN401  boto3 makes its clients' types at run time

import gzip
import json
import re
import urllib.request
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from operations.exit_codes import ExitCode
from operations.status import ReaderQuery, Status
from operations.status.model import Readings, Secret
from operations.status.trail_files import Trail
from tests.support.stacks import Stack
from tests.support.status_stack import ACCOUNT, READER, StatusStack

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
OTHER = READER.split(":")[4]
READ = {"Effect": "Allow", "Action": ["secretsmanager:*", "kms:Decrypt"], "Resource": "*"}
SSO = "/aws-reserved/sso.amazonaws.com/"
QUERY = ReaderQuery(days=3, deployers=(ROOT,))


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass(frozen=True)
class Planted:
    """A stack whose secrets were read, and by whom.

    Attributes:
        expected: secret, principal, kind and whether it is declared.
        worker: ARN of the role of the workload `worker`.
    """

    status_stack: StatusStack
    expected: set[tuple[str, str, str, bool]]
    worker: str

    def status(self, query: ReaderQuery = QUERY, now: datetime | None = None) -> Status:
        """Return the status of the day after tomorrow: a new secret is not reported as unread."""
        return self.status_stack.status(readers=query, now=now or datetime.now(UTC) + timedelta(days=2))

    def secret(self, name: str, query: ReaderQuery = QUERY) -> Secret:
        return next(one for one in self.status(query).secrets if one.name == name)

    def readings(self, name: str, query: ReaderQuery = QUERY) -> Readings:
        found = self.secret(name, query).readings
        assert found is not None
        return found


def role(stack: Stack, name: str, account: str = ACCOUNT, path: str = "/", *, reads: bool = True) -> str:
    iam = client(stack, "iam", account)
    by = {"AWS": f"arn:aws:iam::{account}:root"}
    trust = document({"Effect": "Allow", "Principal": by, "Action": "sts:AssumeRole"})
    arn = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if reads:
        iam.put_role_policy(RoleName=name, PolicyName="reads", PolicyDocument=document(READ))
    return str(arn)


def client(stack: Stack, service: str, account: str) -> Any:
    made = stack.client(service)
    if account != ACCOUNT:
        made.meta.events.register(
            "before-sign.*.*", lambda request, **_: request.headers.add_header("x-moto-account-id", account)
        )
    return made


def as_role(stack: Stack, arn: str, session: str = "it") -> Any:
    sts = client(stack, "sts", arn.split(":")[4])
    given = sts.assume_role(RoleArn=arn, RoleSessionName=session)["Credentials"]
    return stack.client(credentials=given)


def as_task(stack: Stack, arn: str) -> Any:
    """Return a client with the credentials that ECS gives a task."""
    source = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/shop/1"
    asked = json.dumps({"RoleArn": arn, "Service": "ecs-tasks.amazonaws.com", "SourceArn": source})
    with urllib.request.urlopen(f"{stack.endpoint}/_localcloud/sessions", data=asked.encode()) as answer:
        return stack.client(credentials=json.load(answer))


@pytest.fixture
def planted(planted_once: Planted, status_stack: StatusStack) -> Planted:
    """The planted readers, with boto3 directed at their emulator."""
    return replace(planted_once, status_stack=status_stack)


@pytest.fixture(scope="module")
def planted_once(deployed: Stack) -> Planted:
    """The stack of the status tests, with readers of every kind."""
    iam = deployed.client("iam")
    roles = [one["Arn"] for page in iam.get_paginator("list_roles").paginate() for one in page["Roles"]]
    [worker] = [arn for arn in roles if ":role/worker-role-" in arn]
    iam.put_role_policy(RoleName=worker.rpartition("/")[2], PolicyName="more", PolicyDocument=document(READ))
    task = as_task(deployed, worker)
    task.get_secret_value(SecretId="app")
    task.get_secret_value(SecretId=deployed.client().describe_secret(SecretId="app")["ARN"])
    task.get_secret_value(SecretId="vendor/filled")

    rogue = role(deployed, "rotation-role-lookalike")
    as_role(deployed, rogue, "rotation-function").batch_get_secret_value(SecretIdList=["sessions", "pending"])
    person = role(deployed, "AWSReservedSSO_Admin_0", path=SSO)
    as_role(deployed, person, "maya@example.com").get_secret_value(SecretId="drift/tags")
    maya = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_0/maya@example.com"

    key = deployed.client("kms").describe_key(KeyId="alias/aws-secrets/test")["KeyMetadata"]["Arn"]
    kms = deployed.client("kms")
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    everyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document(everyone))
    theirs = role(deployed, "reader", OTHER)
    identifier = client(deployed, "iam", OTHER).get_role(RoleName="reader")["Role"]["RoleId"]
    stranger = f"{identifier} of account {OTHER}"
    app = deployed.client().describe_secret(SecretId="app")["ARN"]
    as_role(deployed, theirs).get_secret_value(SecretId=app)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)

    denied = role(deployed, "denied", reads=False)
    with pytest.raises(deployed.client().exceptions.ClientError):
        as_role(deployed, denied).get_secret_value(SecretId="app")
    secrets = deployed.client()
    secrets.get_secret_value(SecretId="vendor/prismic")
    function = secrets.describe_secret(SecretId="sessions")["RotationLambdaARN"]
    rotation = deployed.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    return Planted(
        StatusStack(deployed),
        {
            ("app", worker, "workload", True),
            ("app", stranger, "policy", True),
            ("vendor/filled", worker, "workload", False),
            ("sessions", rogue, "other", False),
            ("pending", rogue, "other", False),
            ("drift/tags", maya, "person", False),
            ("vendor/prismic", ROOT, "deployment", True),
            ("sessions", rotation, "function", True),
        },
        worker,
    )


def test_planted_readers_are_found_and_no_others(planted: Planted) -> None:
    found = {
        (secret.name, one.principal, one.kind, one.declared)
        for secret in planted.status().secrets
        for one in (secret.readings.actual if secret.readings else ())
    }
    assert {one for one in found if one[2] != "deployment" and one[2] != "function"} == {
        one for one in planted.expected if one[2] != "deployment" and one[2] != "function"
    }
    assert planted.expected <= found
    assert {one[1] for one in found if one[2] == "deployment"} == {ROOT}
    [function] = {one[1] for one in found if one[2] == "function"}
    assert ":role/rotation-role-" in function


def test_an_undeclared_reader_needs_attention_and_a_person_does_not(planted: Planted) -> None:
    problems = [one for one in planted.secret("sessions").problems if one.kind == "readers"]
    assert len(problems) == 1
    assert "rotation-role-lookalike has read it once" in problems[0].text
    assert "127.0.0.1" in problems[0].text
    [foreign] = [one for one in planted.secret("vendor/filled").problems if one.kind == "readers"]
    assert f"{planted.worker} (the role of workload worker) has read it once" in foreign.text
    assert not [one for one in planted.secret("drift/tags").problems if one.kind == "readers"]
    assert planted.status().summary.readers == 3


def test_reads_are_counted_by_name_and_by_arn(planted: Planted) -> None:
    [worker] = [one for one in planted.readings("app").actual if one.workloads == ("worker",)]
    assert worker.reads == 2


def test_silent_workloads_and_unread_secrets_are_named_with_lines(planted: Planted) -> None:
    app, unread = planted.readings("app"), planted.secret("drift/allowed")
    assert app.silent == ("rails",)
    [suggestion] = app.suggestions
    assert (suggestion.change, suggestion.path) == ("remove", "aws-secrets:workloads.rails")
    assert suggestion.lines == "environment:\n  STRIPE: {secret: app}"
    assert unread.readings is not None
    assert (unread.readings.unread, unread.readings.monthly_usd) == (True, 0.4)
    assert unread.last_accessed is not None  # by the deployment
    assert [one.lines for one in unread.readings.suggestions] == ["drift/allowed:"]
    assert [one.lines for one in planted.readings("vendor/filled").suggestions] == [
        "environmentFrom: [vendor/filled]"
    ]
    observation = planted.status().observation
    assert observation is not None
    of_all = [one.readings for one in planted.status().secrets if one.readings and one.readings.unread]
    assert observation.unread_usd == pytest.approx(sum(one.monthly_usd for one in of_all))
    replicated = planted.readings("app", replace(QUERY, days=1))
    assert replicated.monthly_usd == 0.8


def test_readers_of_a_new_secret_may_not_be_deployed_yet(planted: Planted) -> None:
    today = planted.status(now=datetime.now(UTC)).secrets
    found = [one.readings for one in today if one.readings]
    assert found
    assert not any(one.silent or one.unread for one in found)
    assert not [line for one in found for line in one.suggestions if "since" in line.reason.lower()]


def test_a_deployment_that_is_not_declared_is_a_person_as_root(planted: Planted) -> None:
    found = planted.readings("drift/allowed", replace(QUERY, deployers=()))
    assert [(one.principal, one.kind) for one in found.actual] == [(ROOT, "person")]
    assert not found.unread


def test_a_small_budget_reports_nothing_as_unread_and_goes_on_later(planted: Planted, tmp_path: Path) -> None:
    state = tmp_path / "reads.json"
    query, now = replace(QUERY, state=state, requests=3), datetime.now(UTC) + timedelta(days=2)
    first = planted.status(query, now)
    assert first.observation is not None
    assert not first.observation.is_complete
    assert any("not enough" in one.text for one in first.observation.problems)
    assert not any(one.readings.unread or one.readings.silent for one in first.secrets if one.readings)
    last = planted.status(query, now)
    assert last.observation is not None
    assert last.observation.is_complete
    assert [one.readings for one in last.secrets] == [one.readings for one in planted.status(now=now).secrets]


def test_exit_code_forms_and_metrics_name_the_readers(planted: Planted, tmp_path: Path) -> None:
    arguments = ("--stack", "test", "--readers", "3", "--deployer", ROOT, "--fail-on", "readers")
    done = planted.status_stack.command(*arguments, "--metrics", str(tmp_path / "metrics"))
    assert done.returncode == ExitCode.READERS, done.stderr
    assert (
        "readers: sessions: arn:aws:iam::123456789012:role/rotation-role-lookalike (unknown to" in done.stdout
    )
    assert "maya@example.com (person) read it once" in done.stdout
    assert "suggestion: " in done.stdout
    metrics = (tmp_path / "metrics").read_text()
    [line] = re.findall(r'^aws_secrets_undeclared_readers\{.*"sessions".*$', metrics, re.MULTILINE)
    assert line.endswith(" 1.0")
    page = tmp_path / "page.html"
    assert planted.status_stack.command(*arguments, "--html", str(page)).returncode == ExitCode.READERS
    assert "rotation-role-lookalike is not declared, and reads sessions" in page.read_text()
    assert planted.status_stack.command(*arguments[:2], "--trail", "s3://logs").returncode == ExitCode.USAGE


def test_without_its_permission_the_readers_are_unknown(planted: Planted, deployed: Stack) -> None:
    names = ("secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy", "kms:DescribeKey")
    role_arn = role(deployed, "monitor-of-readers", reads=False)
    described = {"Effect": "Allow", "Action": list(names), "Resource": "*"}
    iam = deployed.client("iam")

    def unknown(*statements: dict[str, Any]) -> list[str]:
        iam.put_role_policy(
            RoleName="monitor-of-readers", PolicyName="p", PolicyDocument=document(*statements)
        )
        given = deployed.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="it")["Credentials"]
        environment = {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }
        done = planted.status_stack.command("--stack", "test", "--readers", "--json", environment=environment)
        observed = json.loads(done.stdout)["observation"]
        assert observed["isComplete"] is ("cloudtrail" in str(statements))
        return [one["text"].rpartition(" ")[2] for one in observed["problems"] if one["kind"] == "unknown"]

    more = {"Effect": "Allow", "Action": ["cloudtrail:LookupEvents", "lambda:GetFunctionConfiguration"]}
    assert unknown(described) == ["cloudtrail:LookupEvents", "lambda:GetFunctionConfiguration"]
    assert unknown(described, {**more, "Resource": "*"}) == []


def test_a_trail_s_files_tell_the_same(planted: Planted, deployed: Stack) -> None:
    trail, s3 = deployed.client("cloudtrail"), deployed.client("s3")
    pages = trail.get_paginator("lookup_events").paginate()
    records = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    s3.create_bucket(Bucket="logs")
    folder = f"all/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/{datetime.now(UTC):%Y/%m/%d}"
    for number, part in enumerate((records[::2], records[1::2])):
        content = gzip.compress(json.dumps({"Records": part}).encode())
        s3.put_object(Bucket="logs", Key=f"{folder}/{number}.json.gz", Body=content)
    s3.put_object(Bucket="logs", Key=f"{folder}/damaged.json.gz", Body=b"\x1f\x8bno")
    now = datetime.now(UTC) + timedelta(days=2)
    found = planted.status(replace(QUERY, trail=Trail.of("s3://logs/all")), now)
    assert found.observation is not None
    assert (found.observation.is_complete, found.observation.damaged) == (True, 1)
    assert [one.readings for one in found.secrets] == [
        one.readings for one in planted.status(now=now).secrets
    ]
