"""Rollbacks of single keys: approved ones only, and without losing what others write."""

import itertools
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from components.lambdas.writer import approvals, generation_labels, rollback
from components.lambdas.writer.handler import handle
from components.lambdas.writer.labels import CURRENT, PENDING, PREVIOUS, UNFILLED
from tests.support.threads import at_once
from tests.support.writer_world import Point, World, ended, random_key, rejection
from tests.support.writer_world import write as ask

GENERATED = {"A": random_key(), "B": random_key()}
RAISED = {"A": random_key(generation=2), "B": random_key(generation=2)}


def approve(world: World, arn: str, source: str, *keys: str, since: float | None = None) -> None:
    label = approvals.approval(source, holder(world, arn), keys, since or time.time())
    world.update_secret_version_stage(SecretId=arn, VersionStage=label, MoveToVersionId=source)


def send(world: World, arn: str, source: str, *keys: str, current: str = "") -> dict[str, Any]:
    event = {
        "Action": "rollback",
        "SecretId": arn,
        "SourceVersion": source,
        "CurrentVersion": current or holder(world, arn),
        "KeyNames": list(keys),
    }
    answer: dict[str, Any] = json.loads(json.dumps(handle(json.loads(json.dumps(event)))))
    return answer


def roll_back(world: World, arn: str, source: str, *keys: str) -> dict[str, Any]:
    """Approve a rollback and send it, as the command does."""
    approve(world, arn, source, *keys)
    return send(world, arn, source, *keys)


def holder(world: World, arn: str, label: str = CURRENT) -> str:
    version = world.holder(arn, label)
    assert version
    return version


def regenerated(world: World) -> tuple[str, str]:
    """Return a secret with both keys regenerated, and the version before that."""
    arn = world.make()
    ask(arn, GENERATED)
    before = holder(world, arn)
    ask(arn, RAISED)
    return arn, before


def test_only_the_named_key_gets_its_earlier_value(world: World) -> None:
    arn, before = regenerated(world)
    first = world.values[before]
    world.edit(arn, HAND="edited by hand", NUMBER=1.50)
    second, current = world.read(arn), holder(world, arn)
    answer = roll_back(world, arn, before, "A")
    assert answer == {"RolledBack": ["A"], "VersionId": holder(world, arn), "Warnings": []}
    assert world.read(arn) == {**second, "A": json.loads(first or "")["A"]}
    assert holder(world, arn, PREVIOUS) == current
    assert not any(map(approvals.is_approval, world.labels(arn)))
    assert world.unconfirmed(arn) == []


def test_a_rolled_back_key_stays_until_its_generation_is_raised(world: World) -> None:
    arn, before = regenerated(world)
    roll_back(world, arn, before, "A")
    value = world.read(arn)
    for _ in range(2):
        assert ask(arn, RAISED)["Regenerated"] == []
        world.edit(arn, OTHER="other")
    assert world.read(arn) == {**value, "OTHER": "other"}
    assert ask(arn, {**RAISED, "A": random_key(generation=3)})["Regenerated"] == ["A"]


def test_the_inverse_brings_the_later_value_back(world: World) -> None:
    arn, before = regenerated(world)
    value, current = world.read(arn), holder(world, arn)
    roll_back(world, arn, before, "B")
    assert world.read(arn) != value
    roll_back(world, arn, current, "B")
    assert world.read(arn) == value


def test_a_key_with_the_earlier_value_is_left_as_it_is(world: World) -> None:
    arn, before = regenerated(world)
    roll_back(world, arn, before, "A")
    snapshot = world.snapshot(arn)
    assert roll_back(world, arn, before, "A")["RolledBack"] == []
    assert world.snapshot(arn) == snapshot
    assert roll_back(world, arn, before, "A", "B")["RolledBack"] == ["B"]


def forge_nothing(_world: World, _arn: str, _before: str) -> None:
    """Approve nothing."""


def approve_another_key(world: World, arn: str, before: str) -> None:
    approve(world, arn, before, "B")


def approve_long_ago(world: World, arn: str, before: str) -> None:
    approve(world, arn, before, "A", since=time.time() - approvals.VALID_SECONDS - 1)


def approve_before_an_edit(world: World, arn: str, before: str) -> None:
    approve(world, arn, before, "A")
    world.edit(arn, OTHER="later")


def approve_on_another_version(world: World, arn: str, before: str) -> None:
    label = approvals.approval(before, holder(world, arn), ["A"], time.time())
    world.update_secret_version_stage(
        SecretId=arn, VersionStage=label, MoveToVersionId=holder(world, arn, CURRENT)
    )


