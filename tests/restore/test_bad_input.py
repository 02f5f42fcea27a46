"""A restore that is not possible changes nothing, and the message says what to do."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from operations.adopt import entries
from operations.restore.plan import Refusal, Target, plan
from operations.status.aws import Caller, connect
from operations.workspace import checkout
from stack_file import check, files
from tests.restore.running import restore, run
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.stacks import Stack, new_stack

KEY: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
SECRETS = dict.fromkeys(("app", "purged", "keyed", "foreign", "lost"), KEY)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("restore")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        stack = new_stack(folder / "project", environment, emulator.endpoint)
        stack.configure(SECRETS, encryption="aws-managed")
        stack.up()
        yield stack


def test_a_secret_that_is_live_has_nothing_to_restore(deployed: Stack) -> None:
    state = deployed.state()["resources"]
    printed = restore(deployed, "app", "--yes")
    assert "app is not scheduled for deletion, and the state of stack test has it" in printed
    assert "Nothing to restore" in printed
    assert deployed.state()["resources"] == state


def test_a_purged_secret_cannot_be_restored(deployed: Stack) -> None:
    deployed.client().delete_secret(SecretId="purged", ForceDeleteWithoutRecovery=True)
    printed = restore(deployed, "purged", "--yes", code=1)
    assert "Account 123456789012 has no secret purged in us-east-1" in printed
    assert "deleted for good" in printed
    assert "pulumi up --refresh" in printed


def test_a_secret_that_the_stack_file_lacks_is_refused(deployed: Stack) -> None:
    printed = restore(deployed, "ap", "--yes", code=1)
    assert "The stack file declares no secret ap" in printed
    assert "It declares: app, foreign" in printed


def test_a_secret_of_another_account_or_region_is_refused(deployed: Stack) -> None:
    arn = deployed.client().describe_secret(SecretId="app")["ARN"]
    account = restore(deployed, arn.replace("123456789012", "210987654321"), "--yes", code=1)
    assert "it is in account 210987654321, the credentials are of 123456789012" in account
    region = restore(deployed, arn.replace("us-east-1", "eu-west-1"), "--yes", code=1)
    assert "it is in eu-west-1, the stack is in us-east-1" in region
    assert "Nothing to restore" in restore(deployed, arn, "--yes")


def test_a_state_of_another_account_is_no_purge(deployed: Stack) -> None:
    configuration = files.read(deployed.folder, "test")
    checked = check(configuration)
    target = Target(
        stack=entries.Stack(
            configuration=configuration,
            file=checked.stack_file,
            mode=None,
            account_id="",
            region=checked.region,
        ),
        engine=checkout(deployed.folder, environment=deployed.environment).stack("test"),
        aws=connect(checked.region),
        caller=Caller(account_id="210987654321", partition="aws", arn=""),
    )
    with pytest.raises(Refusal, match="it is in account 123456789012, the credentials are of 210987654321"):
        plan("app", target, ())


def test_an_account_that_the_stack_file_forbids_ends_with_7(deployed: Stack) -> None:
    text = deployed.file.read_text()
    try:
        deployed.file.write_text(text.replace("'123456789012'", "'210987654321'"))
        assert "which the stack file does not allow" in restore(deployed, "app", "--yes", code=7)
    finally:
        deployed.file.write_text(text)


def test_a_key_that_is_scheduled_for_deletion_comes_first(deployed: Stack) -> None:
    client, kms = deployed.client(), deployed.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    client.update_secret(SecretId="keyed", KmsKeyId=key)
    client.delete_secret(SecretId="keyed", RecoveryWindowInDays=7)
    kms.schedule_key_deletion(KeyId=key)
    printed = restore(deployed, "keyed", "--yes", code=1)
    assert f"aws kms cancel-key-deletion --key-id {key}" in printed
    assert "DeletedDate" in client.describe_secret(SecretId="keyed")


def test_a_live_secret_of_somebody_else_is_not_taken(deployed: Stack) -> None:
    client = deployed.client()
    client.delete_secret(SecretId="foreign", ForceDeleteWithoutRecovery=True)
    deployed.refresh()
    client.create_secret(Name="foreign", SecretString="x")
    printed = restore(deployed, "foreign", "--yes", code=1)
    assert "no stack of this program created it" in printed
    assert "python -m operations adopt aws --prefix foreign --stack test" in printed


def test_a_secret_of_another_stack_is_restored_there(deployed: Stack) -> None:
    deployed.pulumi("stack", "init", "second", "--no-select")
    second = deployed.folder / "Pulumi.second.yaml"
    content = yaml.safe_load(deployed.file.read_text())
    second.write_text(yaml.safe_dump({**yaml.safe_load(second.read_text()), "config": content["config"]}))
    deployed.client().delete_secret(SecretId="app", RecoveryWindowInDays=7)
    try:
        printed = run(deployed, "app", "--stack", "second", "--yes", code=1)
    finally:
        deployed.client().restore_secret(SecretId="app")
    assert "app belongs to stack test, whose state has it" in printed
    assert "--stack test" in printed


def test_a_key_that_the_state_lost_comes_first(deployed: Stack) -> None:
    client = deployed.client()
    text = deployed.file.read_text()
    client.delete_secret(SecretId="lost", RecoveryWindowInDays=7)
    deployed.refresh()
    try:
        deployed.file.write_text(text.replace("aws-managed", "stack-key"))
        printed = restore(deployed, "lost", "--yes", code=1)
    finally:
        deployed.file.write_text(text)
    assert "a preview does not show its kmsKeyId" in printed
    assert "Write to its entry in the stack file: encryption: aws-managed" in printed
    assert "DeletedDate" in client.describe_secret(SecretId="lost")


def test_nobody_to_ask_needs_yes(deployed: Stack) -> None:
    client = deployed.client()
    client.delete_secret(SecretId="app", RecoveryWindowInDays=7)
    try:
        printed = restore(deployed, "app", code=2)
        assert "DeletedDate" in client.describe_secret(SecretId="app")
    finally:
        client.restore_secret(SecretId="app")
    assert "Restore app now? Confirm with --yes" in printed


def test_an_unknown_stack_ends_with_4(deployed: Stack) -> None:
    assert 'Stack "nowhere" not found' in run(deployed, "app", "--stack", "nowhere", code=4)
