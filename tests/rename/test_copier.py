"""The function that copies a secret to its new name, on the emulator's Secrets Manager in this process."""

import json
import uuid
from collections.abc import Iterator

import pytest

from components.lambdas.copier import copying, handler, protocol
from components.lambdas.copier.labels import CURRENT
from components.lambdas.writer import store
from tests.support.deep import deep_except
from tests.support.writer_world import VALUES, Point, World, ended, rejection
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.label_rules import WORLDS


@pytest.fixture(
    params=deep_except(WORLDS, [WORLDS[0], WORLDS[3]]),
    ids=["", "stripped", "uncurrent", "uncurrent-stripped"],
)
def world(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    """Secrets Manager in each of the ways that AWS may treat labels."""
    monkeypatch.setattr(rules, "label_rules", request.param)
    world = World()
    monkeypatch.setattr(store, "_client", lambda: world)
    monkeypatch.setattr(handler, "SECONDS", 0.3)
    monkeypatch.setattr(copying, "_FIRST_PAUSE", 0.01)
    return world


@pytest.fixture(autouse=True)
def no_value_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("DEBUG")
    yield
    assert not any(value in caplog.text for value in VALUES)


@pytest.fixture
def pair(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A secret with a value, and the secret with its new name, which has none; the function knows both."""
    old, new = world.make({"KEY": "the oldest value"}), world.make()
    monkeypatch.setenv(protocol.SOURCE_VARIABLE, old)
    monkeypatch.setenv(protocol.TARGET_VARIABLE, new)
    return old, new


def copied() -> bool:
    answer = json.loads(json.dumps(handler.handle({})))
    return bool(answer[protocol.COPIED])


def equal(world: World, old: str, new: str) -> bool:
    return world.content(old) == world.content(new) and world.holder(old, CURRENT) == world.holder(
        new, CURRENT
    )


def copies(world: World, secret: str) -> list[str]:
    return [label for label in world.labels(secret) if protocol.is_copy_label(label)]


def test_a_copy_has_the_value_and_the_version_id(world: World, pair: tuple[str, str]) -> None:
    assert copied()
    assert equal(world, *pair)
    assert not copied()
    for number in range(3):
        world.edit(pair[0], KEY=f"a later value {number}")
        assert copied()
        assert equal(world, *pair)
        assert len(copies(world, pair[1])) == 1
    assert copies(world, pair[0]) == []


def test_text_and_binary_values_are_copied_as_they_are(world: World, pair: tuple[str, str]) -> None:
    for content in ("one text, not JSON \u00e9", b"\x00\x01\xff"):
        world.put(pair[0], content)
        assert copied()
        assert world.content(pair[1]) == content


def test_the_copy_follows_a_rollback_of_the_source(world: World, pair: tuple[str, str]) -> None:
    old, new = pair
    first = world.holder(old, CURRENT)
    assert copied()
    world.edit(old, KEY="a later value")
    assert copied()
    world.update_secret_version_stage(
        SecretId=old,
        VersionStage=CURRENT,
        MoveToVersionId=first,
        RemoveFromVersionId=world.holder(old, CURRENT),
    )
    assert copied()
    assert equal(world, old, new)
    assert len(copies(world, new)) == 1


def test_a_value_that_others_wrote_is_never_replaced(world: World, pair: tuple[str, str]) -> None:
    old, new = pair
    assert copied()
    world.edit(new, KEY="written to the new name")
    world.edit(old, KEY="written to the old name")
    before = world.snapshot(new)
    assert "was changed by others" in rejection(copied)
    assert world.snapshot(new) == before


def test_a_value_that_others_wrote_first_is_never_replaced(world: World, pair: tuple[str, str]) -> None:
    world.put(pair[1], '{"KEY": "a person was faster"}')
    before = world.snapshot(pair[1])
    assert "was changed by others" in rejection(copied)
    assert world.snapshot(pair[1]) == before


def test_a_value_under_a_chosen_version_id_is_never_replaced(world: World, pair: tuple[str, str]) -> None:
    """Whoever may put values chooses their IDs: the same ID does not make another value a copy."""
    old, new = pair
    assert copied()
    token = str(uuid.uuid4())
    world.put_secret_value(SecretId=new, ClientRequestToken=token, SecretString='{"KEY": "a forged value"}')
    world.put_secret_value(SecretId=old, ClientRequestToken=token, SecretString='{"KEY": "the right value"}')
    before = world.snapshot(new)
    assert "already in use" in rejection(copied)
    assert world.snapshot(new) == before


def test_an_event_names_no_secret(world: World, pair: tuple[str, str]) -> None:
    other = world.make({"KEY": "a value of others"})
    before = world.snapshot(other)
    for event in (
        {"SOURCE_ARN": other, "TARGET_ARN": other, "SecretId": other, "VersionId": "x"},
        {"SecretId": pair[1]},
        [other],
        None,
    ):
        handler.handle(event)
    assert equal(world, *pair)
    assert world.snapshot(other) == before


def test_a_source_without_a_value_is_explained(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = world.make(), world.make()
    monkeypatch.setenv(protocol.SOURCE_VARIABLE, old)
    monkeypatch.setenv(protocol.TARGET_VARIABLE, new)
    assert "has no current version" in rejection(copied)
    assert world.stages(new) == {}


@pytest.mark.parametrize("deleted", ["old", "new"])
def test_a_deleted_secret_is_explained(world: World, pair: tuple[str, str], deleted: str) -> None:
    world.secret(pair[deleted == "new"]).deleted = 1.0
    assert "is scheduled for deletion" in rejection(copied)


def test_a_change_while_it_is_copied_is_copied_as_well(world: World, pair: tuple[str, str]) -> None:
    old, new = pair
    edits = iter(["a second value", "a third value"])

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value" and (value := next(edits, None)):
            world.edit(old, KEY=value)

    world.hook = meanwhile
    assert copied()
    assert equal(world, old, new)


def test_an_edit_while_it_is_copied_is_kept(world: World, pair: tuple[str, str]) -> None:
    old, new = pair
    assert copied()
    world.edit(old, KEY="a later value")
    edits = iter(["written meanwhile"])

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value" and (value := next(edits, None)):
            world.edit(new, KEY=value)

    world.hook = meanwhile
    assert "was changed by others" in rejection(copied)
    assert world.read(new) == {"KEY": "written meanwhile"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("value", ["first", "later"])
def test_a_copy_killed_at_any_call_goes_on_and_readers_see_no_other_value(
    world: World, value: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 0
    while True:
        old, new = world.make({"KEY": "the oldest value"}), world.make()
        monkeypatch.setenv(protocol.SOURCE_VARIABLE, old)
        monkeypatch.setenv(protocol.TARGET_VARIABLE, new)
        if value == "later":
            copied()
            world.edit(old, KEY="a later value")
        killed = ended(world, Point(at, after), copied)
        if killed and value == "later":
            world.edit(old, KEY="a value after the kill")  # the next run copies this one
        copied()
        assert equal(world, old, new)
        assert len(copies(world, new)) == 1
        allowed = [version for version in world.history[old] if version in world.history[new]]
        assert world.history[new] == allowed  # never another value, and never an older one after a newer one
        if not killed:
            break
        at += 1
    assert at > 5
