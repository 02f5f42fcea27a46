"""What lives in AWS is never written again by an update."""

import json
from typing import Any

import pytest

from tests.engine.stacks import CONFIGURED, Stack

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


# Each of them changes a secret's declaration and may not change its live value.
CHANGES = {
    "unchanged": SECRET["app"],
    "described": declared(description="another"),
    "with-one-more-key": with_values(NEW={"random": {}}),
    "with-other-random-options": with_values(PASSWORD={"random": {"length": 40}}),
    "with-another-key-of-kms": declared(encryption="aws-managed"),
}


@pytest.mark.parametrize("refresh", ["refresh then up", "up --refresh"])
def test_a_value_edited_three_times_by_hand_stands_whatever_changes(stack: Stack, refresh: str) -> None:
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
    # the provider tells AWS of no key that is left out, and so goes on to try (docs/stack-file.md)
    assert stack.preview() == ["update with-another-key-of-kms-secret"]


def test_a_filled_placeholder_and_a_rotation_that_moves_labels_leave_nothing_for_an_update_to_do(
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
    """As a rotation function does, three times; returns the last value."""
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


def test_a_random_value_survives_every_edit_but_that_of_its_own_options(stack: Stack) -> None:
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


def test_a_secret_moves_between_keys_of_kms_and_is_read_all_the_time_because_the_stacks_key_stays(
    stack: Stack,
) -> None:
    stack.configure(SECRET)
    stack.up()
    stack_key = stack.client().describe_secret(SecretId="app")["KmsKeyId"]
    live = edit_until_the_first_version_has_lost_its_labels(stack, "app")
    stack.configure(SECRET, encryption="aws-managed")
    assert "update app-secret" in stack.up()
    # the provider does not tell AWS: until somebody does, the secret keeps its key, and each `up` says so
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


def test_a_preview_shows_which_first_values_changed_though_aws_keeps_what_it_has(stack: Stack) -> None:
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
    # the engine hides both values, so the component's step alone says it
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
    """What the preview before would do to each secret as a component."""
    return {step["urn"].rpartition("::")[2]: step["op"] for step in _component_steps(stack)}


def _component_steps(stack: Stack) -> list[dict[str, Any]]:
    """Steps of secrets in the preview before."""
    events = [json.loads(line) for line in (stack.folder / "events.json").read_text().splitlines()]
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    return [step for step in steps if step["type"] == "aws-secrets:index:Secret"]


def _changed_first_values(stack: Stack) -> set[str]:
    """Keys whose first value is another than at the last update. A component has no detailed diff."""
    changed: set[str] = set()
    for step in _component_steps(stack):
        if step["op"] == "same":
            continue
        old, new = (step[side]["inputs"]["initialValues"] for side in ("old", "new"))
        changed |= {key for key in {*old, *new} if old.get(key) != new.get(key)}
    return changed
