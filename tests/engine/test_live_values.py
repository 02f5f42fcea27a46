"""No update writes a live value again."""

import json
from typing import Any

import pytest

from tests.support.stacks import CONFIGURED, Stack

SECRET = {"app": {"values": {"PASSWORD": {"random": {"length": 24}}, "TOKEN": {"filledByHand": "ask"}}}}


def edit_until_the_first_version_has_lost_its_labels(stack: Stack, secret: str) -> dict[str, str]:
    live: dict[str, str] = {}
    for number in range(3):
        live = stack.edit(secret, TOKEN=f"by-hand-{number}")
    stack.collect_versions()
    return live


def declared(**changes: object) -> dict[str, Any]:
    return {**SECRET["app"], **changes}


def with_values(**values: object) -> dict[str, Any]:
    return declared(values={**SECRET["app"]["values"], **values})


# Each changes a secret's declaration and must not change its live value.
CHANGES = {
    "unchanged": SECRET["app"],
    "described": declared(description="another"),
    "with-one-more-key": with_values(NEW={"random": {}}),
    "with-other-random-options": with_values(PASSWORD={"random": {"length": 40}}),
    "with-another-key-of-kms": declared(encryption="aws-managed"),
}


@pytest.mark.parametrize("refresh", ["refresh then up", "up --refresh"])
def test_a_value_edited_by_hand_survives_every_change(stack: Stack, refresh: str) -> None:
    stack.configure(dict.fromkeys(CHANGES, SECRET["app"]))
    stack.up()
    live = {name: edit_until_the_first_version_has_lost_its_labels(stack, name) for name in CHANGES}
    versions = {name: stack.version_count(name) for name in CHANGES}
    stack.configure(CHANGES)
    if refresh == "up --refresh":
        done = stack.up("--refresh")
    else:
        stack.refresh()
        done = stack.up()
    assert not [step for step in done if "initial-version" in step]
    assert not [step for step in done if step.endswith(" unchanged-secret")]
    assert {name: stack.value(name) for name in CHANGES} == live
    assert {name: stack.version_count(name) for name in CHANGES} == versions
    # the provider does not tell AWS about a removed key, so each update tries again (docs/stack-file.md)
    assert stack.preview() == ["update with-another-key-of-kms-secret"]


def test_manual_input_and_moved_labels_leave_no_changes(
    stack: Stack,
) -> None:
    stack.configure({**SECRET, "prismic": {"values": {"TOKEN": {"filledByHand": "ask"}}}})
    stack.up()
    assert stack.value("prismic") == {"TOKEN": ""}
    filled = stack.edit("prismic", TOKEN="from-prismic")
    rotated = rotate_by_labels(stack, "app")
    assert stack.up() == []
    stack.collect_versions()
    assert stack.refresh() == []
    assert stack.up() == []
    assert stack.value("prismic") == filled
    assert stack.value("app") == rotated


def rotate_by_labels(stack: Stack, secret: str) -> dict[str, str]:
    """Move labels three times, as a rotation function does; return the last value."""
    client = stack.client()
    value: dict[str, str] = {}
    for number in range(3):
        value = {**stack.value(secret), "PASSWORD": f"rotated-{number}"}
        current = client.get_secret_value(SecretId=secret)["VersionId"]
        token = f"{number:032d}"
        client.put_secret_value(
            SecretId=secret,
            ClientRequestToken=token,
            SecretString=json.dumps(value),
            VersionStages=["AWSPENDING"],
        )
        client.update_secret_version_stage(
            SecretId=secret,
            VersionStage="AWSCURRENT",
            MoveToVersionId=token,
            RemoveFromVersionId=current,
        )
        client.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=token
        )
    return value


def test_a_random_value_survives_every_edit_except_of_its_options(stack: Stack) -> None:
    names = ("described", "with-one-more-key", "with-another-key-of-kms")
    stack.configure(dict.fromkeys(names, SECRET["app"]))
    stack.up()
    first = {name: stack.value(name)["PASSWORD"] for name in names}
    assert {len(password) for password in first.values()} == {24}
    stack.configure({name: CHANGES[name] for name in names})
    done = stack.up()
    assert {f"update {name}-secret" for name in ("described", "with-another-key-of-kms")} <= set(done)
    assert not [step for step in done if "random:PASSWORD" in step]
    assert {name: stack.value(name)["PASSWORD"] for name in names} == first


