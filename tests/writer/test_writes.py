"""What a request does to a secret, and what it leaves alone."""

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from functions.writer import handler, record, settle, store
from functions.writer.handler import handle
from tests.writer.world import CURRENT, PENDING, VALUES, World, event, random_key, refusal
from tests.writer.world import write as ask

FIVE = ("A", "B", "C", "D", "E")
EVERY_KIND: dict[str, dict[str, object]] = {
    "PASSWORD": {"random": {"length": 30, "minSpecial": 2, "overrideSpecial": "/@:"}},
    "TOKEN": {"randomBytes": {"length": 32, "encoding": "base64url"}},
    "RAILS_ENV": {"value": "production"},
    "VENDOR": {"filledByHand": "ask them"},
    "URL": {"joined": ["postgres://app:", {"key": "PASSWORD", "quoted": True}, "@host:5432/db"]},
    "with: blank [$]": {"json": {"port": 5432, "ratio": 1.50, "list": [1, None, {"é": True}]}},
}


def test_a_secret_without_a_value_gets_its_first_one(world: World) -> None:
    arn = world.make()
    answer = ask(arn, EVERY_KIND)
    value = world.read(arn)
    assert list(value) == list(EVERY_KIND)
    assert (value["RAILS_ENV"], value["VENDOR"], len(value["TOKEN"])) == ("production", "", 43)
    assert value["with: blank [$]"] == {"port": 5432, "ratio": 1.5, "list": [1, None, {"é": True}]}
    assert value["URL"] == f"postgres://app:{quote(value['PASSWORD'], safe='')}@host:5432/db"
    assert (answer["Added"], answer["Regenerated"], answer["Removed"]) == (list(EVERY_KIND), [], [])
    assert answer["VersionId"] == world.holder(arn, CURRENT)
    assert set(world.stages(arn)[answer["VersionId"]]) >= {CURRENT, record.INITIAL, record.UNFILLED}
    assert world.unconfirmed(arn) == []


def test_the_same_request_writes_once(world: World) -> None:
    for first in (None, {"X": "1"}):
        arn = world.make(first)
        ask(arn, EVERY_KIND | {"X": random_key(generation=3)})
        before = world.snapshot(arn)
        for _ in range(2):
            answer = ask(arn, EVERY_KIND | {"X": random_key(generation=3)})
            assert (answer["Added"], answer["Regenerated"], answer["Removed"]) == ([], [], [])
            assert world.snapshot(arn) == before
        assert world.calls.count("put_secret_value") == (2 if first is None else 5)


def test_a_key_that_was_deleted_by_hand_comes_back(world: World) -> None:
    arn = world.make({"KEPT": "kept by hand"})
    ask(arn, {"NEW": random_key()})
    world.put_secret_value(SecretId=arn, SecretString='{"KEPT": "kept by hand"}')
    assert ask(arn, {"NEW": random_key()})["Added"] == ["NEW"]
    assert list(world.read(arn)) == ["KEPT", "NEW"]


def test_a_key_added_after_an_edit_and_three_rotations_leaves_them_be(world: World) -> None:
    arn = world.make({"PASSWORD": "first password"})
    ask(arn, {"PASSWORD": random_key()})
    world.edit(arn, BY_HAND="edited by hand")
    for number in range(3):
        world.rotate(arn, PASSWORD=f"rotated password {number}")
    ask(arn, {"PASSWORD": random_key(), "ADDED": random_key()})
    value = world.read(arn)
    assert (value["PASSWORD"], value["BY_HAND"]) == ("rotated password 2", "edited by hand")
    assert len(value["ADDED"]) == 24


@pytest.mark.parametrize("renewed", FIVE)
def test_one_of_five_is_regenerated_and_the_others_stay(world: World, renewed: str) -> None:
    arn = world.make()
    ask(arn, {key: random_key() for key in FIVE})
    before = world.read(arn)
    keys = {key: random_key(generation=2 if key == renewed else 1) for key in FIVE}
    assert ask(arn, keys)["Regenerated"] == [renewed]
    after = world.read(arn)
    assert list(after) == list(before)
    assert [key for key in FIVE if after[key] != before[key]] == [renewed]
    for _ in range(3):
        world.rotate(arn)
        world.edit(arn, OTHER="other value")
    assert ask(arn, keys)["Regenerated"] == []
    assert world.read(arn)[renewed] == after[renewed]


