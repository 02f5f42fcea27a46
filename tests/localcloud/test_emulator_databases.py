"""Databases that really run are RDS instances with a master secret."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.localcloud.emulator_process import Emulator, running_emulator

BODY = {
    "DBInstanceIdentifier": "example-db",
    "Host": "localhost",
    "Port": 15432,
    "Username": "postgres",
    "Password": "the-master-password",
}


def register(emulator: Emulator, **changes: object) -> str:
    data = json.dumps({**BODY, **changes}).encode()
    with urllib.request.urlopen(f"{emulator.endpoint}/_localcloud/databases", data, timeout=10) as answer:
        return str(json.load(answer)["MasterUserSecretArn"])


def client(emulator: Emulator, service: str) -> Any:  # noqa: ANN401  boto3 is untyped
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


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


def test_a_registered_database_is_an_instance_with_its_own_address_and_a_managed_secret() -> None:
    with running_emulator(None) as emulator:
        arn = register(emulator)
        instance = described(emulator)
        assert instance["Endpoint"]["Address"] == "localhost"
        assert instance["Endpoint"]["Port"] == 15432
        assert (instance["Engine"], instance["DBInstanceStatus"]) == ("postgres", "available")
        assert "DBSubnetGroup" not in instance
        assert instance["MasterUserSecret"]["SecretArn"] == arn
        assert arn.split(":")[6].startswith("rds!db-")
        assert master(emulator) == {"username": "postgres", "password": "the-master-password"}
        assert b"the-master-password" not in emulator.log.read_bytes()


def test_registered_again_it_moves_and_its_secret_keeps_what_it_holds(tmp_path: Path) -> None:
    with running_emulator(tmp_path / "data") as emulator:
        arn = register(emulator)
        client(emulator, "secretsmanager").put_secret_value(SecretId=arn, SecretString='{"password": "new"}')
        assert register(emulator, Port=15433) == arn
    with running_emulator(tmp_path / "data") as emulator:
        assert described(emulator)["Endpoint"]["Port"] == 15433
        assert register(emulator, Host="127.0.0.1") == arn
        assert described(emulator)["Endpoint"]["Address"] == "127.0.0.1"
        assert master(emulator) == {"password": "new"}


@pytest.mark.parametrize("changes", [{"Port": "5432"}, {"Host": ""}, {"Password": None}])
def test_what_describes_no_database_is_refused_without_the_password(changes: dict[str, object]) -> None:
    with running_emulator(None) as emulator:
        with pytest.raises(urllib.error.HTTPError) as raised:
            register(emulator, **changes)
        assert raised.value.code == 400
        assert next(iter(changes)).encode() in raised.value.read()