def test_a_secret_stays_readable_while_it_moves_between_kms_keys(
    stack: Stack,
) -> None:
    stack.configure(SECRET)
    stack.up()
    stack_key = stack.client().describe_secret(SecretId="app")["KmsKeyId"]
    live = edit_until_the_first_version_has_lost_its_labels(stack, "app")
    stack.configure(SECRET, encryption="aws-managed")
    assert "update app-secret" in stack.up()
    # the provider does not tell AWS: until an operator does, the secret keeps its key and each `up` shows it
    assert stack.client().describe_secret(SecretId="app")["KmsKeyId"] == stack_key
    assert stack.up() == ["update app-secret"]
    stack.client().update_secret(SecretId="app", KmsKeyId="alias/aws/secretsmanager")
    assert "KmsKeyId" not in stack.client().describe_secret(SecretId="app")
    stack.refresh()
    assert stack.up() == []
    assert stack.value("app") == live
    states = [
        stack.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
        for key in stack.client("kms").list_keys()["Keys"]
    ]
    assert states == ["Enabled"]
    stack.configure(SECRET)
    stack.up()
    assert stack.client().describe_secret(SecretId="app")["KmsKeyId"].startswith("arn:aws:kms:")
    assert stack.value("app") == live


def test_a_preview_shows_changed_initial_values_that_are_not_applied(stack: Stack) -> None:
    declared: dict[str, Any] = {
        "KEY": {"random": {"length": 32}},
        "ENVIRONMENT": {"value": "production"},
        "STRIPE": {"config": "stripeKey"},
        "TOKEN": {"filledByHand": "Vendor > Settings"},
    }
    hidden = {"hidden": {"values": {"STRIPE": {"config": "stripeKey"}}}}
    stack.configure({"app": {"values": declared}, **hidden})
    stack.up()
    live = {name: stack.value(name) for name in ("app", "hidden")}
    assert live["hidden"] == {"STRIPE": CONFIGURED}
    changed = {**declared, "KEY": {"random": {"length": 40}}, "ENVIRONMENT": {"value": "staging"}}
    changes = {"app": {"values": {**changed, "ADDED": {"config": "stripeKey"}}}, **hidden}
    stack.configure(changes)
    stack.preview()
    assert _changed_first_values(stack) == {"KEY", "ENVIRONMENT", "ADDED"}
    assert _operations(stack) == {"app": "update", "hidden": "same"}
    stack.configure_secretly("stripeKey", "configured-value-of-another-day")
    stack.preview()
    assert _changed_first_values(stack) == {"KEY", "ENVIRONMENT", "ADDED"}
    # the engine hides both values, so only the component's step shows the change
    assert _operations(stack) == {"app": "update", "hidden": "update"}
    events = (stack.folder / "events.json").read_text()
    assert CONFIGURED not in events
    assert "configured-value-of-another-day" not in events
    stack.up()
    assert {name: stack.value(name) for name in live} == live
    stack.preview()
    assert _changed_first_values(stack) == set()
    assert _operations(stack) == {"app": "same", "hidden": "same"}


def _operations(stack: Stack) -> dict[str, str]:
    """Return what the previous preview would do to each secret component."""
    return {step["urn"].rpartition("::")[2]: step["op"] for step in _component_steps(stack)}


def _component_steps(stack: Stack) -> list[dict[str, Any]]:
    """Return the steps of secrets in the previous preview."""
    events = [json.loads(line) for line in (stack.folder / "events.json").read_text().splitlines()]
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    return [step for step in steps if step["type"] == "aws-secrets:index:Secret"]


def _changed_first_values(stack: Stack) -> set[str]:
    """Return the keys whose initial value changed since the last update; a component has no detailed diff."""
    changed: set[str] = set()
    for step in _component_steps(stack):
        if step["op"] == "same":
            continue
        old, new = (step[side]["inputs"]["initialValues"] for side in ("old", "new"))
        changed |= {key for key in {*old, *new} if old.get(key) != new.get(key)}
    return changed