def test_values_that_were_there_before_the_function_are_adopted_whatever_their_generation(
    world: World,
) -> None:
    arn = world.make({"OLD": "live value", "OTHER": "other live value"})
    before = world.values.copy()
    keys = {"OLD": random_key(generation=4), "OTHER": random_key()}
    assert ask(arn, keys)["Regenerated"] == []
    assert world.values == before
    assert ask(arn, keys | {"NEW": random_key(generation=2)})["Added"] == ["NEW"]
    assert world.read(arn)["OLD"] == "live value"
    keys = {"OLD": random_key(generation=5), "OTHER": random_key(generation=2), "NEW": random_key()}
    assert ask(arn, keys)["Regenerated"] == ["OLD", "OTHER"]


def test_adoption_that_is_stopped_at_its_record_is_made_good_by_the_next_request(world: World) -> None:
    keys = {f"KEY{number}": random_key(generation=2) for number in range(60)}
    arn = world.make({key: f"live value {key}" for key in keys})
    real = world.do_put_secret_value
    done: list[str] = []

    def once_only(secret: Any, asked: Any) -> Any:
        if not done:
            done.append("")
            raise KeyboardInterrupt
        return real(secret, asked)

    world.__dict__["do_put_secret_value"] = once_only
    with pytest.raises(KeyboardInterrupt):
        handle(event(arn, keys))
    assert ask(arn, keys)["Regenerated"] == []
    assert world.read(arn) == {key: f"live value {key}" for key in keys}
    assert len(world.labels(arn)) < 10


def test_a_lower_generation_is_told_and_nothing_done(world: World) -> None:
    arn = world.make()
    ask(arn, {"A": random_key(generation=3)})
    before = world.snapshot(arn)
    (warning,) = ask(arn, {"A": random_key(generation=2)})["Warnings"]
    assert world.snapshot(arn) == before
    assert "'A'" in warning
    assert "declare 3, or 4" in warning
    assert ask(arn, {"A": random_key(generation=4)})["Regenerated"] == ["A"]


def test_what_is_not_declared_any_more_stays_with_its_generation(world: World) -> None:
    arn = world.make()
    ask(arn, {"A": random_key(generation=3), "B": random_key()})
    ask(arn, {"B": random_key(generation=2)})
    assert ask(arn, {"A": random_key(generation=3)})["Regenerated"] == []
    assert set(world.read(arn)) == {"A", "B"}


def test_a_key_is_removed_when_it_is_asked_for_and_once(world: World) -> None:
    arn = world.make({"OLD": "old value", "KEPT": "kept value"})
    assert ask(arn, {}, "OLD", "NEVER")["Removed"] == ["OLD"]
    assert world.read(arn) == {"KEPT": "kept value"}
    assert ask(arn, {}, "OLD", "NEVER")["Removed"] == []
    assert len(world.history[arn]) == 2


def test_a_joined_key_that_holds_an_old_part_is_told(world: World) -> None:
    arn = world.make()
    ask(arn, EVERY_KIND)
    keys = EVERY_KIND | {"PASSWORD": random_key(generation=2)}
    (warning,) = ask(arn, keys)["Warnings"]
    assert "'URL' is joined of 'PASSWORD'" in warning
    ask(arn, keys | {"URL": {**EVERY_KIND["URL"], "generation": 2}})
    value = world.read(arn)
    joined = {"joined": [{"key": "PASSWORD", "quoted": False}, "/", {"key": "RAILS_ENV"}]}
    ask(arn, keys | {"BOTH": joined})
    assert world.read(arn)["BOTH"] == f"{value['PASSWORD']}/production"


def test_the_label_for_what_waits_for_a_person_follows_the_current_version(world: World) -> None:
    arn = world.make({"VENDOR": ""})
    keys: dict[str, object] = {"VENDOR": {"filledByHand": "ask them"}}
    ask(arn, keys)
    assert world.holder(arn, record.UNFILLED) == world.holder(arn, CURRENT)
    ask(arn, keys | {"A": random_key()})
    assert world.holder(arn, record.UNFILLED) == world.holder(arn, CURRENT)
    world.edit(arn, VENDOR="vendor's token")
    ask(arn, keys | {"A": random_key(), "B": random_key()})
    assert world.holder(arn, record.UNFILLED) != world.holder(arn, CURRENT)


