"""Databases that really run are RDS instances with a master secret."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulator_functions import client
from tests.support.emulator_process import Emulator, running_emulator

BODY = {
    "DBInstanceIdentifier": "example-db",
    "Host": "localhost",
    "Port": 15432,
    "Username": "postgres",
    "Password": "the-master-password",
    "DBName": "example",
}


def register(emulator: Emulator, **changes: object) -> str:
    data = json.dumps({**BODY, **changes}).encode()
    with urllib.request.urlopen(f"{emulator.endpoint}/_localcloud/databases", data, timeout=60) as answer:
        return str(json.load(answer)["MasterUserSecretArn"])


def described(emulator: Emulator) -> dict[str, Any]:
    found: dict[str, Any]
    [found] = client(emulator, "rds").describe_db_instances(DBInstanceIdentifier="example-db")["DBInstances"]
    return found


def master(emulator: Emulator) -> dict[str, str]:
    arn = described(emulator)["MasterUserSecret"]["SecretArn"]
    value: dict[str, str] = json.loads(
        client(emulator, "secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    )
    return value


def test_a_registered_database_has_its_address_and_a_managed_secret() -> None:
    with running_emulator(None) as emulator:
        arn = register(emulator)
        instance = described(emulator)
        assert instance["Endpoint"]["Address"] == "localhost"
        assert instance["Endpoint"]["Port"] == 15432
        assert (instance["Engine"], instance["DBInstanceStatus"]) == ("postgres", "available")
        assert instance["DBName"] == "example"
        assert "DBSubnetGroup" not in instance
        assert instance["MasterUserSecret"]["SecretArn"] == arn
        assert arn.split(":")[6].startswith("rds!db-")
        assert master(emulator) == {"username": "postgres", "password": "the-master-password"}
        assert b"the-master-password" not in emulator.log.read_bytes()


def test_registered_again_it_moves_and_its_secret_keeps_what_it_holds(tmp_path: Path) -> None:
    with running_emulator(tmp_path / "data") as emulator:
        arn = register(emulator)
        client(emulator, "secretsmanager").put_secret_value(SecretId=arn, SecretString='{"password": "new"}')
        assert register(emulator, Port=15433, DBName="other", Password="another") == arn
    with running_emulator(tmp_path / "data") as emulator:
        assert described(emulator)["Endpoint"]["Port"] == 15433
        assert described(emulator)["DBName"] == "other"
        assert register(emulator, Host="127.0.0.1") == arn
        assert described(emulator)["Endpoint"]["Address"] == "127.0.0.1"
        assert master(emulator) == {"password": "new"}


def test_a_master_secret_scheduled_for_deletion_stays_as_it_is() -> None:
    with running_emulator(None) as emulator:
        arn = register(emulator)
        secrets = client(emulator, "secretsmanager")
        secrets.put_secret_value(SecretId=arn, SecretString='{"password": "new"}')
        secrets.delete_secret(SecretId=arn)
        assert register(emulator) == arn
        assert master(emulator) == {"password": "new"}


def test_a_deleted_master_secret_is_created_again_with_the_same_password() -> None:
    with running_emulator(None) as emulator:
        gone = register(emulator)
        client(emulator, "secretsmanager").delete_secret(SecretId=gone, ForceDeleteWithoutRecovery=True)
        assert register(emulator, Password="the-present-password") != gone
        assert master(emulator) == {"username": "postgres", "password": "the-present-password"}


def refusal(emulator: Emulator, **changes: object) -> str:
    with pytest.raises(urllib.error.HTTPError) as raised:
        register(emulator, **changes)
    assert raised.value.code == 400
    return str(json.load(raised.value)["error"])


def test_an_invalid_registration_is_rejected_without_the_password() -> None:
    wrong: dict[str, tuple[object, ...]] = {
        "Port": ("5432", True, 0, 65_536, None),
        "Host": ("", None),
        "Password": (None, 1),
        "DBName": ("", 1),
        "Region": ("nowhere-1", ""),
        "DBInstanceIdentifier": (None, "-a", "a--b", "a_b"),
    }
    with running_emulator(None) as emulator:
        for key, values in wrong.items():
            for value in values:
                answer = refusal(emulator, **{key: value})
                assert key in answer, f"{key} {value}"
                assert "the-master-password" not in answer
        assert not client(emulator, "rds").describe_db_instances()["DBInstances"]
        log = emulator.log.read_text()
        assert "Traceback" not in log
        assert "the-master-password" not in log


def made_through_rds(emulator: Emulator, **password: object) -> None:
    client(emulator, "rds").create_db_instance(
        DBInstanceIdentifier="example-db",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="chief",
        **password,
    )


def test_an_instance_made_through_rds_is_not_taken_over() -> None:
    with running_emulator(None) as emulator:
        made_through_rds(emulator, MasterUserPassword="of-their-own")
        assert "delete it, or use" in refusal(emulator)
        assert described(emulator)["Endpoint"]["Address"] != "localhost"


def test_a_master_secret_rotates_without_a_function_on_any_schedule() -> None:
    with running_emulator(None) as emulator:
        made_through_rds(emulator, ManageMasterUserPassword=True)
        arn = described(emulator)["MasterUserSecret"]["SecretArn"]
        secrets = client(emulator, "secretsmanager")
        about = secrets.describe_secret(SecretId=arn)
        assert about["OwningService"] == "rds"
        assert about["RotationEnabled"] is True
        assert about["RotationRules"] == {"AutomaticallyAfterDays": 7}
        assert "RotationLambdaARN" not in about
        first = master(emulator)
        rules = {"ScheduleExpression": "rate(20 days)"}
        secrets.rotate_secret(SecretId=arn, RotationRules=rules, RotateImmediately=False)
        assert master(emulator) == first
        assert secrets.describe_secret(SecretId=arn)["RotationRules"]["ScheduleExpression"] == "rate(20 days)"
        version = secrets.rotate_secret(SecretId=arn)["VersionId"]
        after = secrets.describe_secret(SecretId=arn)
        assert after["VersionIdsToStages"][version] == ["AWSCURRENT"]
        assert after["LastRotatedDate"]
        assert master(emulator)["password"] != first["password"]
        with pytest.raises(secrets.exceptions.InvalidParameterException, match="managed by rds"):
            secrets.rotate_secret(SecretId=arn, RotationLambdaARN="arn:aws:lambda:us-east-1:1:function:f")
        secrets.cancel_rotate_secret(SecretId=arn)
        assert secrets.describe_secret(SecretId=arn)["RotationEnabled"] is False


def test_rotating_a_running_databases_master_secret_keeps_its_password() -> None:
    with running_emulator(None) as emulator:
        arn = register(emulator)
        client(emulator, "secretsmanager").rotate_secret(SecretId=arn)
        assert master(emulator)["password"] == "the-master-password"
