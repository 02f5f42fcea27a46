"""Names, tags, states and files that others wrote make the command do nothing else."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import stack_file
from operations.adopt import adoption, cloudformation, terraform_state
from operations.adopt.aws_objects import live_secrets
from operations.adopt.command import main
from operations.adopt.entries import Stack as Target
from operations.adopt.entries import entry
from operations.adopt.model import LiveSecret, Origin, Shape, SourceError
from operations.adopt.stack_file_edit import add_secrets, remove_secrets
from operations.adopt.stack_state import additions, steps, with_resources, without_resources
from operations.status.aws import Caller, connect
from tests.adopt.live import labels_of_ours, snapshot, thoughtbot
from tests.adopt.recorded import document
from tests.adopt.running import adopt, command, environment
from tests.adopt.test_adoption import declared, state_file
from tests.support.stacks import ROOT, Stack

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
SECRET_TYPE = "aws:secretsmanager/secret:Secret"
ENGINES_KEY = "4dabf18193072939515e22adb298388d"
LIVE = LiveSecret(
    arn=ARN,
    name="app",
    description="",
    tags={},
    kms_key=None,
    policy=None,
    replicas=(),
    rotation=None,
    current="version",
    labels=("AWSCURRENT",),
)


def deny(condition: dict[str, str]) -> dict[str, Any]:
    statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [{**statement, "Condition": {"StringEquals": condition}}]}


@pytest.fixture
def target() -> Target:
    values = {"aws:region": "us-east-1", "aws-secrets:encryption": "aws-managed"}
    configuration = stack_file.Configuration(
        project="aws-secrets", stack="test", values=values, encrypted=frozenset()
    )
    empty = adoption._checked(configuration).stack_file
    return Target(
        configuration=configuration, file=empty, mode=None, account_id="123456789012", region="us-east-1"
    )


def left_out(live: LiveSecret, target: Target, *keys: str) -> str:
    shape = Shape(content="keys", keys=dict.fromkeys(keys or ("KEY",)))
    reason = entry(live, Origin(arn=ARN, place="AWS", shape=shape), target)
    return reason if isinstance(reason, str) else ""


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (replace(LIVE, tags={"secure": "v1:x"}), "tags: a map with the only key secure"),
        (replace(LIVE, policy=deny({"secure": "v1:x"})), "a map with the only key secure"),
        (replace(LIVE, name="secure"), "a map with the only key secure"),
        (replace(LIVE, tags={"<<": "x"}), "the key << is reserved"),
        (replace(LIVE, tags={ENGINES_KEY: "x", "b": "c"}), "which Pulumi reserves"),
        (replace(LIVE, policy=deny({ENGINES_KEY: "x"})), "is reserved"),
        (replace(LIVE, tags={"aws-secrets:rotation": "postgres"}), "a stack of this program rotates it"),
    ],
)
def test_a_secret_that_would_break_the_stack_is_left_out(
    live: LiveSecret, words: str, target: Target
) -> None:
    assert words in left_out(live, target)


@pytest.mark.parametrize("key", ["secure", "<<", ENGINES_KEY])
def test_a_reserved_json_key_leaves_the_secret_out(key: str, target: Target) -> None:
    assert left_out(LIVE, target, key)


def test_a_secret_of_another_stack_is_reported(target: Target) -> None:
    labelled = replace(LIVE, labels=("AWSCURRENT", "aws-secrets-initial"))
    adopted = entry(labelled, Origin(arn=ARN, place="AWS"), target)
    assert not isinstance(adopted, str)
    assert any("another stack" in remark for remark in adopted.remarks)


def test_a_hint_of_a_hostile_address_is_printable(target: Target) -> None:
    origin = Origin(arn=ARN, place='aws_x["\x1b[31m\n\ud800"]', shape=Shape(content="keys", keys={"A": None}))
    adopted = entry(LIVE, origin, target)
    assert not isinstance(adopted, str)
    assert adopted.declared["values"]["A"]["filledByHand"].isprintable()


@pytest.mark.parametrize("part", ["module", "type", "name"])
def test_no_address_of_a_state_adds_terraform_code(part: str) -> None:
    state = document("thoughtbot.tfstate")
    for resource in state["resources"]:
        resource[part] = 'module.a\n}\nresource "null_resource" "x" {'
    with pytest.raises(SourceError, match="an address that Terraform does not make"):
        terraform_state.read(json.dumps(state))


@pytest.mark.parametrize("length", ["²", "9" * 5000])
def test_a_length_that_is_not_a_number_is_not_carried_over(length: str) -> None:
    properties = {"GenerateSecretString": {"PasswordLength": length}}
    template = {"Resources": {"A": {"Type": cloudformation.SECRET, "Properties": properties}}}
    [origin] = cloudformation.read(json.dumps(template), {"A": ARN}).origins.secrets.values()
    assert origin.remarks == ["how its value was generated cannot be declared in a stack file"]


def test_logical_ids_of_a_template_are_texts() -> None:
    template = "Resources: {2026-11-29: {Type: AWS::SecretsManager::Secret}}"
    assert list(cloudformation.read(template, {}).origins.left_out) == ["2026-11-29"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    return tmp_path


def test_a_link_to_a_stack_file_stays_a_link(folder: Path) -> None:
    file, real = folder / "Pulumi.test.yaml", folder / "elsewhere.yaml"
    file.rename(real)
    file.symlink_to(real)
    add_secrets(folder, "aws-secrets", "test", {"app": {"text": {"filledByHand": "x"}}})
    assert file.is_symlink()
    assert "app" in real.read_text()


def test_an_entry_that_a_person_wrote_meanwhile_stays(folder: Path) -> None:
    ours, theirs = ({"text": {"filledByHand": words}} for words in ("adopted", "of a person"))
    add_secrets(folder, "aws-secrets", "test", {"app": theirs, "other": ours})
    remove_secrets(folder, "aws-secrets", "test", {"app": ours, "other": ours})
    written = yaml.safe_load((folder / "Pulumi.test.yaml").read_text())
    assert written["config"]["aws-secrets:secrets"] == {"app": theirs}


def test_a_resource_that_waits_for_its_deletion_stays() -> None:
    old, new = {"urn": "urn", "delete": True, "id": "old"}, {"urn": "urn", "id": "new"}
    both = with_resources({"resources": [old]}, [new])
    assert both["resources"] == [old, new]
    assert without_resources(both, ["urn"])["resources"] == [old]


def test_a_providers_secret_settings_are_not_replaced_by_their_mask(target: Target) -> None:
    urn = "urn:pulumi:test::aws-secrets::pulumi:providers:aws::default"
    secret = f"urn:pulumi:test::aws-secrets::{SECRET_TYPE}::app-secret"
    inputs = {"region": "us-east-1", "secretKey": "[secret]", "assumeRoles": '[{"externalId":"[secret]"}]'}
    component = "urn:pulumi:test::aws-secrets::aws-secrets:index:Secret::app"
    planned = [
        {"op": "create", "urn": urn, "type": "pulumi:providers:aws", "new": {"inputs": inputs}},
        {
            "op": "create",
            "urn": secret,
            "type": SECRET_TYPE,
            "new": {"inputs": {}, "parent": component, "provider": f"{urn}::unknown"},
        },
    ]
    one = entry(LIVE, Origin(arn=ARN, place="AWS"), target)
    assert not isinstance(one, str)
    events = [{"resourcePreEvent": {"metadata": metadata}} for metadata in planned]
    [provider] = additions(steps(events), [one]).shared
    assert provider["inputs"] == provider["outputs"] == {"region": "us-east-1"}


def test_a_tag_without_a_key_does_not_choose_every_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["aws", "--tag", "=web", "--stack", "test", "--dry-run"])
    assert ended.value.code == 2
    assert "--tag needs a key" in capsys.readouterr().err


def test_removed_blocks_replace_no_other_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "main.tf"
    file.write_text('resource "x" "y" {}\n')
    assert main(["terraform", "state", "--removed", str(file), "--stack", "test", "--yes"]) == 3
    assert "this command did not write it" in capsys.readouterr().err
    assert file.read_text() == 'resource "x" "y" {}\n'


def test_stack_files_in_a_folder_of_their_own_are_adopted_into(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    stack.configure({})
    project = stack.folder / "Pulumi.yaml"
    project.write_text(f"{project.read_text().rstrip()}\nstackConfigDir: stacks\n")
    file = stack.folder / "stacks" / stack.file.name
    file.parent.mkdir()
    shutil.move(stack.file, file)
    adopt(stack, "terraform", state_file(stack, made.state), "--yes")
    assert not stack.file.exists()
    assert "app" in yaml.safe_load(file.read_text())["config"]["aws-secrets:secrets"]
    assert stack.preview() == []


def test_a_secret_of_another_account_than_the_stacks_is_left_out(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    stack.configure({"own": {"values": {"KEY": {"random": {}}}}}, encryption="aws-managed")
    stack.up()
    exported = stack.folder / "exported.json"
    stack.pulumi("stack", "export", "--file", str(exported))
    exported.write_text(exported.read_text().replace(":123456789012:secret:own", ":210987654321:secret:own"))
    stack.pulumi("stack", "import", "--file", str(exported))
    printed = adopt(stack, "terraform", state_file(stack, made.state), "--yes", code=1)
    assert "app: it is in account 123456789012, the stack's secrets are in 210987654321" in printed
    assert (list(declared(stack)), labels_of_ours(stack, "app")) == (["own"], [])


@pytest.mark.parametrize("arn", ["arn:aws:sqs:us-east-1:123456789012:a:b", ARN.replace(":secret:", ":x:")])
def test_an_arn_of_another_service_is_not_asked_about(arn: str) -> None:
    caller = Caller(account_id="123456789012", partition="aws", arn="")
    [secret] = live_secrets(connect("us-east-1"), caller, [arn], read_keys=False).values()
    assert secret.obstacles == ("its ARN is not the ARN of a secret",)


UPDATE_BEFORE_IMPORT = """#!/bin/sh
case "$*" in
*"stack import"*)
  if mkdir "{once}" 2>/dev/null; then
    "{pulumi}" up --yes --skip-preview --non-interactive --stack test >/dev/null 2>&1
  fi ;;
