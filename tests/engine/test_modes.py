"""The modes of initial values: written once by Pulumi, managed by the writer, or made in the account."""

import json
import re
from itertools import permutations
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.engine.test_secrecy import files_below, numbers_of_shown
from tests.support.emulator_process import Emulator
from tests.support.shops import SECRET, Shop
from tests.support.stacks import CONFIGURED, Stack

MODES = ("once", "managed", "account")
WRITTEN = ("managed", "account")


def values_of(**more: object) -> dict[str, Any]:
    return {"PASSWORD": {"random": {"length": 24}}, "TOKEN": {"filledByHand": "ask"}, **more}


def app(mode: str, values: dict[str, Any] | None = None, **more: object) -> dict[str, Any]:
    return {"app": {"initialValues": mode, "values": values or values_of(), **more}}


def written(values: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return a secret for each mode that uses the writer, named after the mode."""
    return {mode: {"initialValues": mode, "values": values, **more} for mode in WRITTEN}


def without_get_secret_value(stack: Stack) -> dict[str, str]:
    """Return the environment of an operator who may do anything except read values."""
    iam = stack.client("iam")
    iam.create_user(UserName="blind")
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
    ]
    iam.put_user_policy(
        UserName="blind",
        PolicyName="blind",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    key = iam.create_access_key(UserName="blind")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def test_a_new_secret_is_complete_and_the_next_update_changes_nothing(stack: Stack) -> None:
    values = values_of(HEX={"randomBytes": {"length": 8}}, FIXED={"value": "v"})
    stack.configure({mode: {"initialValues": mode, "values": values} for mode in MODES})
    stack.up()
    made = {mode: stack.value(mode) for mode in MODES}
    for mode, value in made.items():
        assert value.keys() == {"PASSWORD", "TOKEN", "HEX", "FIXED"}, mode
        kinds = (len(value["PASSWORD"]), value["TOKEN"], len(value["HEX"]), value["FIXED"])
        assert kinds == (24, "", 16, "v"), mode
    assert stack.refresh() == []
    assert stack.up() == []
    assert {mode: stack.value(mode) for mode in MODES} == made
    # the writer keeps its record on a separate version
    assert [stack.version_count(mode) for mode in MODES] == [1, 2, 2]


# Every ordered pair of modes once, ending where it began.
ROUND = ("once", "managed", "account", "once", "account", "managed")
assert {*zip(ROUND, (*ROUND[1:], ROUND[0]), strict=True)} == {*permutations(MODES, 2)}


def test_changing_the_mode_never_changes_a_live_value(stack: Stack) -> None:
    values = {"PASSWORD": {"random": {"length": 24}, "generation": 2}, "TOKEN": {"filledByHand": "ask"}}
    names = [(history, start) for history in ("fresh", "edited", "long-since-edited") for start in (0, 1, 2)]

    def configure(moves: int) -> None:
        stack.configure(
            {
                f"{history}-{start}": {"initialValues": ROUND[(start + moves) % len(ROUND)], "values": values}
                for history, start in names
            }
        )

    configure(0)
    stack.up()
    for start in (0, 1, 2):
        stack.edit(f"edited-{start}", TOKEN="by-hand")
        for number in range(3):
            stack.edit(f"long-since-edited-{start}", TOKEN=f"by-hand-{number}")
    stack.collect_versions()
    secrets = [f"{history}-{start}" for history, start in names]
    live = {name: stack.client().get_secret_value(SecretId=name) for name in secrets}
    for moves in range(1, len(ROUND) + 1):
        configure(moves)
        assert stack.up("--refresh")
        for name, was in live.items():
            now = stack.client().get_secret_value(SecretId=name)
            assert now["VersionId"] == was["VersionId"], f"{name} in move {moves}"
            assert now["SecretString"] == was["SecretString"], f"{name} in move {moves}"
    # every mode is present again
    assert stack.refresh() == []
    assert stack.preview() == []


def test_a_key_added_later_arrives_and_edits_stay(stack: Stack) -> None:
    stack.configure(written(values_of()))
    stack.up()
    live: dict[str, dict[str, str]] = {}
    for number in range(3):
        for mode in WRITTEN:
            live[mode] = stack.edit(mode, TOKEN="by-hand", PASSWORD=f"rotated-{number}", OWN="of a person")
    stack.collect_versions()
    stack.configure(written(values_of(NEW={"random": {"length": 12, "special": False}})))
    stack.up()
    for mode in WRITTEN:
        value = stack.value(mode)
        assert len(value.pop("NEW")) == 12, mode
        assert value == live[mode], mode
    assert stack.refresh() == []
    assert stack.up() == []


def test_raising_one_generation_regenerates_that_key_only(stack: Stack) -> None:
    five: dict[str, Any] = {f"KEY_{number}": {"random": {"length": 20}} for number in range(5)}
    stack.configure(written(five))
    stack.up()
    before = {mode: stack.value(mode) for mode in WRITTEN}
    raised = {**five, "KEY_3": {"random": {"length": 30}, "generation": 2}}
    stack.configure(written(raised))
    stack.up()
    after = {mode: stack.value(mode) for mode in WRITTEN}
    for mode in WRITTEN:
        assert {key for key in five if after[mode][key] != before[mode][key]} == {"KEY_3"}, mode
        assert len(after[mode]["KEY_3"]) == 30, mode
        stack.edit(mode, KEY_3="by-hand")
    stack.configure(written(raised, removedKeys=["KEY_9"]))
    stack.up()
    for mode in WRITTEN:
        assert stack.value(mode) == {**after[mode], "KEY_3": "by-hand"}, mode


def test_raising_a_generation_rewrites_a_configured_value_without_showing_it(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    stack.configure(app("managed", {"STRIPE_KEY": {"config": "stripeKey"}}))
    stack.up()
    stack.configure_secretly("stripeKey", "another-configured-value-93")
    assert {step.rpartition(" ")[2] for step in stack.up()} == {"app-values"}
    assert stack.value("app") == {"STRIPE_KEY": CONFIGURED}
    stack.configure(app("managed", {"STRIPE_KEY": {"config": "stripeKey"}, "LATER": {"config": "stripeKey"}}))
    stack.up()
    assert stack.value("app") == {"STRIPE_KEY": CONFIGURED, "LATER": "another-configured-value-93"}
    stack.configure(app("managed", {"STRIPE_KEY": {"config": "stripeKey", "generation": 2}}))
    shown = stack.pulumi(
        "up", "--yes", "--skip-preview", "--diff", "--event-log", str(tmp_path / "events.json")
    ).stdout
    assert stack.value("app")["STRIPE_KEY"] == "another-configured-value-93"
    haystack = b"\n".join([shown.encode(), emulator.log.read_bytes(), *files_below(tmp_path)])
    shown_values = numbers_of_shown(
        [CONFIGURED, "another-configured-value-93"], haystack
    )  # separate: a failing assertion prints its arguments
    assert shown_values == []


def test_a_key_is_removed_only_on_request(stack: Stack) -> None:
    stack.configure(app("managed", values_of(OLD={"value": "old"})))
    stack.up()
    stack.configure(app("managed"))
    said = stack.pulumi("up", "--yes", "--skip-preview").stdout
    assert "app: OLD stays in AWS. To have it removed there, write removedKeys: [OLD]." in said
    assert stack.value("app")["OLD"] == "old"
    stack.configure(app("managed", removedKeys=["OLD"]))
    stack.up()
    assert "OLD" not in stack.value("app")


def test_an_invalid_json_value_fails_the_update_until_fixed(
    stack: Stack,
) -> None:
    no_objects: dict[str, dict[str, Any]] = {
        "text": {"SecretString": "by-hand-no-json"},
        "list": {"SecretString": '["by-hand-no-json"]'},
        "binary": {"SecretBinary": b"by-hand-no-json"},
    }
    managed = {"initialValues": "managed"}
    stack.configure({kind: {**managed, "values": values_of()} for kind in no_objects})
    stack.up()
    client = stack.client()
    for kind, value in no_objects.items():
        client.put_secret_value(SecretId=kind, **value)

    def labels() -> list[Any]:
        return [client.describe_secret(SecretId=kind)["VersionIdsToStages"] for kind in no_objects]

    before = labels()
    stack.configure({kind: {**managed, "values": values_of(NEW={"random": {}})} for kind in no_objects})
    # otherwise the first failure could end the update before the others are tried
    failed = stack.pulumi("up", "--yes", "--skip-preview", "--continue-on-error", check=False)
    assert failed.returncode != 0
    for kind in no_objects:
        assert re.search(rf":secret:{kind}-.*Nothing was changed", failed.stdout), kind
    assert "no-json" not in failed.stdout
    assert labels() == before
    for kind in no_objects:
        client.put_secret_value(SecretId=kind, SecretString='{"MINE": "1"}')
    stack.up()
    for kind in no_objects:
        assert stack.value(kind).keys() == {"MINE", "PASSWORD", "TOKEN", "NEW"}, kind


def test_the_writer_waits_for_a_pending_rotation_then_fails(
    stack: Stack,
) -> None:
    stack.configure(app("account"))
    stack.up()
    client = stack.client()
    pending = client.put_secret_value(SecretId="app", SecretString="{}", VersionStages=["AWSPENDING"])
    [writer] = stack.client("lambda").list_functions()["Functions"]
    # 15 of these seconds are reserved for its last calls, so it waits for three
    stack.client("lambda").update_function_configuration(FunctionName=writer["FunctionName"], Timeout=18)
    stack.configure(app("account", values_of(NEW={"random": {}})))
    failed = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert pending["VersionId"] in failed.stdout
    assert "NEW" not in stack.value("app")
    client.update_secret_version_stage(
        SecretId="app", VersionStage="AWSPENDING", RemoveFromVersionId=pending["VersionId"]
    )
    stack.up()
    assert "NEW" in stack.value("app")


def test_account_mode_needs_no_reading_of_values(stack: Stack, emulator: Emulator, tmp_path: Path) -> None:
    blind = without_get_secret_value(stack)
    values = values_of(HEX={"randomBytes": {"length": 24}})
    stack.configure(app("account", values))
    log = tmp_path / "events.json"
    shown = []

    def run(*arguments: str) -> None:
        done = stack.pulumi(*arguments, environment=blind, check=False)
        assert done.returncode == 0, "a command failed"
        shown.append(done.stdout)

    run("preview", "--diff", "--event-log", str(log))
    run("up", "--yes", "--diff", "--event-log", str(log), "--show-secrets")
    made = stack.value("app")
    run("preview", "--diff", "--refresh", "--show-secrets")
    run("refresh", "--yes", "--diff")
    stack.configure(app("account", {**values, "HEX": {"randomBytes": {"length": 24}, "generation": 2}}))
    run("up", "--yes", "--diff", "--event-log", str(log))
    run("stack", "export", "--show-secrets")
    run("stack", "output", "--json", "--show-secrets")
    export = shown[-2]
    assert "aws:secretsmanager/secretVersion" not in export
    assert export.count('"type": "random:index/randomPassword:RandomPassword"') == 1, (
        "the salt alone is made here"
    )
    reader = boto3.client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=stack.endpoint,
        aws_access_key_id=blind["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=blind["AWS_SECRET_ACCESS_KEY"],
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get_secret_value(SecretId="app")
    said = stack.function_log()
    assert "HEX" in said
    shown.append(said)
    haystack = "\n".join(shown).encode() + b"\n".join([*files_below(tmp_path), emulator.log.read_bytes()])
    secrets = [made["PASSWORD"], made["HEX"], stack.value("app")["HEX"]]
    shown_values = numbers_of_shown(secrets, haystack)  # separate: a failing assertion prints its arguments
    assert shown_values == []


def test_a_change_that_is_not_applied_is_a_preview_warning(stack: Stack) -> None:
    stack.configure(app("once", values_of(OLD={"value": "old"}, FIXED={"value": "before"})))
    stack.up()
    changed = {
        "PASSWORD": {"random": {"length": 24}, "generation": 2},
        "TOKEN": {"filledByHand": "ask"},
        "NEW": {"random": {}},
        "FIXED": {"value": "after"},
    }
    stack.configure(app("once", changed, removedKeys=["GONE"]))
    said = stack.pulumi("preview").stdout
    assert "app: NEW will not be applied" in said
    assert "app: OLD stays in AWS" in said
    assert "app: GONE in removedKeys stays in AWS" in said
    assert "app: the generation of PASSWORD will not be applied" in said
    assert "app: FIXED was changed, and AWS keeps the value it has" in said
    assert stack.pulumi("up", "--yes", "--skip-preview").stdout.count("app: NEW will not be applied") >= 1
    assert "will not be applied" not in stack.pulumi("preview").stdout


def test_a_login_in_account_mode_works_rotates_and_gets_new_keys(shop: Shop, tmp_path: Path) -> None:
    shop.configure(initialValues="account")
    shop.stack.up()
    assert shop.log_in() == shop.username
    passwords = [shop.stack.value(SECRET)["password"]]
    passwords += [shop.rotate()["password"] for _ in range(3)]
    live = shop.stack.value(SECRET)
    shop.configure({"values": {"POOL_SIZE": {"value": "5"}}}, initialValues="account")
    shop.stack.up()
    assert shop.stack.value(SECRET) == {**live, "POOL_SIZE": "5"}
    assert shop.log_in() == live["username"]
    assert shop.log_in(shop.rotate())
    assert shop.stack.value(SECRET)["POOL_SIZE"] == "5"
    assert shop.stack.preview() == []
    haystack = b"\n".join(files_below(tmp_path))
    shown_values = numbers_of_shown(passwords, haystack)  # separate: a failing assertion prints its arguments
    assert shown_values == []
