"""The command, on a deployed stack: what only AWS knows about a rotation is broken, found, and named."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pg8000.native
import pytest
import yaml

from components.lambdas.rotation.sql import literal, scram_verifier
from operations.exit_codes import ExitCode
from operations.rehearse.command import main
from operations.rollback.history import history
from operations.status.command import main as status
from tests.rotation.test_rehearsal import ROLES
from tests.support.command_line import CommandLine, Done
from tests.support.emulator_functions import deploy, until, zipped
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.rotation_world import superuser
from tests.support.shops import SECRET, Shop, new_shop
from tests.support.stacks import new_stack
from tools.localcloud.postgres import PostgresServer

KEYS = "keys"
OF_OTHERS = "def handle(event, _):\n    return {'Findings': 'none of yours'}\n"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("rehearse")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        shop = new_shop(new_stack(folder / "project", environment, emulator.endpoint), server)
        shop.configure()
        content = yaml.safe_load(shop.stack.file.read_text())
        content["config"]["aws-secrets:secrets"] = {
            KEYS: {"values": {"KEY": {"random": {}}}, "rotation": {"keys": ["KEY"]}},
            "plain": {"values": {"KEY": {"random": {}}}},
        }
        content["config"]["aws-secrets:databases"]["shop"]["outsideVpc"] = True
        content["config"]["aws-secrets:rehearsal"] = {"everyDays": 7}
        shop.stack.file.write_text(yaml.safe_dump(content))
        shop.stack.up()
        shop.wait_for_rotations()
        yield shop


@dataclass(frozen=True)
class Rehearsals:
    shop: Shop
    command: Callable[..., Done]

    @property
    def function(self) -> str:
        return str(self.shop.described()["RotationLambdaARN"])

    def findings(self, *secrets: str) -> dict[str, str]:
        """Rehearse the login, or the named secrets; return the problem of each step."""
        done = self.command(*(secrets or (SECRET,)), "--json")
        [one] = done.document()["secrets"]
        assert (done.code == ExitCode.ROTATION) is bool(one["findings"]), done
        return {finding["step"]: finding["problem"] for finding in one["findings"]}

    def labels(self, secret: str = SECRET) -> dict[str, list[str]]:
        return dict(self.shop.described(secret)["VersionIdsToStages"])


@pytest.fixture
def rehearsals(
    deployed: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Rehearsals:
    line = CommandLine(main, monkeypatch, capfd)
    whole = ("--stack", "test", "--cwd", str(deployed.stack.folder))
    return Rehearsals(deployed, lambda *arguments: line.run([*arguments, *whole], deployed.stack.environment))


def test_every_rotating_secret_is_rehearsed_and_stays_as_it_is(rehearsals: Rehearsals) -> None:
    stack = rehearsals.shop.stack
    before = [(rehearsals.labels(name), stack.value(name)) for name in (SECRET, KEYS)]
    done = rehearsals.command("--json")
    assert done.code == ExitCode.DONE, done
    tried = {one["secret"]: set(one["tried"]) for one in done.document()["secrets"]}
    everywhere = {"attachment", "permission", "alarm", "read", "createSecret", "testSecret", "finishSecret"}
    assert tried == {
        KEYS: everywhere | {"describe"},
        SECRET: everywhere | {"describe", "setSecret", "recreate", "schemas"},
    }
    assert [(rehearsals.labels(name), stack.value(name)) for name in (SECRET, KEYS)] == before
    text = rehearsals.command(SECRET).out
    assert "the next rotation would work" in text
    assert "not tried: testSecret: a login of" in text
    secret = [
        value[key] for _, value in before for key in ("password", "DATABASE_URL", "KEY") if key in value
    ]
    assert len(secret) == 3
    assert not any(value in done.out + text for value in secret)
    assert stack.preview() == []
    versions = [one for one in history(stack.client(), KEYS, is_login=False).versions if one.is_of_rehearsal]
    assert versions
    assert not any(one.holds_a_value for one in versions)
    rehearsals.shop.rotate()
    rehearsals.shop.log_in()


@contextmanager
def no_permission(rehearsals: Rehearsals) -> Iterator[None]:
    client, name = rehearsals.shop.stack.client("lambda"), rehearsals.function
    [statement] = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]
    client.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    grant = {"FunctionName": name, "Action": "lambda:InvokeFunction", "StatementId": statement["Sid"]}
    client.add_permission(**grant, Principal="secretsmanager.amazonaws.com", SourceAccount="210987654321")
    yield
    client.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    client.add_permission(**grant, Principal="secretsmanager.amazonaws.com", SourceAccount="123456789012")


@contextmanager
def no_rotation(rehearsals: Rehearsals) -> Iterator[None]:
    client, rotation = rehearsals.shop.stack.client(), rehearsals.shop.described()
    client.cancel_rotate_secret(SecretId=SECRET)
    yield
    _attach(rehearsals, rotation["RotationLambdaARN"], rotation["RotationRules"])


@contextmanager
def wrong_function(rehearsals: Rehearsals) -> Iterator[None]:
    shop, own = rehearsals.shop, rehearsals.shop.described()
    other = deploy(Emulator(0, shop.stack.endpoint, {}, Path(), 0), "of-others", zipped(OF_OTHERS))
    shop.stack.client("lambda").add_permission(
        FunctionName=other,
        StatementId="AllowSecretsManager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    _attach(rehearsals, other, own["RotationRules"])
    yield
    _attach(rehearsals, own["RotationLambdaARN"], own["RotationRules"])


def _attach(rehearsals: Rehearsals, function: str, rules: object) -> None:
    rehearsals.shop.stack.client().rotate_secret(
        SecretId=SECRET, RotationLambdaARN=function, RotationRules=rules, RotateImmediately=False
    )
    rehearsals.shop.wait_for_rotations()


@contextmanager
def no_alarm(rehearsals: Rehearsals) -> Iterator[None]:
    client = rehearsals.shop.stack.client("cloudwatch")
    name = rehearsals.function.rpartition(":")[2]
    dimensions = [{"Name": "FunctionName", "Value": name}]
    [alarm] = [one for one in client.describe_alarms()["MetricAlarms"] if one["Dimensions"] == dimensions]
    client.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    yield
    known = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods")
    comparison = ("ComparisonOperator", "Threshold")
    client.put_metric_alarm(**{key: alarm[key] for key in (*known, *comparison)})


@contextmanager
def no_put_by_the_role(rehearsals: Rehearsals) -> Iterator[None]:
    iam, arn = rehearsals.shop.stack.client("iam"), rehearsals.function
    role = rehearsals.shop.stack.client("lambda").get_function_configuration(FunctionName=arn)["Role"]
    name = role.rpartition("/")[2]
    deny = {"Effect": "Deny", "Action": "secretsmanager:PutSecretValue", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=name, PolicyName="no-put", PolicyDocument=document)
    yield
    iam.delete_role_policy(RoleName=name, PolicyName="no-put")


@contextmanager
def policy_of_the_secret_denies(rehearsals: Rehearsals) -> Iterator[None]:
    client = rehearsals.shop.stack.client()
    role = rehearsals.shop.stack.client("lambda").get_function_configuration(
        FunctionName=rehearsals.function
    )["Role"]
    actions = "secretsmanager:UpdateSecretVersionStage"
    deny = {"Effect": "Deny", "Principal": {"AWS": role}, "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    client.put_resource_policy(SecretId=SECRET, ResourcePolicy=document)
    yield
    client.delete_resource_policy(SecretId=SECRET)


@contextmanager
def key_disabled(rehearsals: Rehearsals) -> Iterator[None]:
    kms, client = rehearsals.shop.stack.client("kms"), rehearsals.shop.stack.client()
    key = kms.create_key()["KeyMetadata"]["Arn"]
    client.update_secret(SecretId=SECRET, KmsKeyId=key)
    kms.disable_key(KeyId=key)
    yield
    client.update_secret(SecretId=SECRET, KmsKeyId="alias/aws/secretsmanager")


@pytest.mark.parametrize(
    ("broken", "step", "words"),
    [
        (no_permission, "permission", "does not let secretsmanager.amazonaws.com invoke it"),
        (no_rotation, "attachment", "is off in AWS"),
        (wrong_function, "attachment", "of-others, and the stack declares"),
        (no_alarm, "alarm", "has no alarm"),
        (no_put_by_the_role, "createSecret", "PutSecretValue"),
        (policy_of_the_secret_denies, "finishSecret", "UpdateSecretVersionStage"),
        (key_disabled, "key", "Disabled"),
    ],
)
def test_what_is_broken_in_aws_is_named(
    rehearsals: Rehearsals, broken: Callable[[Rehearsals], Any], step: str, words: str
) -> None:
    before = rehearsals.labels()
    with ExitStack() as stack:
        stack.enter_context(broken(rehearsals))
        known = rehearsals.findings()
        text = rehearsals.command(SECRET).out
    assert words in known[step], known
    assert set(known) <= {step, "read", "createSecret", "testSecret"}, known
    assert words in text
    assert rehearsals.findings() == {}
    after = {version: names for version, names in rehearsals.labels().items() if "AWSCURRENT" in names}
    assert after == {version: names for version, names in before.items() if "AWSCURRENT" in names}


def test_a_secret_that_no_function_rotates_is_refused(rehearsals: Rehearsals) -> None:
    for name, words in (("plain", "rotates it with no function"), ("other", "does not declare it")):
        done = rehearsals.command(name)
        assert (done.code, words in done.err, SECRET in done.err) == (ExitCode.FAILED, True, True)


def test_credentials_of_another_account_rehearse_nothing(rehearsals: Rehearsals) -> None:
    stack = rehearsals.shop.stack
    text = stack.file.read_text()
    content = yaml.safe_load(text)
    content["config"]["aws:allowedAccountIds"] = ["210987654321"]
    stack.file.write_text(yaml.safe_dump(content))
    done = rehearsals.command(SECRET)
    stack.file.write_text(text)
    assert done.code == ExitCode.CREDENTIALS


def catalog(connection: pg8000.native.Connection) -> list[object]:
    query = "SELECT t::text FROM pg_catalog.{} t ORDER BY 1"
    return [connection.run(query.format(one)) for one in ROLES]


def scheduled(shop: Shop) -> str:
    """Run the schedule; return the state of the alarm once the rehearsal has ended."""
    cloudwatch = shop.stack.client("cloudwatch")

    def alarm() -> dict[str, Any]:
        alarms = cloudwatch.describe_alarms()["MetricAlarms"]
        [own] = [one for one in alarms if one["AlarmName"].startswith("rehearsal-alarm")]
        return dict(own)

    before = alarm()["StateUpdatedTimestamp"]
    request = urllib.request.Request(f"{shop.stack.endpoint}/_localcloud/run-schedules", data=b"{}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert [one.split("-")[0] for one in json.load(answer)["called"]] == ["rehearsal"]
    until(lambda: alarm()["StateUpdatedTimestamp"] != before)
    return str(alarm()["StateValue"])


def test_a_schedule_finds_what_breaks_until_it_is_mended(
    rehearsals: Rehearsals, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = rehearsals.shop
    line = CommandLine(lambda arguments: status(list(arguments)), monkeypatch, capfd)
    monkeypatch.chdir(shop.stack.folder)
    values = json.dumps([shop.stack.value(name) for name in (SECRET, KEYS)])
    errors = {"FunctionName": rehearsals.function.rpartition(":")[2]}

    def reported() -> dict[str, Any]:
        done = line.run(["--stack", "test", "--json"], shop.stack.environment)
        secrets = {one["name"]: one for one in done.document()["secrets"]}
        assert secrets["plain"]["rehearsal"] is None
        assert secrets[KEYS]["rehearsal"]["works"] is True
        kinds = {one["kind"] for name in secrets for one in secrets[name]["problems"]}
        assert (kinds, done.code) in (
            (set(), ExitCode.DONE),
            ({"rehearsal"}, ExitCode.ROTATION),
        )
        return dict(secrets[SECRET])

    with superuser(shop.server) as connection:
        user = shop.server.admin_user
        [[verifier]] = connection.run("SELECT rolpassword FROM pg_authid WHERE rolname = :n", n=user)
        before = catalog(connection), rehearsals.labels(), rehearsals.labels(KEYS)
        assert scheduled(shop) == "OK"
        assert reported()["rehearsal"]["works"] is True
        try:
            connection.run(f"ALTER ROLE {user} PASSWORD {literal(scram_verifier('not-the-one-1'))}")
            assert scheduled(shop) == "ALARM"
        finally:
            connection.run(f"ALTER ROLE {user} PASSWORD {literal(verifier)}")
        broken = reported()
        assert broken["rehearsal"]["steps"] == ["setSecret"]
        assert "rejected the password of user" in broken["problems"][0]["text"]
        assert scheduled(shop) == "OK"
        assert reported()["problems"] == []
        assert (catalog(connection), rehearsals.labels(), rehearsals.labels(KEYS)) == before
    cloudwatch = shop.stack.client("cloudwatch")
    dimensions = [{"Name": key, "Value": name} for key, name in errors.items()]
    [rotation] = [
        one for one in cloudwatch.describe_alarms()["MetricAlarms"] if one["Dimensions"] == dimensions
    ]
    assert rotation["StateValue"] == "OK"
    assert json.dumps([shop.stack.value(name) for name in (SECRET, KEYS)]) == values
    shown = shop.stack.function_log()
    assert "aws-secrets-rehearsal" in shown
    login, keys = shop.stack.value(SECRET), shop.stack.value(KEYS)
    for value in (login["password"], login["DATABASE_URL"], keys["KEY"], shop.server.admin_password):
        assert value not in shown
