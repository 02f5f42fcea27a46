"""Adopted secrets stay as they are in AWS, and a preview shows no change."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.adopt.terraform_instance import SECRET
from tests.adopt.live import (
    labels_of_ours,
    made_up_values,
    merged,
    of_modules,
    rotate,
    snapshot,
    thoughtbot,
    workspaces,
)
from tests.adopt.recorded import attributes_of
from tests.adopt.running import adopt
from tests.support.stacks import Stack


def state_file(stack: Stack, *states: Any) -> str:  # noqa: ANN401  a document
    file = stack.folder / "terraform.tfstate"
    file.write_text(json.dumps(merged(*states)))
    return str(file)


def declared(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(stack.file.read_text())["config"]["aws-secrets:secrets"]
    return found


def all_text(stack: Stack) -> str:
    """The stack file, and the state with its backups, as they are on the disk."""
    state = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    files = [file for file in state.rglob("*") if file.is_file()]
    return "\n".join(file.read_text(errors="replace") for file in [stack.file, *files])


def test_adopted_terraform_secrets_preview_without_a_change(stack: Stack) -> None:
    made = [thoughtbot(stack, "app"), of_modules(stack, "vendor")]
    stack.edit("app", SIGNING_KEY="edited-by-hand-1", ADDED="added-by-hand-1")
    stack.edit("app", SIGNING_KEY="edited-by-hand-2")
    before = snapshot(stack, "app", "vendor")
    stack.configure({})
    printed = adopt(stack, "terraform", state_file(stack, *(one.state for one in made)), "--yes")
    assert "2 secrets adopted" in printed
    assert declared(stack)["app"]["values"]["SECRET_KEY_BASE"] == {"random": {"length": 64, "special": False}}
    assert declared(stack)["vendor"]["rotation"]["scheduleExpression"] == "rate(10 days)"
    assert declared(stack)["vendor"]["recoveryWindowDays"] == 7
    assert [labels_of_ours(stack, name) for name in ("app", "vendor")] == [["aws-secrets-adopted"]] * 2
    assert stack.preview() == []
    assert stack.up() == []
    stack.collect_versions()
    assert stack.refresh() == []
    assert stack.up() == []
    after = snapshot(stack, "app", "vendor")
    # only the version that AWS may delete is gone
    assert {**before, "app": None} == {**after, "app": None}
    assert after["app"]["versions"].items() <= before["app"]["versions"].items()


def test_no_value_of_an_adopted_secret_is_written_or_printed(stack: Stack) -> None:
    made = [thoughtbot(stack, "app"), of_modules(stack, "vendor")]
    file = state_file(stack, *(one.state for one in made))
    values = made_up_values(*made)
    stack.configure({})
    printed = adopt(stack, "terraform", file, "--dry-run", "--read-keys")
    printed += adopt(stack, "terraform", file, "--yes", "--read-keys", "--json")
    text = printed + all_text(stack)
    assert len(values) == 4
    assert [value for value in values if value in text] == []
    # stand-ins are encrypted, as every secret of a state is
    assert "plaintext" not in text


def test_edits_and_rotations_after_adoption_leave_nothing_to_do(stack: Stack) -> None:
    made = [thoughtbot(stack, "app"), of_modules(stack, "vendor")]
    stack.configure({})
    adopt(stack, "terraform", state_file(stack, *(one.state for one in made)), "--yes")
    for number in range(3):
        stack.edit("app", SIGNING_KEY=f"later-{number}")
        rotate(stack, "vendor")
    stack.collect_versions()
    before = snapshot(stack, "app", "vendor")
    assert stack.up("--refresh") == []
    assert stack.preview() == []
    assert snapshot(stack, "app", "vendor") == before


def test_a_dry_run_changes_nothing_and_shows_the_entries(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    file = state_file(stack, made.state)
    stack.configure({})
    before, text = snapshot(stack, "app"), stack.file.read_text()
    printed = adopt(stack, "terraform", file, "--dry-run")
    assert "SECRET_KEY_BASE" in printed
    assert "removed {" in printed
    assert (snapshot(stack, "app"), stack.file.read_text()) == (before, text)
    assert labels_of_ours(stack, "app") == []
    assert stack.state() == {} or "resources" not in stack.state()


def test_a_second_run_finds_everything_done(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    file = state_file(stack, made.state)
    stack.configure({"own": {"values": {"KEY": {"random": {}}}}}, encryption="aws-managed", protect=True)
    stack.up()
    adopt(stack, "terraform", file, "--yes")
    before, text, state = snapshot(stack, "app", "own"), stack.file.read_text(), stack.state()["resources"]
    printed = adopt(stack, "terraform", file, "--yes")
    assert "0 secrets adopted, 1 adopted before" in printed
    assert (snapshot(stack, "app", "own"), stack.file.read_text()) == (before, text)
    assert stack.state()["resources"] == state
    assert {one.get("protect", False) for one in state if one.get("parent", "").endswith("Secret::app")} == {
        True
    }
    assert stack.preview() == []


def test_each_workspace_is_adopted_from_its_own_state(stack: Stack) -> None:
    default, staging = workspaces(stack, "shop")
    names = [one["name"] for made in (default, staging) for one in attributes_of(made.state, SECRET)]
    assert len(names) == 5
    before = snapshot(stack, *names)
    stack.configure({})
    adopt(stack, "terraform", state_file(stack, default.state), "--yes")
    printed = adopt(stack, "terraform", state_file(stack, staging.state), "--yes", code=1)
    assert "aws_secretsmanager_secret_policy.shared[0]: its secret is not in this state" in printed
    assert declared(stack).keys() == set(names)
    assert "policy" in declared(stack)["shop/shared"]
    assert declared(stack)["shop/staging/api"]["values"]["ID"] == {
        "randomBytes": {"length": 16, "encoding": "hex"}
    }
    assert stack.preview() == []
    assert snapshot(stack, *names) == before


def test_an_empty_placeholder_is_still_reported_as_waiting(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    stack.client().put_secret_value(SecretId="app", SecretString='{"TOKEN": ""}')
    stack.configure({})
    adopt(stack, "terraform", state_file(stack, made.state), "--yes", "--read-keys")
    assert labels_of_ours(stack, "app") == ["aws-secrets-initial"]
    assert list(declared(stack)["app"]["values"]) == ["TOKEN"]
    assert stack.preview() == []


@pytest.mark.parametrize("mode", ["managed", "account"])
def test_the_writer_leaves_an_adopted_value_as_it_is(stack: Stack, mode: str) -> None:
    made = thoughtbot(stack, "app")
    stack.edit("app", BY_HAND="added")
    before = snapshot(stack, "app")
    stack.configure({}, initialValues=mode)
    file = state_file(stack, made.state)
    assert "use --read-keys" in adopt(stack, "terraform", file, "--yes", code=1)
    adopt(stack, "terraform", file, "--yes", "--read-keys")
    done = stack.up()
    assert [step for step in done if "app" in step] == ["create app-values"]
    after = snapshot(stack, "app")
    # the writer's record, a version that is never current
    records = after["app"]["versions"].keys() - before["app"]["versions"].keys()
    assert [
        stack.client().get_secret_value(SecretId="app", VersionId=one)["SecretString"] for one in records
    ] == ["{}"]
    for record in records:
        after["app"]["versions"].pop(record)
        assert after["app"]["labels"].pop(record) == []
    assert after == before
    assert stack.preview() == []


def test_secrets_of_a_prefix_or_tag_are_adopted_from_aws(stack: Stack) -> None:
    client = stack.client()
    client.create_secret(Name="web/text", SecretString="one text, not JSON")
    client.create_secret(Name="web/keys", SecretString='{"A": "1", "B": {"nested": true}}')
    client.create_secret(Name="web/bytes", SecretBinary=b"\x00\x01")
    client.create_secret(Name="other", SecretString="x", Tags=[{"Key": "adopt", "Value": "yes"}])
    client.create_secret(Name="webx", SecretString="x")
    client.replicate_secret_to_regions(SecretId="web/keys", AddReplicaRegions=[{"Region": "eu-west-1"}])
    names = ("web/text", "web/keys", "web/bytes", "other")
    before = snapshot(stack, *names)
    stack.configure({})
    adopt(stack, "aws", "--prefix", "web/", "--read-keys", "--yes")
    adopt(stack, "aws", "--tag", "adopt=yes", "--yes")
    assert list(declared(stack)) == ["web/bytes", "web/keys", "web/text", "other"]
    contents = {name: set(about) & {"values", "text", "binary"} for name, about in declared(stack).items()}
    assert contents == {
        "web/bytes": {"binary"},
        "web/keys": {"values"},
        "web/text": {"text"},
        "other": {"text"},
    }
    assert declared(stack)["web/keys"]["replicas"] == [{"region": "eu-west-1"}]
    assert stack.preview() == []
    assert stack.up() == []
    assert stack.refresh() == []
    assert stack.up() == []
    assert snapshot(stack, *names) == before


TEMPLATE = """
Resources:
  Database:
    Type: AWS::SecretsManager::Secret
    Properties:
      Name: !Sub "${AWS::StackName}/database"
      GenerateSecretString:
        SecretStringTemplate: '{"username": "admin"}'
        GenerateStringKey: password
        PasswordLength: 30
        ExcludePunctuation: true
  Rotation:
    Type: AWS::SecretsManager::RotationSchedule
    DeletionPolicy: Retain
    Properties:
      SecretId: !Ref Database
  Missing:
    Type: AWS::SecretsManager::Secret
