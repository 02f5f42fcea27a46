# ruff: noqa: ANN401  boto3 is untyped
"""The emulator's data after a stop, a kill and a damaged file."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.support.emulator_functions import TRUST
from tests.support.emulator_process import ROOT, Emulator, running_emulator
from tools.localcloud.emulator.state import Saver


def client_of(emulator: Emulator, service: str) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )


def health_of(emulator: Emulator) -> dict[str, Any]:
    with urllib.request.urlopen(f"{emulator.endpoint}/_localcloud/health") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_secrets_keys_and_the_name_of_the_instance_survive_a_stop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_emulator(data) as emulator:
        first = health_of(emulator)
        secrets, kms = client_of(emulator, "secretsmanager"), client_of(emulator, "kms")
        keys = [
            kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
            for spec, usage in (
                ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
                ("ECC_NIST_P256", "SIGN_VERIFY"),
                ("RSA_2048", "SIGN_VERIFY"),
            )
        ]
        kms.create_alias(AliasName="alias/app", TargetKeyId=keys[0])
        encrypted = kms.encrypt(KeyId="alias/app", Plaintext=b"text")["CiphertextBlob"]
        public = [kms.get_public_key(KeyId=key)["PublicKey"] for key in keys[1:]]
        secrets.create_secret(Name="app", SecretString="first", KmsKeyId="alias/app")
        secrets.put_secret_value(
            SecretId="app", SecretString="second", VersionStages=["AWSCURRENT", "aws-secrets-initial"]
        )
        described = secrets.describe_secret(SecretId="app")
    assert not first["restored"]
    with running_emulator(data) as emulator:
        assert health_of(emulator) == {**first, "restored": True}
        secrets, kms = client_of(emulator, "secretsmanager"), client_of(emulator, "kms")
        again = secrets.describe_secret(SecretId="app")
        for about in (described, again):
            del about["ResponseMetadata"]
        assert again == described
        assert secrets.get_secret_value(SecretId="app")["SecretString"] == "second"
        assert kms.decrypt(CiphertextBlob=encrypted)["Plaintext"] == b"text"
        assert [kms.get_public_key(KeyId=key)["PublicKey"] for key in keys[1:]] == public
        assert "cannot save" not in emulator.log.read_text()


def test_two_emulators_that_begin_empty_have_different_names(tmp_path: Path) -> None:
    with running_emulator(tmp_path / "a") as one, running_emulator(tmp_path / "b") as other:
        assert health_of(one)["instance"] != health_of(other)["instance"]


def test_a_kill_during_writes_loses_only_the_last(tmp_path: Path) -> None:
    data = tmp_path / "data"
    answered: list[str] = []

    def write(emulator: Emulator) -> None:
        secrets = client_of(emulator, "secretsmanager")
        secrets.create_secret(Name="app")
        try:
            while True:
                number = len(answered)
                put = secrets.put_secret_value(SecretId="app", SecretString=f"{number} " + "x" * 5000)
                answered.append(put["VersionId"])
        except BotoCoreError:
            return  # killed

    def file_number() -> int:
        return data.stat().st_ino if data.exists() else 0  # the first save may still be to come

    def written_before_the_next_save() -> int:
        """Answers given while the present file existed: the save after the next must contain them."""
        deadline = time.monotonic() + 60
        before = file_number()
        while time.monotonic() < deadline:
            count = len(answered)
            if file_number() != before:
                return count
            time.sleep(0.001)
        raise AssertionError("nothing is saved while values are written")

    with running_emulator(data) as emulator:
        first = health_of(emulator)
        writer = threading.Thread(target=write, args=(emulator,))
        writer.start()
        written_before_the_next_save()
        promised = written_before_the_next_save()
        written_before_the_next_save()
        os.kill(emulator.pid, signal.SIGKILL)
        writer.join()
    assert promised > 0
    with running_emulator(data) as emulator:
        assert health_of(emulator) == {**first, "restored": True}
        assert "cannot be read" not in emulator.log.read_text()
        secrets = client_of(emulator, "secretsmanager")
        current = secrets.get_secret_value(SecretId="app")
        number, _, rest = current["SecretString"].partition(" ")
        assert rest == "x" * 5000
        kept = int(number) + 1
        assert promised <= kept <= len(answered) + 1  # the last one may have had no answer
        for place, version in enumerate(answered[:kept]):
            found = secrets.get_secret_value(SecretId="app", VersionId=version)
            assert found["SecretString"].startswith(f"{place} ")
        secrets.put_secret_value(SecretId="app", SecretString="afterwards")
        assert secrets.get_secret_value(SecretId="app")["SecretString"] == "afterwards"


@pytest.mark.parametrize("damage", ["garbage", "cut off", "empty", "another program's"])
def test_a_damaged_file_is_moved_aside_and_a_new_instance_begins(tmp_path: Path, damage: str) -> None:
    data = tmp_path / "data"
    with running_emulator(data) as emulator:
        first = health_of(emulator)["instance"]
        client_of(emulator, "secretsmanager").create_secret(Name="app", SecretString="never-in-a-log")
    whole = data.read_bytes()
    damaged = {
        "garbage": b"no pickle",
        "cut off": whole[: len(whole) // 2],
        "empty": b"",
        "another program's": b"\x80\x04N.",
    }[damage]
    data.write_bytes(damaged)
    with running_emulator(data) as emulator:
        health = health_of(emulator)
        log = emulator.log.read_text()
        assert client_of(emulator, "secretsmanager").list_secrets()["SecretList"] == []
    assert not health["restored"]
    assert health["instance"] != first
    assert (tmp_path / "data.unreadable").read_bytes() == damaged
    assert "cannot be read" in log
    assert "data.unreadable" in log
    assert "Traceback" not in log
    assert "never-in-a-log" not in log


def test_only_its_owner_may_read_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = os.umask(0)
    try:
        with running_emulator(data) as emulator:
            client_of(emulator, "secretsmanager").create_secret(Name="app", SecretString="first")
    finally:
        os.umask(before)
    assert data.stat().st_mode & 0o777 == 0o600


def test_a_port_in_use_is_reported_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "tools.localcloud.emulator"),
                *("--port", str(port), "--data", str(tmp_path / "data")),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert str(port) in line
    assert "LOCALCLOUD_PORT" in line
    assert not (tmp_path / "data").exists()


def test_a_save_that_fails_is_said_once_and_made_up_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "missing"
    saver = Saver(folder / "data", "an instance", nullcontext())
    said = ""
    deadline = time.monotonic() + 20
    while "cannot save" not in said and time.monotonic() < deadline:
        said += capsys.readouterr().err
        time.sleep(0.01)
    folder.mkdir()
    while not (folder / "data").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    saver.finish()
    said += capsys.readouterr().err
    assert (folder / "data").exists()
    assert said.count("cannot save its data") == 1
    assert "No such file or directory" in said
    assert "Traceback" not in said


def test_no_write_that_was_answered_is_lost_by_a_stop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    answered: list[str] = []

    def write(emulator: Emulator, worker: int) -> None:
        secrets = client_of(emulator, "secretsmanager")
        try:
            for number in range(10_000):
                made = secrets.create_secret(Name=f"app/{worker}/{number}", SecretString="x")
                answered.append(made["Name"])
        except BotoCoreError:
            return  # stopped

    with running_emulator(data) as emulator:
        writers = [threading.Thread(target=write, args=(emulator, worker)) for worker in range(4)]
        for writer in writers:
            writer.start()
        while len(answered) < 40:
            time.sleep(0.001)
        os.kill(emulator.pid, signal.SIGTERM)
        for writer in writers:
            writer.join()
    with running_emulator(data) as emulator:
        pages = client_of(emulator, "secretsmanager").get_paginator("list_secrets").paginate()
        kept = {secret["Name"] for page in pages for secret in page["SecretList"]}
    assert set(answered) <= kept


def test_roles_with_managed_policies_and_databases_with_their_secrets_survive_a_stop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
    with running_emulator(data) as emulator:
        iam, rds = client_of(emulator, "iam"), client_of(emulator, "rds")
        iam.create_role(RoleName="rotation", AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName="rotation", PolicyArn=managed)
        made = rds.create_db_instance(
            DBInstanceIdentifier="app",
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="master",
            ManageMasterUserPassword=True,
        )
        groups = client_of(emulator, "ec2").describe_security_groups()["SecurityGroups"]
        secret = made["DBInstance"]["MasterUserSecret"]["SecretArn"]
        value = client_of(emulator, "secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    with running_emulator(data) as emulator:
        iam, rds = client_of(emulator, "iam"), client_of(emulator, "rds")
        [attached] = iam.list_attached_role_policies(RoleName="rotation")["AttachedPolicies"]
        assert attached["PolicyArn"] == managed
        [database] = rds.describe_db_instances()["DBInstances"]
        assert database["MasterUserSecret"]["SecretArn"] == secret
        again = client_of(emulator, "ec2").describe_security_groups()["SecurityGroups"]
        assert [group["GroupId"] for group in again] == [group["GroupId"] for group in groups]
        secrets = client_of(emulator, "secretsmanager")
        assert secrets.get_secret_value(SecretId=secret)["SecretString"] == value
        assert secrets.describe_secret(SecretId=secret)["OwningService"] == "rds"
        rds.delete_db_instance(DBInstanceIdentifier="app", SkipFinalSnapshot=True)
        assert secrets.list_secrets()["SecretList"] == []
        assert value not in emulator.log.read_text()


def started_beside(data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return an emulator that is expected to end at once."""
    return subprocess.run(
        [sys.executable, "-m", "tools.localcloud.emulator", "--port", "0", "--data", str(data)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_second_emulator_on_the_same_data_is_rejected(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_emulator(data) as emulator:
        client_of(emulator, "secretsmanager").create_secret(Name="app", SecretString="first")
        ended = started_beside(data)
        assert ended.returncode == 1
        [line] = ended.stderr.splitlines()
        assert str(data) in line
        found = client_of(emulator, "secretsmanager").get_secret_value(SecretId="app")
        assert found["SecretString"] == "first"


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    ended = started_beside(tmp_path / "missing" / "data")
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert str(tmp_path / "missing") in line


def test_settings_of_the_user_do_not_reach_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text("this is [no configuration")
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-does-not-exist")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "999999999999")
    with running_emulator(None, imports_anew=True) as emulator:
        monkeypatch.undo()
        made = client_of(emulator, "secretsmanager").create_secret(Name="app")
        assert ":123456789012:" in made["ARN"]


def test_a_page_in_a_browser_is_not_served(tmp_path: Path) -> None:
    with running_emulator(tmp_path / "data") as emulator:
        client_of(emulator, "secretsmanager").create_secret(Name="app", SecretString="first")
        for path, headers in (
            ("/", {"Origin": "https://page.example", "X-Amz-Target": "secretsmanager.ListSecrets"}),
            ("/_localcloud/collect-versions", {"Origin": "https://page.example"}),
            ("/moto-api/reset", {}),
        ):
            request = urllib.request.Request(f"{emulator.endpoint}{path}", data=b"{}", headers=headers)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            assert refused.value.code == 400
            assert "Access-Control-Allow-Origin" not in refused.value.headers
        assert (
            client_of(emulator, "secretsmanager").get_secret_value(SecretId="app")["SecretString"] == "first"
        )