REFUSED: dict[str, tuple[str, dict[str, object], tuple[str, ...], str]] = {
    "not JSON": ("hidden value", {}, (), "not a JSON object"),
    "no object": ('["hidden value"]', {}, (), "not a JSON object"),
    "too large": ('{"A": "hidden value"}', {"B": {"value": "x" * 65_530}}, (), "65536"),
    # sixty characters doubled sixty times: no memory would hold them
    "each joined twice of the one before": (
        '{"K0": "hidden value"}',
        {f"K{number}": {"joined": [{"key": f"K{number - 1}"}] * 2} for number in range(1, 60)},
        (),
        "65536",
    ),
    "more random characters than a secret has room for": (
        '{"A": "hidden value"}',
        {f"K{number}": {"random": {"length": 65_536}} for number in range(10_000)},
        (),
        "65536",
    ),
    "joined of nothing": ('{"A": "hidden value"}', {"B": {"joined": [{"key": "C"}]}}, (), "'C'"),
    "a circle": (
        '{"A": "hidden value"}',
        {"B": {"joined": [{"key": "C"}]}, "C": {"joined": [{"key": "B"}]}},
        (),
        "joined of each other",
    ),
    "no source": ('{"A": "hidden value"}', {"B": {"generation": 2}}, (), "malformed"),
    "two sources": (
        '{"A": "hidden value"}',
        {"B": {"value": "hidden value", "joined": []}},
        (),
        "malf",
    ),
    "no generation": ('{"A": "hidden value"}', {"B": {"value": "hidden value", "generation": 0}}, (), "malf"),
    "filled anew": ('{"A": "hidden value"}', {"B": {"filledByHand": "", "generation": 2}}, (), "malformed"),
    "no text": ('{"A": "hidden value"}', {"B": {"value": 12345678}}, (), "malformed"),
    "both": ('{"A": "hidden value"}', {"A": {"value": "hidden value"}}, ("A",), "malformed"),
    "unknown option": (
        '{"A": "hidden value"}',
        {"A": {"random": {"length": 3, "x": "hidden value"}}},
        (),
        "'x'",
    ),
    "too many": (
        json.dumps({f"K{number}": "hidden value" for number in range(61)}),
        {f"K{number}": {"random": {"length": 9}, "generation": 2} for number in range(61)},
        (),
        "can record 60",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_changes_nothing_and_says_so_without_a_value(world: World, case: str) -> None:
    text, keys, removed, reason = REFUSED[case]
    arn = world.make(text)
    before = world.snapshot(arn)
    message = refusal(lambda: handle(event(arn, keys, *removed)))
    assert reason in message
    assert "Nothing was changed" in message
    assert arn in message
    assert "hidden" not in message
    assert "xxxx" not in message
    assert world.snapshot(arn) == before


def test_a_binary_value_a_deleted_secret_and_a_strange_event_are_refused(world: World) -> None:
    arn = world.make()
    world.put_secret_value(SecretId=arn, SecretBinary=b"hidden")
    before = world.snapshot(arn)
    assert "is binary" in refusal(lambda: ask(arn, EVERY_KIND))
    world.secret(arn).deleted = 2e9
    assert "scheduled for deletion. Nothing was changed." in refusal(lambda: ask(arn, EVERY_KIND))
    for strange in ({}, {"Action": "read", "SecretId": arn}, {"Action": "write", "SecretId": "name"}):
        assert "malformed" in refusal(lambda event=strange: handle(event))  # type: ignore[misc]
    assert "Does the secret exist" in refusal(lambda: ask(f"{arn[:-6]}AAAAAA", EVERY_KIND))
    assert world.snapshot(arn) == before


@pytest.mark.usefixtures("impatient")
def test_a_pending_rotation_is_waited_for_and_then_named(world: World) -> None:
    arn = world.make({"A": "some value"})
    token = world.begin_rotation(arn)
    before = world.snapshot(arn)
    message = refusal(lambda: ask(arn, {"B": random_key()}))
    assert token
    assert token in message
    assert "Nothing was changed" in message
    assert "docs/rotation.md" in message
    assert world.snapshot(arn) == before


def test_a_rotation_that_ends_in_time_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = world.make({"A": "some value"})
    token = world.begin_rotation(arn) or ""
    world.copy(arn, token, A="rotated value")

    def end(_seconds: float) -> None:
        if world.holder(arn, PENDING):
            world.finish_as_foreign(arn, token)

    monkeypatch.setattr(time, "sleep", end)
    ask(arn, {"B": random_key()})
    assert world.read(arn)["A"] == "rotated value"
    assert "B" in world.read(arn)


@pytest.mark.parametrize("kind", ["added", "regenerated", "removed"])
def test_what_a_foreign_rotation_undid_is_written_again_with_the_same_values(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It begins after the look at the secret, copies the document, and ends after the move."""
    arn = world.make({"P": "first password", "KEY": "first key", "GONE": "x"})
    ask(arn, {"KEY": random_key()})
    tokens: list[str] = []
    made = []

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value" and not tokens:
            tokens.append(world.begin_rotation(arn) or "")
            world.copy(arn, tokens[0], P="rotated password")
        if operation == "update_secret_version_stage" and len(tokens) == 1:
            made.append(world.read(arn))

    def end(_seconds: float) -> None:
        if world.holder(arn, PENDING):
            world.finish_as_foreign(arn, tokens[0])

    world.hook = meanwhile
    monkeypatch.setattr(time, "sleep", end)
    keys = {"KEY": random_key(generation=2 if kind == "regenerated" else 1)}
    keys |= {"NEW": random_key()} if kind == "added" else {}
    ask(arn, keys, *(["GONE"] if kind == "removed" else []))
    value = world.read(arn)
    assert value["P"] == "rotated password"
    documents = world.documents(arn)
    assert len(documents) == 4
    assert {**documents[1], "P": "rotated password"} == value != documents[2]
    assert world.unconfirmed(arn) == []


@pytest.mark.usefixtures("impatient")
def test_a_rotation_that_does_not_end_after_the_write_is_a_warning(world: World) -> None:
    arn = world.make({"P": "first password"})

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value":
            world.hook = lambda _: None
            world.begin_rotation(arn)

    world.hook = meanwhile
    answer = ask(arn, {"NEW": random_key()})
    assert answer["Added"] == ["NEW"]
    assert "is being rotated" in answer["Warnings"][0]


def test_a_conflict_is_tried_again_with_the_same_value(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = world.make({"A": "some value"})
    left = [3]

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value" and left[0]:
            left[0] -= 1
            hook, world.hook = world.hook, lambda _: None
            world.edit(arn, **{f"EDIT{left[0]}": "by hand"})
            world.hook = hook

    world.hook = meanwhile
    made: list[str] = []
    real = store.put

    def put(arn: str, version: str, text: str, labels: list[str]) -> object:
        if text != "{}":
            made.append(text)
        return real(arn, version, text, labels)

    monkeypatch.setattr(store, "put", put)
    assert ask(arn, {"B": random_key()})["Added"] == ["B"]
    assert len(made) == 3  # each of the first two attempts meets an edit after both of its puts, or one
    assert len({json.loads(text)["B"] for text in made}) == 1
    assert {"EDIT0", "EDIT1", "EDIT2"} <= world.read(arn).keys()
    assert world.unconfirmed(arn) == []


@pytest.mark.usefixtures("impatient")
def test_endless_conflicts_end_with_a_refusal(world: World) -> None:
    arn = world.make({"A": "some value"})

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value":
            hook, world.hook = world.hook, lambda _: None
            world.edit(arn, A="edited value")
            world.hook = hook

    world.hook = meanwhile
    message = refusal(lambda: ask(arn, {"B": random_key()}))
    assert "changed by somebody else" in message
    assert "B" not in world.read(arn)
    world.hook = lambda _: None
    ask(arn, {"B": random_key()})
    assert (world.unconfirmed(arn), world.most_labels[arn] <= 20) == ([], True)


@pytest.mark.usefixtures("impatient")
def test_a_secret_without_room_for_labels_is_refused_and_writers_that_were_stopped_make_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = world.make({"A": "some value"})

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "move_current", stop)
        for number in range(6):
            with pytest.raises(KeyboardInterrupt):
                handle(event(arn, {f"B{number}": random_key()}))
    assert "20 labels" in refusal(lambda: ask(arn, {"C": random_key()}))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + settle.DEAD_AFTER)
    ask(arn, {"C": random_key()})
    assert list(world.read(arn)) == ["A", "C"]
    assert len(world.labels(arn)) == 4


def test_lambdas_remaining_time_is_kept_to() -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 30_000

    assert (handler._seconds(Context()), handler._seconds(None)) == (15.0, 40.0)


def test_neither_answer_nor_error_holds_a_value(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = world.make()
    answer = json.dumps(ask(arn, EVERY_KIND))
    world.read(arn)
    for call in ("describe", "find", "put", "move_current", "attach", "remove"):

        def fail(*_: object) -> None:
            raise ValueError(*VALUES)

        with monkeypatch.context() as patch:
            patch.setattr(store, call, fail)
            keys = EVERY_KIND | {call: random_key(), "PASSWORD": random_key(generation=2)}
            if call != "attach":
                answer += refusal(lambda keys=keys: ask(arn, keys))  # type: ignore[misc]
    assert "ValueError at test_writes.py" in answer
    assert not any(value in answer for value in VALUES if len(value) > 12)
