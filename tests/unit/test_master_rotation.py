"""The rotation of master secrets that RDS manages: settings, resources and status, without AWS."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from operations.status import texts
from operations.status.assess import unresolved_master
from operations.status.aws import AwsSession, Denied
from operations.status.declared import ExistingSecret
from operations.status.master_secrets import UnresolvedMaster, find_master_secrets, merge
from program.desired import resolve
from stack_file import SettingsError, StackFile
from tests.support.recorded_run import MASTER_ARN, Recording
from tests.unit.test_pipeline_program import made, statements
from tests.unit.test_rotation_program import one_database

ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
INSTANCE = {"rdsInstance": "example-db"}


def scheduled(**rotation: object) -> Recording:
    return one_database(server={**INSTANCE, "masterRotation": rotation})


def test_a_master_secret_is_scheduled_without_a_function() -> None:
    schedule = scheduled(automaticallyAfterDays=60).only(ROTATION, "shop-master-schedule")
    assert schedule.inputs == {
        "secretId": MASTER_ARN,
        "rotateImmediately": False,
        "rotationRules": {"automaticallyAfterDays": 60},
    }
    assert schedule.retain_on_delete  # the provider would cancel the rotation that RDS started


def test_a_master_secret_rotates_every_30_days_by_default() -> None:
    schedule = scheduled().only(ROTATION, "shop-master-schedule")
    assert schedule.inputs["rotationRules"] == {"automaticallyAfterDays": 30}


def test_a_disabled_rotation_has_no_rules() -> None:
    schedule = scheduled(enabled=False).only(ROTATION, "shop-master-schedule")
    assert schedule.inputs == {"secretId": MASTER_ARN, "rotateImmediately": False, "rotationEnabled": False}


def test_an_undeclared_master_rotation_is_left_unchanged() -> None:
    recording = one_database(server=INSTANCE)
    assert [found.name for found in recording.resources if found.type == ROTATION] == [
        "app-database-rotation-schedule"
    ]


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (
            {"host": "db.example", "outsideVpc": True, "admin": {"secretArn": MASTER_ARN}},
            "together with host",
        ),
        ({**INSTANCE, "admin": {"secretArn": MASTER_ARN}}, "together with admin"),
        ({**INSTANCE, "masterRotation": {"enabled": False, "duration": "3h"}}, "enabled: false"),
        ({**INSTANCE, "masterRotation": {"automaticallyAfterDays": 1001}}, "1000 or less"),
    ],
)
def test_an_impossible_master_rotation_is_rejected(server: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        one_database(server={"masterRotation": {}, **server})
    assert words in str(raised.value)
    assert "aws-secrets:databases.shop" in str(raised.value)


def test_a_pipeline_may_schedule_only_listed_master_secrets() -> None:
    assert "ScheduleMasterRotation" not in {found["Sid"] for found in statements(made(), "update-policy")}
    databases = {"rdsInstances": ["a"], "adminSecretArns": [MASTER_ARN], "masterRotationArns": [MASTER_ARN]}
    found = {one["Sid"]: one for one in statements(made(databases=databases), "update-policy")}
    assert found["ScheduleMasterRotation"]["Resource"] == [MASTER_ARN]
    assert "secretsmanager:RotateSecret" in found["ScheduleMasterRotation"]["Action"]


class Rds:
    """RDS's client, which has one instance or an error."""

    def __init__(self, answer: dict[str, Any] | str) -> None:
        self.answer = answer

    def describe_db_instances(self, **_: str) -> dict[str, Any]:
        if isinstance(self.answer, str):
            raise ClientError({"Error": {"Code": self.answer}}, "DescribeDBInstances")
        return {"DBInstances": [self.answer]}

    describe_db_clusters = describe_db_instances


def asked(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | str, **database: object
) -> tuple[list[ExistingSecret], list[UnresolvedMaster]]:
    login = {"logins": {"app": {"username": "a", "database": "d"}}}
    stack_file = StackFile.model_validate({"databases": {"shop": {**INSTANCE, **login, **database}}})
    monkeypatch.setattr(AwsSession, "client", lambda *_: Rds(answer))
    return find_master_secrets(resolve(stack_file, "aws-secrets", "test"), AwsSession("us-east-1", None))


MANAGED = {"MasterUserSecret": {"SecretArn": MASTER_ARN}}


def test_status_finds_the_master_secret_and_its_declared_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    [found], unknown = asked(monkeypatch, MANAGED, masterRotation={"scheduleExpression": "rate(9 days)"})
    assert not unknown
    assert found.name == "rds!db-1234"
    assert found.rotation_declared
    assert found.schedule is not None
    assert found.schedule.expression == "rate(9 days)"
    read = ExistingSecret(name=found.name, path="p", foreign=False, reads={"web": ("password",)})
    [both] = merge([read], [found])
    assert (both.reads, both.schedule) == (read.reads, found.schedule)


@pytest.mark.parametrize("answer", ["AccessDenied", "DBInstanceNotFound", {}])
def test_an_unknown_master_secret_shows_only_with_declared_rotation(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | str
) -> None:
    assert asked(monkeypatch, answer) == ([], [])
    found, [unknown] = asked(monkeypatch, answer, masterRotation={})
    assert found == []
    secret = unresolved_master(unknown)
    [problem] = secret.problems
    assert problem.kind == ("unknown" if answer == "AccessDenied" else "unavailable")
    assert unknown.path == "aws-secrets:databases.shop.masterRotation"
    assert texts.state(secret)


def test_a_denied_call_shows_its_permission() -> None:
    unknown = UnresolvedMaster(name="a", path="p", why=Denied(action="rds:DescribeDBClusters"))
    assert "rds:DescribeDBClusters" in unresolved_master(unknown).problems[0].text