@pytest.mark.parametrize(
    "attack",
    [
        *(forge_nothing, approve_another_key, approve_long_ago, approve_before_an_edit),
        approve_on_another_version,
    ],
)
def test_nothing_is_rolled_back_without_an_approval_of_just_that(
    world: World, attack: Callable[[World, str, str], None]
) -> None:
    arn, before = regenerated(world)
    attack(world, arn, before)
    snapshot, calls = world.snapshot(arn), len(world.calls)
    assert "has approved a rollback of 'A'" in rejection(lambda: send(world, arn, before, "A"))
    assert world.snapshot(arn) == snapshot
    assert world.calls[calls:] == ["describe_secret"], "a value was read"


def test_no_value_comes_from_another_secret(world: World) -> None:
    arn, _ = regenerated(world)
    _, foreign = regenerated(world)
    snapshot = world.snapshot(arn)
    assert "has approved" in rejection(lambda: send(world, arn, foreign, "A"))
    assert world.snapshot(arn) == snapshot


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("A", "NEW"), "has no 'NEW'"),
        (("GONE",), "the current version has no 'GONE'"),
        (("EMPTY",), "'EMPTY' was not filled in yet"),
    ],
)
def test_a_key_without_two_values_is_refused(world: World, keys: tuple[str, ...], words: str) -> None:
    arn = world.make({"A": "the first A", "GONE": "the first GONE", "EMPTY": ""})
    before = holder(world, arn)
    world.put(arn, json.dumps({"A": "the second A", "NEW": "the second NEW", "EMPTY": "filled in"}))
    approve(world, arn, before, *keys)
    snapshot = world.snapshot(arn)
    message = rejection(lambda: send(world, arn, before, *keys))
    assert words in message
    assert "Nothing was changed" in message
    assert world.snapshot(arn) == snapshot


def test_a_rotation_in_progress_or_a_deletion_refuses_it(world: World) -> None:
    arn, before = regenerated(world)
    approve(world, arn, before, "A")
    token = world.begin_rotation(arn)
    assert PENDING in rejection(lambda: send(world, arn, before, "A"))
    assert token
    world.copy(arn, token)
    world.finish_as_foreign(arn, token)
    world.secret(arn).deleted = 1.0
    assert "scheduled for deletion" in rejection(lambda: send(world, arn, before, "A"))


def test_a_version_that_was_never_current_is_refused(world: World) -> None:
    arn, _ = regenerated(world)
    raised = {"A": random_key(generation=3)}
    assert ended(world, Point(2, after=True), lambda: ask(arn, raised))
    [left] = [version for version, labels in world.stages(arn).items() if "writing:" in str(labels)]
    assert "may never have been" in rejection(lambda: roll_back(world, arn, left, "A"))
    record = next(
        version
        for version, labels in world.stages(arn).items()
        if generation_labels.read(version, labels) is not None
    )
    assert "has no 'A'" in rejection(lambda: roll_back(world, arn, record, "A"))


def test_a_rollback_of_an_unconfirmed_generation_stays(world: World) -> None:
    arn = world.make()
    ask(arn, GENERATED)
    before = holder(world, arn)
    moved = Point(4, after=True)  # killed between the move of AWSCURRENT and the confirmation
    assert ended(world, moved, lambda: ask(arn, RAISED))
    assert world.unconfirmed(arn)
    roll_back(world, arn, before, "A", "B")
    value = world.read(arn)
    assert value == json.loads(world.values[before] or "")
    for number in range(2):
        world.edit(arn, OTHER=f"edit {number}")
    assert ask(arn, RAISED)["Regenerated"] == []
    assert world.read(arn) == {**value, "OTHER": "edit 1"}


@pytest.mark.parametrize("content", ["one text", b"\x00\x01"])
def test_a_whole_value_has_no_keys_to_roll_back(world: World, content: str | bytes) -> None:
    arn = world.make("{}")
    world.put(arn, content)
    before = holder(world, arn)
    world.put(arn, content)
    assert "so keys cannot be written" in rejection(lambda: roll_back(world, arn, before, "A"))


def test_a_placeholder_that_is_not_filled_in_stays_one(world: World) -> None:
    arn = world.make()
    ask(arn, {**GENERATED, "VENDOR": {"filledByHand": "ask them"}})
    before = holder(world, arn)
    ask(arn, {**RAISED, "VENDOR": {"filledByHand": "ask them"}})
    roll_back(world, arn, before, "A")
    assert holder(world, arn, UNFILLED) == holder(world, arn)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("edits", range(2))