esac
exec "{pulumi}" "$@"
"""


def test_an_update_between_export_and_import_is_noticed(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    stack.configure({"own": {"values": {"KEY": {"random": {}}}}}, encryption="aws-managed")
    before = snapshot(stack, "app")
    pulumi = shutil.which("pulumi", path=stack.environment["PATH"])
    wrapper = stack.folder / "bin" / "pulumi"
    wrapper.parent.mkdir()
    wrapper.write_text(UPDATE_BEFORE_IMPORT.format(once=stack.folder / "once", pulumi=pulumi))
    wrapper.chmod(0o755)
    path = os.pathsep.join([str(wrapper.parent), stack.environment["PATH"]])
    racing = replace(stack, environment={**stack.environment, "PATH": path})
    printed = adopt(racing, "terraform", state_file(stack, made.state), "--yes", code=5)
    assert "Another update of stack test ended while its state was changed" in printed
    assert snapshot(stack, "app") == before
    assert labels_of_ours(stack, "app") == ["aws-secrets-adopted"]
    assert set(declared(stack)) == {"own", "app"}


def test_two_adoptions_at_once_harm_nothing(stack: Stack) -> None:
    made = [thoughtbot(stack, name) for name in ("one", "two")]
    before = snapshot(stack, "one", "two")
    stack.configure({})
    files = [stack.folder / f"{each.name}.tfstate" for each in made]
    for file, each in zip(files, made, strict=True):
        file.write_text(json.dumps(each.state))
    running = [
        subprocess.Popen(
            command(stack, "terraform", str(file), "--yes"),
            cwd=ROOT,
            env=environment(stack),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for file in files
    ]
    printed = "".join(one.communicate(timeout=240)[0] for one in running)
    assert "Traceback" not in printed
    assert snapshot(stack, "one", "two") == before
    for file in files:
        adopt(stack, "terraform", str(file), "--yes")
    assert set(declared(stack)) == {"one", "two"}
    assert stack.preview() == []
    assert snapshot(stack, "one", "two") == before