"""


def test_secrets_of_a_cloudformation_stack_are_adopted(stack: Stack) -> None:
    value = {"username": "admin", "password": "made-up-password-of-30-letters"}
    arn = stack.client().create_secret(Name="shop/database", SecretString=json.dumps(value))["ARN"]
    template, resources = stack.folder / "template.yaml", stack.folder / "resources.json"
    template.write_text(TEMPLATE)
    resources.write_text(
        json.dumps({"StackResources": [{"LogicalResourceId": "Database", "PhysicalResourceId": arn}]})
    )
    before = snapshot(stack, "shop/database")
    stack.configure({})
    printed = adopt(stack, "cloudformation", str(template), "--resources", str(resources), "--yes", code=1)
    assert "Missing: the stack has no such resource" in printed
    assert "looks like a database login" in printed
    assert "DeletionPolicy: Retain" in printed
    values = declared(stack)["shop/database"]["values"]
    assert values["password"]["random"] == {
        "length": 30,
        "special": False,
        "minLower": 1,
        "minUpper": 1,
        "minNumeric": 1,
    }
    assert "filledByHand" in values["username"]
    assert stack.preview() == []
    assert stack.up() == []
    assert snapshot(stack, "shop/database") == before


def test_tags_of_the_stack_are_announced_and_nothing_else_changes(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    before = snapshot(stack, "app")
    stack.configure({}, tags={"owner": "platform"})
    printed = adopt(stack, "terraform", state_file(stack, made.state), "--yes")
    assert "the stack's tags are added: owner" in printed
    assert stack.preview() == ["update app-secret"]
    stack.up()
    after = snapshot(stack, "app")
    assert after["app"]["about"].pop("Tags") != before["app"]["about"].pop("Tags")
    assert after == before
    assert stack.preview() == []


def test_comments_and_entries_of_the_stack_file_stay(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    stack.configure({"own": {"values": {"KEY": {"random": {}}}}}, encryption="aws-managed")
    text = stack.file.read_text().replace("    own:", "    # a comment of a person\n    'own':")
    stack.file.write_text(text)
    adopt(stack, "terraform", state_file(stack, made.state), "--yes")
    assert "    # a comment of a person\n    'own':" in stack.file.read_text()
    assert list(declared(stack)) == ["own", "app"]
    assert {step for step in stack.preview() if "app" in step} == set()


def test_an_entry_of_a_person_that_would_change_the_secret_is_refused(stack: Stack) -> None:
    made = [thoughtbot(stack, "app"), thoughtbot(stack, "other")]
    file = state_file(stack, *(one.state for one in made))
    before = snapshot(stack, "app", "other")
    entry = {"description": "written by a person", "values": {"KEY": {"filledByHand": "x"}}}
    stack.configure({"app": entry}, encryption="aws-managed")
    printed = adopt(stack, "terraform", file, "--yes", code=1)
    assert "app: an update would do more than was announced" in printed
    assert "description" in printed
    assert declared(stack)["app"] == entry
    adopted = [one["urn"].rpartition("::")[2] for one in stack.state()["resources"] if one.get("parent")]
    assert "other-secret" in adopted
    assert [name for name in adopted if name.startswith("app")] == []
    assert snapshot(stack, "app", "other") == before


def test_default_tags_of_the_provider_are_announced(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    stack.configure({})
    written = yaml.safe_load(stack.file.read_text())
    written["config"]["aws:defaultTags"] = {"tags": {"cost": "web"}}
    stack.file.write_text(yaml.safe_dump(written))
    printed = adopt(stack, "terraform", state_file(stack, made.state), "--yes")
    assert "the stack's tags are added: cost" in printed
    assert stack.preview() == ["update app-secret"]


def test_a_stack_whose_only_secret_is_refused_stays_empty(stack: Stack) -> None:
    made = thoughtbot(stack, "app")
    entry = {"description": "written by a person", "values": {"KEY": {"filledByHand": "x"}}}
    stack.configure({"app": entry}, encryption="aws-managed")
    text = stack.file.read_text()
    printed = adopt(stack, "terraform", state_file(stack, made.state), "--yes", code=1)
    assert "app: an update would do more than was announced" in printed
    assert "0 secrets adopted, 0 adopted before, 1 left out" in printed
    assert stack.file.read_text() == text
    assert [one["urn"] for one in stack.state()["resources"] if "Secret" in one["type"]] == []