def test_a_kill_at_any_call_is_completed_by_the_same_command(world: World, edits: int, after: bool) -> None:
    for at in itertools.count():
        arn, before = regenerated(world)
        old, new = json.loads(world.values[before] or ""), world.read(arn)
        approve(world, arn, before, "A")
        killed = ended(world, Point(at, after), lambda: send(world, arn, before, "A"))  # noqa: B023
        assert world.read(arn) in ({**new, "A": old["A"]}, new)
        if edits:
            world.edit(arn, EDIT="manual")
        roll_back(world, arn, before, "A")
        edit = {"EDIT": "manual"} if edits else {}
        assert world.read(arn) == {**new, **edit, "A": old["A"]}
        assert ask(arn, RAISED)["Regenerated"] == []
        assert world.read(arn) == {**new, **edit, "A": old["A"]}
        assert world.unconfirmed(arn) == []
        assert not any(map(approvals.is_approval, world.labels(arn)))
        assert world.most_labels[arn] <= 20
        if not killed:
            assert at >= 7
            return


@pytest.mark.parametrize("after", [False, True], ids=["request", "answer"])
def test_the_same_invocation_recovers_from_a_lost_request_or_answer(world: World, after: bool) -> None:
    for at in itertools.count():
        arn, before = regenerated(world)
        old, new = json.loads(world.values[before] or ""), world.read(arn)
        approve(world, arn, before, "A")
        world.points.point = point = Point(at, after, EndpointConnectionError(endpoint_url="https://x"))
        answer = send(world, arn, before, "A")
        world.points.point = None
        assert (answer["RolledBack"], world.read(arn)) == (["A"], {**new, "A": old["A"]})
        assert world.unconfirmed(arn) == []
        if not point.reached():
            assert at >= 7
            return


@pytest.mark.parametrize("operation", ["describe_secret", "get_secret_value", "put_secret_value"])
def test_an_edit_in_between_is_kept(world: World, operation: str) -> None:
    arn, before = regenerated(world)
    value, current = world.read(arn), holder(world, arn)
    approve(world, arn, before, "A")
    edited: list[str] = []

    def edit(name: str) -> None:
        if name == operation and not edited:
            edited.append(name)
            world.edit(arn, A="edited in between")

    world.hook = edit
    message = rejection(lambda: send(world, arn, before, "A", current=current))
    world.hook = lambda _: None
    assert "another version has become current in the meantime" in message
    assert world.read(arn) == {**value, "A": "edited in between"}
    assert ask(arn, RAISED)["Regenerated"] == []
    assert (world.read(arn)["A"], world.unconfirmed(arn)) == ("edited in between", [])


def test_a_rotation_that_starts_meanwhile_is_reported(world: World) -> None:
    arn, before = regenerated(world)
    approve(world, arn, before, "A")
    begun: list[str | None] = []

    def begin(name: str) -> None:
        if name == "put_secret_value" and not begun:
            begun.append(world.begin_rotation(arn))

    world.hook = begin
    [warning] = send(world, arn, before, "A")["Warnings"]
    world.hook = lambda _: None
    assert "a rotation started meanwhile" in warning


def test_rollbacks_and_writers_at_once_lose_no_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "_LONGEST_PAUSE", 0.05)
    arn, before = regenerated(world)
    old = json.loads(world.values[before] or "")

    def again() -> None:
        while True:
            try:
                roll_back(world, arn, before, "A")
            except Exception:  # noqa: BLE001  refused: a writer was faster
                time.sleep(0.005)
                continue
            return

    writers = [partial(ask, arn, {**RAISED, f"KEY{number}": random_key()}) for number in range(8)]
    assert at_once(*writers, again, again, within=0.2) == []
    roll_back(world, arn, before, "A")
    value = world.read(arn)
    assert {f"KEY{number}" for number in range(8)} <= value.keys()
    assert (value["A"], value["B"] == old["B"]) == (old["A"], False)
    ask(arn, RAISED)
    assert (world.read(arn), world.unconfirmed(arn)) == (value, [])
    assert world.most_labels[arn] <= 20


def test_no_answer_error_or_log_has_a_value(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    arn, before = regenerated(world)
    world.edit(arn, A="a value by hand", GONE="another by hand")
    printed = [
        *(str(roll_back(world, arn, before, key)) for key in ("A", "B")),
        *(rejection(lambda: roll_back(world, arn, before, "GONE")), caplog.text),
    ]
    values = {value for document in world.documents(arn) for value in document.values()}
    assert len(values) == 6
    assert not [value for value in values if value in "".join(printed)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"KeyNames": []}, "at least one"),
        ({"KeyNames": ["A", "A"]}, "different keys"),
        ({"KeyNames": "A"}, "must be a list"),
        ({"SourceVersion": 1}, "SourceVersion must be a string"),
        ({"SecretId": "app"}, "full ARN"),
        ({"Keys": {}}, "unknown fields: 'Keys'"),
    ],
)
def test_a_malformed_rollback_is_refused(world: World, change: dict[str, object], words: str) -> None:
    arn, before = regenerated(world)
    event = {"SourceVersion": before, "CurrentVersion": before, "KeyNames": ["A"], **change}
    message = rejection(lambda: handle({"Action": "rollback", "SecretId": arn, **event}))
    assert words in message
    assert "\n" not in message
