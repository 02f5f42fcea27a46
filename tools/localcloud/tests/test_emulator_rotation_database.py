"""The real rotation function, deployed as its archive, on a real PostgreSQL, called by the emulator."""

import json
import ssl
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from components.lambdas import build
from tests.support.emulator_functions import ACCOUNT, call, client, deploy, logged, until
from tests.support.emulator_process import Emulator, running_emulator
from tools.localcloud import postgres
from tools.localcloud.postgres import PostgresServer

ROTATIONS = 4


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="rotation-postgres-"))  # tmp_path is closed to the server's user
    try:
        yield postgres.start(folder)
    finally:
        postgres.remove(folder)


@pytest.fixture(params=["yes", "no"], ids=["AWSPENDING removed", "AWSPENDING left"])
def emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Both ways in which AWS was seen to leave a version that a rotation made current."""
    monkeypatch.setenv("LOCALCLOUD_PENDING_CLEANED", request.param)
    with running_emulator(None) as running:
        yield running


def _logs_in(server: PostgresServer, fields: dict[str, Any]) -> bool:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with pg8000.native.Connection(
        fields["username"],
        server.host,
        fields["dbname"],
        server.port,
        fields["password"],
        ssl_context=context,
    ) as connection:
        return bool(connection.run("SELECT 1") == [[1]])


def test_the_deployed_archive_rotates_a_login_that_works_all_the_time(
    emulator: Emulator, server: PostgresServer, tmp_path: Path
) -> None:
    archive = build.build(tmp_path / "rotation.zip", tmp_path / "cache")
    secrets = client(emulator, "secretsmanager")
    function = deploy(
        emulator,
        "rotation",
        archive.path.read_bytes(),
        Handler=build.HANDLER,
        Timeout=30,
        Environment={"Variables": {"DATABASE_CA_FILE": str(server.ca_file)}},
    )
    found = client(emulator, "lambda").get_function_configuration(FunctionName="rotation")
    assert found["CodeSha256"] == archive.sha256
    client(emulator, "lambda").add_permission(
        FunctionName="rotation",
        StatementId="rotation",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=ACCOUNT,
    )
    postgres.create_database(server, "app")
    admin = {
        "username": server.admin_user,
        "password": server.admin_password,
        "host": server.host,
        "port": server.port,
    }
    login = {
        "engine": "postgres",
        "host": server.host,
        "port": server.port,
        "dbname": "app",
        "username": "app",
        "password": uuid.uuid4().hex,
        "masterarn": secrets.create_secret(Name="admin", SecretString=json.dumps(admin))["ARN"],
    }
    tags = [{"Key": "aws-secrets:rotation", "Value": "postgres-alternating"}]
    arn = secrets.create_secret(Name="login", SecretString=json.dumps(login), Tags=tags)["ARN"]
    payload, answer = call(emulator, "rotation", {"Action": "provision", "SecretId": arn, "Grants": "owner"})
    assert "FunctionError" not in answer, payload
    passwords = {login["password"]}
    for _ in range(ROTATIONS):
        token = secrets.rotate_secret(
            SecretId=arn, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30}
        )["VersionId"]

        def current() -> dict[str, Any]:
            value: dict[str, Any] = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
            assert _logs_in(server, value)
            return value

        def rotated(token: str = token) -> bool:
            current()
            return bool(secrets.get_secret_value(SecretId=arn)["VersionId"] == token)

        until(rotated)
        passwords.add(current()["password"])
    assert len(passwords) == ROTATIONS + 1
    log = "\n".join(logged(emulator, "/aws/lambda/rotation"))
    everything = log + emulator.log.read_text() + server.log_file.read_text(errors="replace")
    assert not any(password in everything for password in passwords)
