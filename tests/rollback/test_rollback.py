"""Rollbacks on the local cloud: labels move, values stay unread, and a login works afterwards."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from botocore.exceptions import ClientError

from components.lambdas.writer import approvals
from operations.exit_codes import ExitCode
from operations.rollback import Refusal, Rollback, Secret, Version, history, plan, roll_back
from operations.rollback.command import main
from tests.support.command_line import CommandLine, Done
from tests.support.emulator_functions import deploy, zipped
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.shops import SECRET, Shop, new_shop
from tests.support.stacks import new_stack
from tools.localcloud.postgres import PostgresServer

SECRETS: dict[str, dict[str, Any]] = {
    "app": {"values": {"KEY": {"random": {}}}},
    "managed": {"initialValues": "managed", "values": {"KEY": {"random": {}}}},
    "pair": {"initialValues": "managed", "values": {"A": {"random": {}}, "B": {"random": {}}}},
    "own": {"initialValues": "account", "values": {"A": {"random": {}}, "B": {"random": {}}}},
}
RAISED = {key: {"random": {}, "generation": 2} for key in ("A", "B")}

OF_OTHERS = "def handle(event, _):\n    pass\n"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("rollback")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        shop = new_shop(new_stack(folder / "project", environment, emulator.endpoint), server)
        shop.configure()
        declare(shop, SECRETS)
        shop.stack.up()
        shop.wait_for_rotations()
        yield shop


def declare(shop: Shop, secrets: dict[str, Any]) -> None:
    content = yaml.safe_load(shop.stack.file.read_text())
    content["config"]["aws-secrets:secrets"] = secrets
    shop.stack.file.write_text(yaml.safe_dump(content))


@dataclass(frozen=True)
class Rollbacks:
    shop: Shop
    command: Callable[..., Done]

    def labelled(self, secret: str, label: str = "AWSCURRENT") -> str:
        stages: dict[str, list[str]] = self.shop.described(secret)["VersionIdsToStages"]
        return next(version for version, labels in stages.items() if label in labels)

    def labels(self, secret: str) -> list[str]:
        stages = self.shop.described(secret)["VersionIdsToStages"].values()
        return [label for labels in stages for label in labels]


@pytest.fixture
def rollbacks(
    deployed: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Rollbacks:
    line = CommandLine(main, monkeypatch, capfd)
    whole = ("--stack", "test", "--cwd", str(deployed.stack.folder))
    return Rollbacks(deployed, lambda *arguments: line.run([*arguments, *whole], deployed.stack.environment))


def test_a_rollback_and_its_inverse_move_labels_only(rollbacks: Rollbacks) -> None:
    stack = rollbacks.shop.stack
    before, value = rollbacks.labelled("app"), stack.value("app")
    edited = stack.edit("app", KEY="by hand")
    count, after = stack.version_count("app"), rollbacks.labelled("app")
    done = rollbacks.command("app", "--to", "previous", "--yes", "--json")
    assert done.document() == {"secret": "app", "from": after, "to": before}
    assert stack.value("app") == value
    assert rollbacks.labelled("app", "AWSPREVIOUS") == after
    again = rollbacks.command("app", "--to", after, "--yes")
    assert f"To undo: python -m operations rollback app --stack test --to {before}" in again.out
    assert stack.value("app") == edited
    assert stack.version_count("app") == count
    assert stack.preview() == []


def test_versions_are_listed_without_a_value(rollbacks: Rollbacks) -> None:
    value = rollbacks.shop.stack.edit("app", KEY="shown-nowhere-5b1e")
    done = rollbacks.command("app")
    assert "current" in done.out
    assert "previous" in done.out
    assert value["KEY"] not in done.out
    assert "put by arn:aws:iam::123456789012:root" in done.out  # as CloudTrail has it
    [newest, *_] = rollbacks.command("app", "--json").document()["versions"]
    assert newest["versionId"] == rollbacks.labelled("app")


def test_a_managed_secret_stays_rolled_back(rollbacks: Rollbacks) -> None:
    shop, raised = rollbacks.shop, {"random": {}, "generation": 2}
    first = shop.stack.value("managed")
    declare(shop, {**SECRETS, "managed": {**SECRETS["managed"], "values": {"KEY": raised}}})
    shop.stack.up()
    assert shop.stack.value("managed") != first
    assert rollbacks.command("managed", "--to", "previous", "--yes").code == 0
    assert shop.stack.value("managed") == first
    shop.stack.up("--refresh")
    assert shop.stack.value("managed") == first
    records = [
        one
        for one in history(shop.stack.client(), "managed", is_login=False).versions
        if not one.holds_a_value
    ]
    for record in records:
        done = rollbacks.command("managed", "--to", record.version_id, "--yes")
        assert (done.code, "belongs to the stack's writer" in done.err) == (ExitCode.FAILED, True)
    assert records


def test_only_the_named_key_is_rolled_back_and_stays_so(rollbacks: Rollbacks) -> None:
    stack, names = rollbacks.shop.stack, ("pair", "own")
    first = {name: stack.value(name) for name in names}
    declare(rollbacks.shop, {**SECRETS, **{name: {**SECRETS[name], "values": RAISED} for name in names}})
    stack.up()
    second = {name: stack.value(name) for name in names}
    for name in names:
        assert not set(first[name].values()) & set(second[name].values())
        before = rollbacks.labelled(name)
        done = rollbacks.command(name, "--keys", "A", "--yes")
        assert done.code == 0, done.err
        assert stack.value(name) == {**second[name], "A": first[name]["A"]}
        assert f"rollback {name} --stack test --keys A --to {before}" in done.out
        assert "has regenerated A" in done.out
        printed = done.out + done.err
        assert not [value for value in (*first[name].values(), *second[name].values()) if value in printed]
        assert not [label for label in rollbacks.labels(name) if "rollback" in label or "writing" in label]
    stack.up("--refresh")
    assert stack.preview() == []
    for name in names:
        assert stack.value(name) == {**second[name], "A": first[name]["A"]}
        undone = rollbacks.command(name, "--keys", "A,B", "--to", "previous", "--yes", "--json").document()
        assert (undone["keys"], undone["to"]) == (["A"], rollbacks.labelled(name))
        assert stack.value(name) == second[name]
        again = rollbacks.command(name, "--keys", "B", "--yes")
        assert "have these values already" in again.out


def test_an_interrupted_rollback_of_a_key_leaves_no_approval(rollbacks: Rollbacks) -> None:
    stack, current = rollbacks.shop.stack, rollbacks.labelled("pair")
    stack.edit("pair", A="by hand")
    stale = approvals.approval(current, rollbacks.labelled("pair"), ["A"], 0)
    stack.client().update_secret_version_stage(
        SecretId="pair", VersionStage=stale, MoveToVersionId=rollbacks.labelled("pair")
    )
    stack.edit("pair", EXTRA="of nobody")
    stack.edit("pair", A="by hand again")
    assert rollbacks.command("pair", "--keys", "A", "--yes").code == 0
    assert stack.value("pair")["A"] == "by hand"
    assert not [label for label in rollbacks.labels("pair") if approvals.is_approval(label)]
    without = {key: value for key, value in stack.value("pair").items() if key != "B"}
    stack.client().put_secret_value(SecretId="pair", SecretString=json.dumps(without))
    refused = rollbacks.command("pair", "--keys", "B", "--yes")
    assert (refused.code, "the current version has no 'B'" in refused.err) == (ExitCode.FAILED, True)
    assert not [label for label in rollbacks.labels("pair") if approvals.is_approval(label)]


@pytest.mark.parametrize(
    ("secret", "keys", "words"),
    [
        (SECRET, "password", "is a database login"),
        ("app", "KEY", "initialValues: managed"),
        ("pair", "A,C", "declares no key 'C'"),
    ],
)
def test_keys_that_the_writer_cannot_roll_back_are_refused(
    rollbacks: Rollbacks, secret: str, keys: str, words: str
) -> None:
    before = rollbacks.shop.described(secret)["VersionIdsToStages"]
    done = rollbacks.command(secret, "--keys", keys, "--yes")
    assert (done.code, words in done.err) == (ExitCode.FAILED, True)
    assert rollbacks.shop.described(secret)["VersionIdsToStages"] == before


def test_a_login_works_after_each_rollback(rollbacks: Rollbacks) -> None:
    shop = rollbacks.shop
    versions, users = [], []
    for _ in range(4):
        shop.rotate()
        versions.append(rollbacks.labelled(SECRET))
        users.append(shop.log_in())
    value = shop.stack.value(SECRET)
    for target, user in ((versions[2], users[2]), (versions[3], users[3]), (versions[0], users[0])):
        done = rollbacks.command(SECRET, "--to", target, "--yes")
        assert done.code == 0, done.err
        assert (rollbacks.labelled(SECRET), shop.log_in()) == (target, user)
        assert value["password"] not in done.out + done.err
    stages = shop.described()["VersionIdsToStages"].values()
    assert not [labels for labels in stages if "AWSPENDING" in labels]
    shop.rotate()
    shop.log_in()
    assert shop.stack.preview() == []


def test_a_tag_does_not_make_a_secret_a_login(rollbacks: Rollbacks) -> None:
    stack = rollbacks.shop.stack
    before = rollbacks.labelled("app")
    stack.edit("app", KEY="tagged")
    tag = {"Key": "aws-secrets:rotation", "Value": "postgres"}
    stack.client().tag_resource(SecretId="app", Tags=[tag])
    done = rollbacks.command("app", "--to", before, "--yes")
    stack.client().untag_resource(SecretId="app", TagKeys=[tag["Key"]])
    assert (done.code, rollbacks.labelled("app")) == (0, before), done.err


def test_a_login_without_its_tag_still_follows_in_the_database(rollbacks: Rollbacks) -> None:
    shop = rollbacks.shop
    versions, users = [], []
    for _ in range(4):
        shop.rotate()
        versions.append(rollbacks.labelled(SECRET))
        users.append(shop.log_in())
    tags = [tag for tag in shop.described()["Tags"] if tag["Key"] == "aws-secrets:rotation"]
    shop.stack.client().untag_resource(SecretId=SECRET, TagKeys=["aws-secrets:rotation"])
    done = rollbacks.command(SECRET, "--to", versions[0], "--yes")
    shop.stack.client().tag_resource(SecretId=SECRET, Tags=tags)
    assert done.code == 0, done.err
    assert shop.log_in() == users[0]


def test_only_the_stacks_own_function_is_invoked(rollbacks: Rollbacks) -> None:
    shop = rollbacks.shop
    shop.rotate()
    client, own = shop.stack.client(), shop.described()
    other = deploy(Emulator(0, shop.stack.endpoint, {}, Path(), 0), "of-others", zipped(OF_OTHERS))
    shop.stack.client("lambda").add_permission(
        FunctionName=other,
        StatementId="AllowSecretsManager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    rules = {"SecretId": SECRET, "RotationRules": own["RotationRules"], "RotateImmediately": False}
    client.rotate_secret(RotationLambdaARN=other, **rules)
    before = rollbacks.labelled(SECRET)
    done = rollbacks.command(SECRET, "--to", "previous", "--yes")
    client.rotate_secret(RotationLambdaARN=own["RotationLambdaARN"], **rules)
    assert (done.code, other in done.err, "stack declares" in done.err) == (ExitCode.FAILED, True, True)
    assert rollbacks.labelled(SECRET) == before


def test_credentials_of_another_account_roll_nothing_back(rollbacks: Rollbacks) -> None:
    stack = rollbacks.shop.stack
    stack.edit("app", KEY="of this account")
    before, text = rollbacks.labelled("app"), stack.file.read_text()
    content = yaml.safe_load(text)
    content["config"]["aws:allowedAccountIds"] = ["210987654321"]
    stack.file.write_text(yaml.safe_dump(content))
    done = rollbacks.command("app", "--to", "previous", "--yes")
    stack.file.write_text(text)
    assert (done.code, rollbacks.labelled("app")) == (ExitCode.CREDENTIALS, before)


def test_the_command_that_undoes_it_is_safe_to_paste(rollbacks: Rollbacks) -> None:
    stack = rollbacks.shop.stack
    hostile = "$(touch pwned); # of whoever puts a value"
    stack.client().put_secret_value(SecretId="app", SecretString="{}", ClientRequestToken=hostile)
    done = rollbacks.command("app", "--to", "previous", "--yes")
    [undo] = [line for line in done.out.splitlines() if line.startswith("To undo: ")]
    assert shlex.split(undo)[-1] == hostile


def test_a_rotation_in_the_meantime_stops_a_rollback_of_a_login(rollbacks: Rollbacks) -> None:
    shop = rollbacks.shop
    shop.rotate()
    client, arn = shop.stack.client(), shop.described()["RotationLambdaARN"]
    planned = plan(history(client, SECRET, is_login=True), "previous", written=False, rotation_function=arn)
    shop.rotate()
    before = shop.described()["VersionIdsToStages"]
    with pytest.raises(Refusal, match="in the meantime"):
        roll_back(client, shop.stack.client("lambda"), planned)
    assert shop.described()["VersionIdsToStages"] == before


def test_a_function_that_does_not_make_it_current_is_reported() -> None:
    client, functions = Mock(), Mock()
    client.describe_secret.return_value = {
        "VersionIdsToStages": {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT"]}
    }
    functions.invoke.return_value = {"StatusCode": 200}
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    target, current = (
        Version(version_id="old", created=moment, labels=("AWSPREVIOUS",)),
        Version(version_id="new", created=moment, labels=("AWSCURRENT",)),
    )
    secret = Secret(arn="arn", name="login", versions=(current, target), is_login=True, function_arn="arn")
    with pytest.raises(Refusal, match="is not current"):
        roll_back(client, functions, Rollback(secret=secret, current=current, target=target))
    for payload in (b"", b"[]", b'{"errorMessage": {}}'):
        functions.invoke.return_value = {"FunctionError": "Unhandled", "Payload": BytesIO(payload)}
        with pytest.raises(Refusal, match="no reason given"):
            roll_back(client, functions, Rollback(secret=secret, current=current, target=target))


def test_a_copy_that_a_deferred_rotation_made_is_pending_without_its_label() -> None:
    """With the label, the function would set no password and make nothing current."""
    client, functions, label = Mock(), Mock(), "aws-secrets-deferral:1:1700000000"
    client.describe_secret.side_effect = [
        {"VersionIdsToStages": {"new": ["AWSCURRENT"]}},
        {"VersionIdsToStages": {"copy": ["AWSCURRENT"]}},
    ]
    functions.invoke.return_value = {"StatusCode": 200}
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    target = Version(version_id="copy", created=moment, labels=(label,))
    current = Version(version_id="new", created=moment, labels=("AWSCURRENT",))
    secret = Secret(arn="arn", name="login", versions=(current, target), is_login=True, function_arn="arn")
    roll_back(client, functions, Rollback(secret=secret, current=current, target=target))
    dropped, pending = client.update_secret_version_stage.call_args_list
    assert dropped.kwargs == {"SecretId": "arn", "VersionStage": label, "RemoveFromVersionId": "copy"}
    assert pending.kwargs["VersionStage"] == "AWSPENDING"


def test_a_version_of_the_current_user_is_refused_and_nothing_changes(rollbacks: Rollbacks) -> None:
    shop = rollbacks.shop
    versions = []
    for _ in range(3):
        shop.rotate()
        versions.append(rollbacks.labelled(SECRET))
    before = shop.described()["VersionIdsToStages"]
    done = rollbacks.command(SECRET, "--to", versions[0], "--yes")
    assert (done.code, "setSecret" in done.err) == (ExitCode.FAILED, True)
    assert shop.described()["VersionIdsToStages"] == before
    shop.log_in()


def test_an_interrupted_rollback_of_a_login_is_completed(rollbacks: Rollbacks) -> None:
    shop = rollbacks.shop
    shop.rotate()
    previous, client = rollbacks.labelled(SECRET, "AWSPREVIOUS"), shop.stack.client()
    client.update_secret_version_stage(SecretId=SECRET, VersionStage="AWSPENDING", MoveToVersionId=previous)
    assert rollbacks.command(SECRET, "--to", previous, "--yes").code == 0
    assert rollbacks.labelled(SECRET) == previous
    shop.log_in()


def test_a_value_written_in_the_meantime_is_not_replaced(rollbacks: Rollbacks) -> None:
    stack = rollbacks.shop.stack
    stack.edit("app", KEY="one")
    client = stack.client()
    planned = plan(history(client, "app", is_login=False), "previous", written=False)
    newer = stack.edit("app", KEY="two")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        roll_back(client, stack.client("lambda"), planned)
    assert stack.value("app") == newer


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ap", "--to", "previous", "--yes"), ExitCode.FAILED, "declares no secret ap"),
        (("app", "--to", "previous"), ExitCode.USAGE, "Confirm with --yes"),
        (("app", "--to", "soon", "--yes"), ExitCode.FAILED, "not a version"),
    ],
)
def test_a_mistake_changes_nothing(
    rollbacks: Rollbacks, arguments: tuple[str, ...], code: ExitCode, words: str
) -> None:
    rollbacks.shop.stack.edit("app", KEY="previous")
    before = rollbacks.shop.described("app")["VersionIdsToStages"]
    done = rollbacks.command(*arguments)
    assert (done.code, words in done.err, done.out) == (code, True, "")
    assert rollbacks.shop.described("app")["VersionIdsToStages"] == before


def test_only_metadata_and_labels_are_used(rollbacks: Rollbacks) -> None:
    client, called = rollbacks.shop.stack.client(), []
    client.meta.events.register("before-call.secrets-manager", lambda model, **_: called.append(model.name))
    rollbacks.shop.stack.edit("app", KEY="three")
    roll_back(client, None, plan(history(client, "app", is_login=False), "previous", written=False))
    assert set(called) == {"DescribeSecret", "ListSecretVersionIds", "UpdateSecretVersionStage"}
