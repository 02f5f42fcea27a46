"""SMTP credentials with the real engine, the real function under its role, and a real SMTP server."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from operations.status.command import main as status
from tests.engine.test_secrecy import files_below, numbers_of_shown
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.smtp_world import HOST, Server, smtp_server
from tests.support.stacks import Stack, new_stack

NAME = "shop-smtp"
DECLARED = {NAME: {"from": ["example.com"], "values": {"SMTP_DOMAIN": {"value": "example.com"}}}}


@dataclass(frozen=True)
class Deployed:
    """A stack with SMTP credentials."""

    stack: Stack
    server: Server

    @property
    def user(self) -> str:
        [user] = self.stack.client("iam").list_users()["Users"]
        return str(user["UserName"])

    def active_keys(self) -> set[str]:
        found = self.stack.client("iam").list_access_keys(UserName=self.user)["AccessKeyMetadata"]
        return {key["AccessKeyId"] for key in found if key["Status"] == "Active"}

    def rotate(self) -> dict[str, str]:
        client = self.stack.client()
        version = client.rotate_secret(SecretId=NAME)["VersionId"]
        deadline = time.monotonic() + 60
        while client.describe_secret(SecretId=NAME)["VersionIdsToStages"].get(version) != ["AWSCURRENT"]:
            assert time.monotonic() < deadline, self.stack.function_log()
            time.sleep(0.02)
        return self.stack.value(NAME)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("smtp")
    with smtp_server(folder, None) as server, pytest.MonkeyPatch.context() as patched:
        variables = {
            "DATABASE_CA_FILE": str(server.ca_file),
            "LOCALCLOUD_SERVERS": json.dumps({f"{HOST}:465": server.port}),
        }
        patched.setenv("LOCALCLOUD_FUNCTION_VARIABLES", json.dumps(variables))
        with running_emulator(None) as emulator:
            environment = stack_environment(folder, emulator.endpoint)
            stack = new_stack(folder / "project", environment, emulator.endpoint)
            found = Deployed(stack, server)
            server.accepts = lambda key_id, password: key_id in found.active_keys() and len(password) == 44
            stack.configure({}, smtp=DECLARED, encryption="aws-managed")
            stack.up()
            yield found


def test_the_credentials_work_after_up_and_after_two_rotations(deployed: Deployed) -> None:
    value = deployed.stack.value(NAME)
    assert deployed.stack.preview() == []
    assert deployed.active_keys() == {value["SMTP_USERNAME"]}
    assert deployed.server.logins >= 1
    for _ in range(2):
        before = deployed.stack.value(NAME)
        after = deployed.rotate()
        assert deployed.active_keys() == {before["SMTP_USERNAME"], after["SMTP_USERNAME"]}
        assert after["SMTP_DOMAIN"] == "example.com"
    assert deployed.stack.up() == []


def test_pulumi_never_has_an_access_key_or_a_password(deployed: Deployed) -> None:
    values = _all_values(deployed.stack)
    shown = [value["SMTP_PASSWORD"] for value in values if value["SMTP_PASSWORD"]]
    assert shown
    exported = deployed.stack.pulumi("stack", "export", "--show-secrets").stdout
    assert "SMTP_ADDRESS" in exported
    logs = deployed.stack.function_log()
    for content in (exported.encode(), logs.encode(), *files_below(deployed.stack.folder.parent)):
        assert numbers_of_shown(shown, content) == []
    assert not any(value["SMTP_USERNAME"] in exported for value in values if value["SMTP_USERNAME"])


def test_the_status_finds_the_credentials_healthy(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in deployed.stack.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(deployed.stack.folder)
    assert status(["--stack", "test", "--json"]) == 0, capsys.readouterr().out


def test_deleting_the_stack_deletes_the_user_with_its_keys(deployed: Deployed) -> None:
    deployed.stack.pulumi("destroy", "--yes", "--skip-preview")
    assert deployed.stack.client("iam").list_users()["Users"] == []


def _all_values(stack: Stack) -> list[dict[str, Any]]:
    client = stack.client()
    versions = client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
    return [
        json.loads(client.get_secret_value(SecretId=NAME, VersionId=one["VersionId"])["SecretString"])
        for one in versions
    ]
