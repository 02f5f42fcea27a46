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
    assert stack.preview() == []


def test_a_placeholder_filled_by_hand_is_never_emptied(stack: Stack) -> None:
    stack.up()
    assert stack.value("example-prismic") == {"PRISMIC_ACCESS_TOKEN": ""}
    filled = stack.edit("example-prismic", PRISMIC_ACCESS_TOKEN="from-prismic")
    assert stack.up() == []
    assert stack.refresh() == []
    assert stack.up() == []
    assert stack.value("example-prismic") == filled


def test_a_rotation_that_moves_labels_leaves_nothing_for_an_update_to_do(stack: Stack) -> None:
    stack.configure(SECRET)
    stack.up()
    client = stack.client()
    value: dict[str, str] = {}
    for number in range(3):
        value = {**stack.value("app"), "PASSWORD": f"rotated-{number}"}
        current = client.get_secret_value(SecretId="app")["VersionId"]
        token = f"{number:032d}"
        client.put_secret_value(
            SecretId="app",
            ClientRequestToken=token,
            SecretString=json.dumps(value),
            VersionStages=["AWSPENDING"],
        )
        client.update_secret_version_stage(
            SecretId="app",
            VersionStage="AWSCURRENT",
            MoveToVersionId=token,
            RemoveFromVersionId=current,
        )
        client.update_secret_version_stage(
            SecretId="app", VersionStage="AWSPENDING", RemoveFromVersionId=token
        )
    stack.collect_versions()
    assert stack.refresh() == []
    assert stack.up() == []
    assert stack.value("app") == value


def test_a_random_value_survives_every_edit_but_that_of_its_own_options(stack: Stack) -> None:
    stack.configure(SECRET)
    stack.up()
    first = stack.value("app")["PASSWORD"]
    assert len(first) == 24
    for name in ("described", "with-one-more-key", "with-another-key-of-kms"):
        stack.configure({"app": CHANGES[name]})
        assert not [step for step in stack.up() if "random:PASSWORD" in step], name
        assert stack.value("app")["PASSWORD"] == first


def test_a_secret_that_left_the_stack_key_is_still_read_because_the_key_stays(stack: Stack) -> None:
    stack.configure(SECRET)
    stack.up()
    live = edit_until_the_first_version_has_lost_its_labels(stack, "app")
    stack.configure(SECRET, encryption="aws-managed")
    assert "update app-secret" in stack.up()
    assert stack.refresh() == []
    assert stack.up() == []
    assert stack.value("app") == live
    states = [
        stack.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
        for key in stack.client("kms").list_keys()["Keys"]
    ]
    assert states == ["Enabled"]


def test_a_preview_shows_which_first_values_changed_though_aws_keeps_what_it_has(stack: Stack) -> None:
    declared: dict[str, Any] = {
        "KEY": {"random": {"length": 32}},
        "ENVIRONMENT": {"value": "production"},
        "STRIPE": {"config": "stripeKey"},
        "TOKEN": {"filledByHand": "Vendor > Settings"},
    }
    stack.configure({"app": {"values": declared}})
    stack.up()
    live = stack.value("app")
    stack.preview()
    assert _changed_first_values(stack) == set()
    changed = {**declared, "KEY": {"random": {"length": 40}}, "ENVIRONMENT": {"value": "staging"}}
    stack.configure({"app": {"values": {**changed, "ADDED": {"config": "stripeKey"}}}})
    stack.preview()
    assert _changed_first_values(stack) == {"KEY", "ENVIRONMENT", "ADDED"}
    assert CONFIGURED not in (stack.folder / "events.json").read_text()
    stack.up()
    assert stack.value("app") == live
    stack.preview()
    assert _changed_first_values(stack) == set()


def test_a_preview_shows_that_a_secret_first_value_changed(stack: Stack) -> None:
    stack.configure({"app": {"values": {"STRIPE": {"config": "stripeKey"}}}})
    stack.up()
    stack.configure_secretly("stripeKey", "configured-value-of-another-day")
    stack.preview()
    events = (stack.folder / "events.json").read_text()
    # the engine hides both values, so the component's step alone says it
    assert [step["op"] for step in _component_steps(stack)] == ["update"]
    assert "configured-value-of-another-day" not in events
    stack.up()
    assert stack.value("app") == {"STRIPE": CONFIGURED}


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
