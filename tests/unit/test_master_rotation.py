"""The rotation of master secrets that RDS manages: settings, resources, and what status asks, without AWS."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from automation.status import texts
from automation.status.aws import Asking, Denied
from automation.status.declared import Existing
from automation.status.judged import unknown_master
from automation.status.masters import Unknown, masters, merged
from settings import SettingsError, StackFile
from tests.unit.recorded_run import MASTER_ARN, Recording
from tests.unit.test_pipeline_program import made, statements
from tests.unit.test_rotation_program import one_database

ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
INSTANCE = {"rdsInstance": "example-db"}


def scheduled(**rotation: object) -> Recording:
    return one_database(server={**INSTANCE, "masterRotation": rotation})


def test_a_master_secret_is_scheduled_without_a_function_and_not_rotated_at_once() -> None:
    schedule = scheduled(automaticallyAfterDays=60).only(ROTATION, "shop-master-schedule")
    assert schedule.inputs == {
        "secretId": MASTER_ARN,
        "rotateImmediately": False,
        "rotationRules": {"automaticallyAfterDays": 60},
    }
    assert schedule.retain_on_delete  # the provider would end the rotation that RDS began


def test_a_master_secret_without_a_schedule_of_its_own_rotates_every_30_days() -> None:
    schedule = scheduled().only(ROTATION, "shop-master-schedule")
    assert schedule.inputs["rotationRules"] == {"automaticallyAfterDays": 30}


def test_a_rotation_that_is_switched_off_has_no_rules() -> None:
    schedule = scheduled(enabled=False).only(ROTATION, "shop-master-schedule")
    assert schedule.inputs == {"secretId": MASTER_ARN, "rotateImmediately": False, "rotationEnabled": False}


def test_a_master_secret_that_the_stack_file_does_not_mention_is_left_alone() -> None:
    recording = one_database(server=INSTANCE)
    assert [found.name for found in recording.resources if found.type == ROTATION] == [
        "app-database-rotation-schedule"
    ]


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (
            {"host": "db.example", "outsideVpc": True, "admin": {"secretArn": MASTER_ARN}},
            "does not know this",
        ),
        ({**INSTANCE, "admin": {"secretArn": MASTER_ARN}}, "admin names another secret"),
        ({**INSTANCE, "masterRotation": {"enabled": False, "duration": "3h"}}, "enabled: false"),
        ({**INSTANCE, "masterRotation": {"automaticallyAfterDays": 1001}}, "1000 or less"),
    ],
)
def test_a_master_rotation_that_cannot_be_is_refused(server: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        one_database(server={"masterRotation": {}, **server})
    assert words in str(raised.value)
    assert "aws-secrets:databases.shop" in str(raised.value)


def test_a_pipelines_role_may_schedule_only_the_master_secrets_that_are_named() -> None:
    assert "ScheduleMasterRotation" not in {found["Sid"] for found in statements(made(), "update-policy")}
    databases = {"rdsInstances": ["a"], "adminSecretArns": [MASTER_ARN], "masterRotationArns": [MASTER_ARN]}
    found = {one["Sid"]: one for one in statements(made(databases=databases), "update-policy")}
    assert found["ScheduleMasterRotation"]["Resource"] == [MASTER_ARN]
    assert "secretsmanager:RotateSecret" in found["ScheduleMasterRotation"]["Action"]


class Rds:
    """RDS's client, which knows one instance, or refuses."""

    def __init__(self, answer: dict[str, Any] | str) -> None:
        self.answer = answer

    def describe_db_instances(self, **_: str) -> dict[str, Any]:
        if isinstance(self.answer, str):
            raise ClientError({"Error": {"Code": self.answer}}, "DescribeDBInstances")
        return {"DBInstances": [self.answer]}

    describe_db_clusters = describe_db_instances


def asked(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | str, **database: object
) -> tuple[list[Existing], list[Unknown]]:
    login = {"logins": {"app": {"username": "a", "database": "d"}}}
    stack_file = StackFile.model_validate({"databases": {"shop": {**INSTANCE, **login, **database}}})
    monkeypatch.setattr(Asking, "client", lambda *_: Rds(answer))
    return masters("aws-secrets", stack_file, Asking("us-east-1", None))


MANAGED = {"MasterUserSecret": {"SecretArn": MASTER_ARN}}


def test_status_finds_the_master_secret_and_its_declared_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    [found], unknown = asked(monkeypatch, MANAGED, masterRotation={"scheduleExpression": "rate(9 days)"})
    assert not unknown
    assert found.name == "rds!db-1234"
    assert found.rotation_declared
    assert found.schedule is not None
    assert found.schedule.expression == "rate(9 days)"
    read = Existing(name=found.name, path="p", foreign=False, reads={"web": ("password",)})
    [both] = merged([read], [found])
    assert (both.reads, both.schedule) == (read.reads, found.schedule)


@pytest.mark.parametrize("answer", ["AccessDenied", "DBInstanceNotFound", {}])
def test_a_master_secret_that_rds_does_not_tell_is_left_out_unless_its_rotation_is_declared(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | str
) -> None:
    assert asked(monkeypatch, answer) == ([], [])
    found, [unknown] = asked(monkeypatch, answer, masterRotation={})
    assert found == []
    secret = unknown_master(unknown)
    [problem] = secret.problems
    assert problem.kind == ("unknown" if answer == "AccessDenied" else "unavailable")
    assert unknown.path == "aws-secrets:databases.shop.masterRotation"
    assert texts.state(secret)


def test_a_denied_question_names_its_permission() -> None:
    unknown = Unknown(name="a", path="p", why=Denied(action="rds:DescribeDBClusters"))
    assert "rds:DescribeDBClusters" in unknown_master(unknown).problems[0].text
