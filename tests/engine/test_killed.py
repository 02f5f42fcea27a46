"""The documented steps complete an update that was killed anywhere; nothing is lost or created twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.crash_proxy import Crash, crashing
from tests.support.deep import deep_except
from tests.support.stacks import Stack, start

READER = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Action": "secretsmanager:GetSecretValue",
    "Resource": "*",
}
SECRETS: dict[str, Any] = {
    "app": {
        "values": {"PASSWORD": {"random": {"length": 24}}, "TOKEN": {"filledByHand": "ask"}},
        "policy": {"Statement": [READER]},
    }
}
CALLS = ["CreateSecret", "PutSecretValue", "PutResourcePolicy"]


def kill_an_update(stack: Stack, operation: str, *, after: bool) -> None:
    state = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    crash = Crash(operation, after=after, state=state)
    with crashing(stack.endpoint, crash) as address:
        through_proxy = Stack(stack.folder, {**stack.environment, "AWS_ENDPOINT_URL": address}, address)
        update = start(through_proxy, "up", "--yes", "--skip-preview")
        crash.victim = update.pid
        update.wait(timeout=120)
    assert crash.happened.wait(timeout=60), (stack.folder / "background.log").read_text()


def pending_creates(stack: Stack) -> list[str]:
    operations = stack.state().get("pending_operations") or []
    return [operation["resource"]["urn"] for operation in operations if operation["type"] == "creating"]


def has_a_value(stack: Stack) -> bool:
    secrets = stack.client().list_secrets()["SecretList"]
    return any(
        "AWSCURRENT" in labels
        for each in secrets
        for labels in each.get("SecretVersionsToStages", {}).values()
    )


def identity_in_aws(stack: Stack, urn: str) -> str | None:
    """Return the id of the object that the interrupted create left in AWS, if any."""
    if not stack.client().list_secrets()["SecretList"]:
        return None
    described = stack.client().describe_secret(SecretId="app")
    arn: str = described["ARN"]
    if urn.endswith("::app-initial-version"):
        versions = described.get("VersionIdsToStages", {})
        initial = [version for version, labels in versions.items() if "aws-secrets-initial" in labels]
        return f"{arn}|{initial[0]}" if initial else None
    if urn.endswith("::app-policy") and "ResourcePolicy" not in stack.client().get_resource_policy(
        SecretId="app"
    ):
        return None
    return arn


def recover(stack: Stack) -> None:
    """Follow the steps of docs/recovery.md."""
    pending = pending_creates(stack)
    stack.pulumi("cancel", "--yes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    for urn in pending:
        identity = identity_in_aws(stack, urn)
        if identity:
            start, _, rest = urn.rpartition("aws-secrets:index:Secret$")
            type_, _, name = rest.partition("::")
            parent = f"{start}aws-secrets:index:Secret::app"
            stack.pulumi(
                "import", "--yes", "--skip-preview", "--protect=false", "--generate-code=false",
                "--parent", f"secret={parent}", type_, name, identity,
            )  # fmt: skip


@pytest.mark.parametrize("after", deep_except([False, True], [True]), ids=["before", "after"])
@pytest.mark.parametrize("operation", deep_except(CALLS, ["CreateSecret", "PutSecretValue"]))
def test_the_next_update_completes_one_killed_at_any_call(stack: Stack, operation: str, after: bool) -> None:
    stack.configure(SECRETS, encryption="aws-managed")
    kill_an_update(stack, operation, after=after)
    live = stack.edit("app", TOKEN="by-hand") if has_a_value(stack) else None
    assert live or operation != "PutSecretValue" or not after
    recover(stack)
    stack.up()
    listed = stack.client().list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert [secret["Name"] for secret in listed] == ["app"]
    if live is None:
        live = stack.value("app")
        assert live.keys() == {"PASSWORD", "TOKEN"}
    assert stack.value("app") == live
    assert "ResourcePolicy" in stack.client().get_resource_policy(SecretId="app")
    assert pending_creates(stack) == []
    assert stack.up() == []


def test_a_placeholder_filled_after_a_crash_stays(
    stack: Stack,
) -> None:
    stack.configure(SECRETS, encryption="aws-managed")
    kill_an_update(stack, "PutSecretValue", after=True)
    live = stack.edit("app", TOKEN="by-hand")
    stack.pulumi("cancel", "--yes")
    stack.up()
    assert stack.value("app") == live
    assert stack.up() == []


def test_an_update_without_recovery_reports_the_taken_name(stack: Stack) -> None:
    stack.configure(SECRETS, encryption="aws-managed")
    kill_an_update(stack, "CreateSecret", after=True)
    stack.pulumi("cancel", "--yes")
    done = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert done.returncode != 0
    assert "docs/recovery.md" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_deletion_that_aws_finished_before_the_kill_says_how_to_go_on(stack: Stack) -> None:
    stack.configure(SECRETS | {"other": SECRETS["app"]}, encryption="aws-managed", recoveryWindowDays=7)
    stack.up()
    stack.client().delete_secret(SecretId="other", RecoveryWindowInDays=7)  # what the killed update did
    stack.configure(SECRETS, encryption="aws-managed", recoveryWindowDays=7)
    done = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert done.returncode != 0
    assert "is deleted already, by an interrupted update" in done.stdout
    assert "pulumi up --refresh" in done.stdout
    assert "reserves the name" not in done.stdout
    stack.up("--refresh")
    assert stack.up() == []
