"""Restored secrets have the same value and versions, and a preview shows what was announced."""

import json
from typing import Any

import pytest

from tests.adopt.live import snapshot
from tests.restore.running import restore
from tests.support.deep import deep_except
from tests.support.shops import SECRET, Shop
from tests.support.stacks import Stack

APP: dict[str, Any] = {
    "description": "of the shop",
    "values": {"KEY": {"random": {}}, "OTHER": {"filledByHand": "x"}},
}
POLICY = {
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "secretsmanager:DeleteResourcePolicy",
            "Resource": "*",
        }
    ]
}


def deployed(stack: Stack, secrets: dict[str, Any], **stack_wide: object) -> dict[str, Any]:
    """Deploy secrets, edit `app` by hand, and return the snapshot."""
    stack.configure(secrets, **stack_wide)
    stack.up()
    stack.edit("app", OTHER="by-hand-9c2f")
    stack.edit("app", OTHER="by-hand-77d1")
    return snapshot(stack, *secrets)


def secrets_in_state(stack: Stack) -> list[str]:
    return [
        one["urn"].rpartition("::")[2]
        for one in stack.state().get("resources", [])
        if one["type"] == "aws:secretsmanager/secret:Secret"
    ]


def is_deleted(stack: Stack, name: str) -> bool:
    return "DeletedDate" in stack.client().describe_secret(SecretId=name)


def test_a_secret_that_is_still_in_the_state_is_restored_in_aws(stack: Stack) -> None:
    before = deployed(stack, {"app": APP})
    stack.client().delete_secret(SecretId="app", RecoveryWindowInDays=7)
    state = stack.state()["resources"]
    printed = restore(stack, "app", "--yes")
    assert "app is restored: its value and version ids are as they were." in printed
    assert "changes nothing of it" in printed
    assert snapshot(stack, "app") == before
    assert stack.state()["resources"] == state
    assert stack.preview() == []


@pytest.mark.parametrize("mode", deep_except(["once", "managed", "account"], ["once"]))
def test_a_secret_that_a_refresh_dropped_returns_to_the_state(stack: Stack, mode: str) -> None:
    other: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
    secrets: dict[str, Any] = {"app": {**APP, "policy": POLICY}, "other": other}
    before = deployed(stack, secrets, initialValues=mode, tags={"team": "shop"})
    stack.client().delete_secret(SecretId="app", RecoveryWindowInDays=7)
    stack.refresh()
    assert secrets_in_state(stack) == ["other-secret"]
    done = json.loads(restore(stack, "app", "--yes", "--json"))["done"]
    assert done == {"restored": True, "added": True, "changes": [], "others": {}}
    assert sorted(secrets_in_state(stack)) == ["app-secret", "other-secret"]
    assert stack.preview() == []
    stack.collect_versions()
    assert stack.refresh() == []
    assert stack.up() == []
    after = snapshot(stack, "app", "other")
    assert after["app"]["versions"].items() <= before["app"]["versions"].items()
    assert {**after["app"], "versions": {}} == {**before["app"], "versions": {}}
    assert after["other"] == before["other"]


@pytest.mark.parametrize("mode", deep_except(["once", "managed"], ["managed"]))
def test_a_secret_that_an_update_deleted_returns_with_its_value(stack: Stack, mode: str) -> None:
    secrets: dict[str, Any] = {"app": {**APP, "policy": POLICY}, "other": {"values": {"KEY": {"random": {}}}}}
    before = deployed(stack, secrets, initialValues=mode)
    stack.configure({"other": secrets["other"]}, initialValues=mode)
    stack.up()
    assert is_deleted(stack, "app")
    stack.configure({**secrets, "app": {**secrets["app"], "description": "changed"}}, initialValues=mode)
    printed = restore(stack, "app", "--yes")
    assert "app: update Secret (description)" in printed
    of_the_writer = [] if mode == "once" else ["create app-values", "update writer-policy"]
    assert sorted(stack.preview()) == sorted(["update app-secret", *of_the_writer])
    assert ("besides, by the stack file: update" in printed) is (mode == "managed")
    stack.up()
    after = snapshot(stack, "app", "other")
    assert after["app"]["about"].pop("Description") == "changed"
    assert before["app"]["about"].pop("Description") == "of the shop"
    assert before["app"]["versions"].items() <= after["app"]["versions"].items()
    assert before["app"]["labels"].items() <= after["app"]["labels"].items()
    assert stack.value("app")["OTHER"] == "by-hand-77d1"
    assert stack.preview() == []


def test_a_policy_that_aws_lost_is_announced(stack: Stack) -> None:
    secrets: dict[str, Any] = {"app": {**APP, "policy": POLICY}, "other": {"values": {"KEY": {"random": {}}}}}
    before = deployed(stack, secrets)
    stack.configure({"other": secrets["other"]})
    stack.client().delete_resource_policy(SecretId="app")
    stack.up()
    stack.configure(secrets)
    printed = restore(stack, "app", "--yes")
    assert "app: create SecretPolicy" in printed
    assert stack.preview() == ["create app-policy"]
    stack.up()
    assert snapshot(stack, "app", "other") == before


def test_a_secret_of_a_destroyed_stack_returns_with_its_key(stack: Stack) -> None:
    secrets: dict[str, Any] = {"app": APP}
    before = deployed(stack, secrets, encryption="stack-key")
    stack.pulumi("destroy", "--yes", "--skip-preview")
    key = stack.client().describe_secret(SecretId="app")["KmsKeyId"]
    arn = stack.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    assert f"encryption: {arn}" in restore(stack, "app", "--yes", code=1)
    assert is_deleted(stack, "app")
    stack.configure({"app": {**APP, "encryption": arn}}, encryption="stack-key")
    assert "app is restored" in restore(stack, "app", "--yes")
    assert stack.preview() == []
    assert stack.up("--refresh") == []
    assert snapshot(stack, "app") == before


def test_a_database_login_is_restored_in_aws(shop: Shop) -> None:
    shop.configure()
    shop.stack.up()
    shop.wait_for_rotations()
    before = snapshot(shop.stack, SECRET)
    shop.stack.client().delete_secret(SecretId=SECRET, RecoveryWindowInDays=7)
    assert "changes nothing of it" in restore(shop.stack, SECRET, "--yes")
    assert snapshot(shop.stack, SECRET) == before
    assert shop.stack.preview() == []
    shop.log_in()


def test_a_dry_run_changes_nothing(stack: Stack) -> None:
    deployed(stack, {"app": APP, "other": APP})
    stack.client().delete_secret(SecretId="app", RecoveryWindowInDays=7)
    stack.refresh()
    state = stack.state()["resources"]
    printed = restore(stack, "app", "--dry-run")
    assert "is scheduled for deletion, and will be restored in AWS" in printed
    assert "lost it, and gets it back" in printed
    assert is_deleted(stack, "app")
    assert stack.state()["resources"] == state


def test_no_value_is_printed_or_read_from_aws(stack: Stack) -> None:
    deployed(stack, {"app": APP, "other": APP})
    values = [*stack.value("app").values(), *stack.value("other").values()]
    stack.client().delete_secret(SecretId="app", RecoveryWindowInDays=7)
    stack.refresh()
    printed = restore(stack, "app", "--dry-run") + restore(stack, "app", "--yes")
    assert [value for value in values if value and value in printed] == []
    assert "by-hand" not in str(stack.state())
