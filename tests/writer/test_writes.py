"""Requests: what they change in a secret, and what they leave unchanged."""

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from components.lambdas.writer import handler, store, unconfirmed_versions
from components.lambdas.writer.handler import handle
from components.lambdas.writer.labels import CURRENT, INITIAL, PENDING, UNFILLED
from tests.support.writer_world import (
    VALUES,
    World,
    event,
    random_key,
    rejection,
)
from tests.support.writer_world import write as ask

FIVE = ("A", "B", "C", "D", "E")
EVERY_KIND: dict[str, dict[str, object]] = {
    "PASSWORD": {"random": {"length": 30, "minSpecial": 2, "overrideSpecial": "/@:"}},
    "TOKEN": {"randomBytes": {"length": 32, "encoding": "base64url"}},
    "RAILS_ENV": {"value": "production"},
    "VENDOR": {"filledByHand": "ask them"},
    "URL": {"joined": ["postgres://app:", {"key": "PASSWORD", "quoted": True}, "@host:5432/db"]},
    "with: blank [$]": {"json": {"port": 5432, "ratio": 1.50, "list": [1, None, {"é": True}]}},
}


def test_a_secret_without_a_value_gets_its_initial_value(world: World) -> None:
    arn = world.make()
    answer = ask(arn, EVERY_KIND)
    value = world.read(arn)
    assert list(value) == list(EVERY_KIND)
    assert (value["RAILS_ENV"], value["VENDOR"], len(value["TOKEN"])) == ("production", "", 43)
    assert value["with: blank [$]"] == {"port": 5432, "ratio": 1.5, "list": [1, None, {"é": True}]}
    assert value["URL"] == f"postgres://app:{quote(value['PASSWORD'], safe='')}@host:5432/db"
    assert (answer["Added"], answer["Regenerated"], answer["Removed"]) == (list(EVERY_KIND), [], [])
    assert answer["VersionId"] == world.holder(arn, CURRENT)
    assert set(world.stages(arn)[answer["VersionId"]]) >= {
        CURRENT,
        INITIAL,
        UNFILLED,
    }
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


def test_a_key_that_was_deleted_manually_is_added_again(world: World) -> None:
    arn = world.make({"KEPT": "kept value"})
    ask(arn, {"NEW": random_key()})
    world.put_secret_value(SecretId=arn, SecretString='{"KEPT": "kept value"}')
    assert ask(arn, {"NEW": random_key()})["Added"] == ["NEW"]
    assert list(world.read(arn)) == ["KEPT", "NEW"]


def test_adding_a_key_preserves_earlier_edits_and_rotations(world: World) -> None:
    arn = world.make({"PASSWORD": "first password"})
    ask(arn, {"PASSWORD": random_key()})
    world.edit(arn, EDITED="edited manually")
    for number in range(3):
        world.rotate(arn, PASSWORD=f"rotated password {number}")
    ask(arn, {"PASSWORD": random_key(), "ADDED": random_key()})
    value = world.read(arn)
    assert (value["PASSWORD"], value["EDITED"]) == ("rotated password 2", "edited manually")
    assert len(value["ADDED"]) == 24


@pytest.mark.parametrize("regenerated", FIVE)
def test_regenerating_one_of_five_keys_keeps_the_others(world: World, regenerated: str) -> None:
    arn = world.make()
    ask(arn, {key: random_key() for key in FIVE})
    before = world.read(arn)
    keys = {key: random_key(generation=2 if key == regenerated else 1) for key in FIVE}
    assert ask(arn, keys)["Regenerated"] == [regenerated]
    after = world.read(arn)
    assert list(after) == list(before)
    assert [key for key in FIVE if after[key] != before[key]] == [regenerated]
    for _ in range(3):
        world.rotate(arn)
        world.edit(arn, OTHER="other value")
    assert ask(arn, keys)["Regenerated"] == []
    assert world.read(arn)[regenerated] == after[regenerated]


def test_existing_values_are_kept_at_any_declared_generation(world: World) -> None:
    arn = world.make({"OLD": "live value", "OTHER": "other live value"})
    before = world.values.copy()
    keys = {"OLD": random_key(generation=4), "OTHER": random_key()}
    assert ask(arn, keys)["Regenerated"] == []
    assert world.values == before
    assert ask(arn, keys | {"NEW": random_key(generation=2)})["Added"] == ["NEW"]
    assert world.read(arn)["OLD"] == "live value"
    keys = {"OLD": random_key(generation=5), "OTHER": random_key(generation=2), "NEW": random_key()}
    assert ask(arn, keys)["Regenerated"] == ["OLD", "OTHER"]


def test_the_next_request_completes_an_interrupted_record(world: World) -> None:
    keys = {f"KEY{number}": random_key(generation=2) for number in range(60)}
    arn = world.make({key: f"live value {key}" for key in keys})
    real = world.do_put_secret_value
    failed: list[str] = []

    def fail_once(secret: Any, request: Any) -> Any:
        if not failed:
            failed.append("")
            raise KeyboardInterrupt
        return real(secret, request)

    world.__dict__["do_put_secret_value"] = fail_once
    with pytest.raises(KeyboardInterrupt):
        handle(event(arn, keys))
    assert ask(arn, keys)["Regenerated"] == []
    assert world.read(arn) == {key: f"live value {key}" for key in keys}
    assert len(world.labels(arn)) < 10


def test_a_lower_generation_is_only_a_warning(world: World) -> None:
    arn = world.make()
    ask(arn, {"A": random_key(generation=3)})
    before = world.snapshot(arn)
    (warning,) = ask(arn, {"A": random_key(generation=2)})["Warnings"]
    assert world.snapshot(arn) == before
    assert "'A'" in warning
    assert "Declare 3, or 4" in warning
    assert ask(arn, {"A": random_key(generation=4)})["Regenerated"] == ["A"]


def test_a_key_that_is_no_longer_declared_keeps_its_generation(world: World) -> None:
    arn = world.make()
    ask(arn, {"A": random_key(generation=3), "B": random_key()})
    ask(arn, {"B": random_key(generation=2)})
    assert ask(arn, {"A": random_key(generation=3)})["Regenerated"] == []
    assert set(world.read(arn)) == {"A", "B"}


def test_a_key_is_removed_once_on_request(world: World) -> None:
    arn = world.make({"OLD": "old value", "KEPT": "kept value"})
    assert ask(arn, {}, "OLD", "NEVER")["Removed"] == ["OLD"]
    assert world.read(arn) == {"KEPT": "kept value"}
    assert ask(arn, {}, "OLD", "NEVER")["Removed"] == []
    assert len(world.history[arn]) == 2


def test_a_joined_key_with_an_outdated_part_is_a_warning(world: World) -> None:
    arn = world.make()
    ask(arn, EVERY_KIND)
    keys = EVERY_KIND | {"PASSWORD": random_key(generation=2)}
    (warning,) = ask(arn, keys)["Warnings"]
    assert "'URL' still contains the old value of 'PASSWORD'" in warning
    ask(arn, keys | {"URL": {**EVERY_KIND["URL"], "generation": 2}})
    value = world.read(arn)
    joined = {"joined": [{"key": "PASSWORD", "quoted": False}, "/", {"key": "RAILS_ENV"}]}
    ask(arn, keys | {"BOTH": joined})
    assert world.read(arn)["BOTH"] == f"{value['PASSWORD']}/production"


def test_the_label_for_placeholders_follows_the_current_version(world: World) -> None:
    arn = world.make({"VENDOR": ""})
    keys: dict[str, object] = {"VENDOR": {"filledByHand": "ask them"}}
    ask(arn, keys)
    assert world.holder(arn, UNFILLED) == world.holder(arn, CURRENT)
    ask(arn, keys | {"A": random_key()})
    assert world.holder(arn, UNFILLED) == world.holder(arn, CURRENT)
    world.edit(arn, VENDOR="vendor's token")
    ask(arn, keys | {"A": random_key(), "B": random_key()})
    assert world.holder(arn, UNFILLED) != world.holder(arn, CURRENT)


REJECTED: dict[str, tuple[str, dict[str, object], tuple[str, ...], str]] = {
    "not JSON": ("hidden value", {}, (), "not a JSON object"),
    "not an object": ('["hidden value"]', {}, (), "not a JSON object"),
    "too large": ('{"A": "hidden value"}', {"B": {"value": "x" * 65_530}}, (), "65536"),
    # the size doubles sixty times: no memory is large enough
    "each refers twice to the one before": (
        '{"K0": "hidden value"}',
        {f"K{number}": {"joined": [{"key": f"K{number - 1}"}] * 2} for number in range(1, 60)},
        (),
        "65536",
    ),
    "more random characters than fit into a secret": (
        '{"A": "hidden value"}',
        {f"K{number}": {"random": {"length": 65_536}} for number in range(10_000)},
        (),
        "65536",
    ),
    "refers to a missing key": ('{"A": "hidden value"}', {"B": {"joined": [{"key": "C"}]}}, (), "'C'"),
    "a cycle": (
        '{"A": "hidden value"}',
        {"B": {"joined": [{"key": "C"}]}, "C": {"joined": [{"key": "B"}]}},
        (),
        "refer to each other",
    ),
    "no source": ('{"A": "hidden value"}', {"B": {"generation": 2}}, (), "malformed"),
    "two sources": (
        '{"A": "hidden value"}',
        {"B": {"value": "hidden value", "joined": []}},
        (),
        "malf",
    ),
    "invalid generation": (
        '{"A": "hidden value"}',
        {"B": {"value": "hidden value", "generation": 0}},
        (),
        "malf",
    ),
    "placeholder with a generation": (
        '{"A": "hidden value"}',
        {"B": {"filledByHand": "", "generation": 2}},
        (),
        "malformed",
    ),
    "not a string": ('{"A": "hidden value"}', {"B": {"value": 12345678}}, (), "malformed"),
    "declared and removed": ('{"A": "hidden value"}', {"A": {"value": "hidden value"}}, ("A",), "malformed"),
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
        "the limit is 60",
    ),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_rejected_request_changes_nothing_and_repeats_no_value(world: World, case: str) -> None:
    text, keys, removed, reason = REJECTED[case]
    arn = world.make(text)
    before = world.snapshot(arn)
    message = rejection(lambda: handle(event(arn, keys, *removed)))
    assert reason in message
    assert "Nothing was changed" in message
    assert arn in message
    assert "hidden" not in message
    assert "xxxx" not in message
    assert world.snapshot(arn) == before


def test_binary_values_deleted_secrets_and_unknown_events_are_rejected(world: World) -> None:
    arn = world.make()
    world.put_secret_value(SecretId=arn, SecretBinary=b"hidden")
    before = world.snapshot(arn)
    assert "is binary" in rejection(lambda: ask(arn, EVERY_KIND))
    world.secret(arn).deleted = 2e9
    assert "scheduled for deletion. Nothing was changed." in rejection(lambda: ask(arn, EVERY_KIND))
    for unknown in ({}, {"Action": "read", "SecretId": arn}, {"Action": "write", "SecretId": "name"}):
        assert "malformed" in rejection(lambda event=unknown: handle(event))  # type: ignore[misc]
    assert "Check that the secret exists" in rejection(lambda: ask(f"{arn[:-6]}AAAAAA", EVERY_KIND))
    assert world.snapshot(arn) == before


@pytest.mark.usefixtures("impatient")
def test_a_request_names_the_rotation_that_it_waited_for(world: World) -> None:
    arn = world.make({"A": "some value"})
    token = world.begin_rotation(arn)
    before = world.snapshot(arn)
    message = rejection(lambda: ask(arn, {"B": random_key()}))
    assert token
    assert token in message
    assert "Nothing was changed" in message
    assert "docs/rotation.md" in message
    assert world.snapshot(arn) == before


def test_a_request_waits_for_a_rotation_to_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_reverted_keys_are_written_again_with_the_same_values(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A rotation begins after the secret was read, copies its value, and ends after AWSCURRENT moved."""
    arn = world.make({"P": "first password", "KEY": "first key", "OLD": "x"})
    ask(arn, {"KEY": random_key()})
    tokens: list[str] = []

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value" and not tokens:
            tokens.append(world.begin_rotation(arn) or "")
            world.copy(arn, tokens[0], P="rotated password")
        if operation == "update_secret_version_stage" and len(tokens) == 1:
            world.read(arn)

    def end(_seconds: float) -> None:
        if world.holder(arn, PENDING):
            world.finish_as_foreign(arn, tokens[0])

    world.hook = meanwhile
    monkeypatch.setattr(time, "sleep", end)
    keys = {"KEY": random_key(generation=2 if kind == "regenerated" else 1)}
    keys |= {"NEW": random_key()} if kind == "added" else {}
    ask(arn, keys, *(["OLD"] if kind == "removed" else []))
    value = world.read(arn)
    assert value["P"] == "rotated password"
    documents = world.documents(arn)
    assert len(documents) == 4
    assert {**documents[1], "P": "rotated password"} == value != documents[2]
    assert world.unconfirmed(arn) == []


@pytest.mark.usefixtures("impatient")
def test_a_rotation_that_starts_during_a_write_is_a_warning(world: World) -> None:
    arn = world.make({"P": "first password"})

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value":
            world.hook = lambda _: None
            world.begin_rotation(arn)

    world.hook = meanwhile
    answer = ask(arn, {"NEW": random_key()})
    assert answer["Added"] == ["NEW"]
    assert "a rotation started" in answer["Warnings"][0]


def test_a_conflict_is_retried_with_the_same_value(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = world.make({"A": "some value"})
    left = [3]

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value" and left[0]:
            left[0] -= 1
            hook, world.hook = world.hook, lambda _: None
            world.edit(arn, **{f"EDIT{left[0]}": "manual"})
            world.hook = hook

    world.hook = meanwhile
    texts: list[str] = []
    real = store.put

    def put(arn: str, version: str, text: str, labels: list[str]) -> object:
        if text != "{}":
            texts.append(text)
        return real(arn, version, text, labels)

    monkeypatch.setattr(store, "put", put)
    assert ask(arn, {"B": random_key()})["Added"] == ["B"]
    assert len(texts) == 3  # in the first two attempts, an edit follows one or both puts
    assert len({json.loads(text)["B"] for text in texts}) == 1
    assert {"EDIT0", "EDIT1", "EDIT2"} <= world.read(arn).keys()
    assert world.unconfirmed(arn) == []


@pytest.mark.usefixtures("impatient")
def test_endless_conflicts_end_with_an_error(world: World) -> None:
    arn = world.make({"A": "some value"})

    def meanwhile(operation: str) -> None:
        if operation == "put_secret_value":
            hook, world.hook = world.hook, lambda _: None
            world.edit(arn, A="edited value")
            world.hook = hook

    world.hook = meanwhile
    message = rejection(lambda: ask(arn, {"B": random_key()}))
    assert "somebody else changed the secret" in message
    assert "B" not in world.read(arn)
    world.hook = lambda _: None
    ask(arn, {"B": random_key()})
    assert (world.unconfirmed(arn), world.most_labels[arn] <= 20) == ([], True)


@pytest.mark.usefixtures("impatient")
def test_labels_of_interrupted_writers_are_removed_in_the_end(
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
    assert "20 labels" in rejection(lambda: ask(arn, {"C": random_key()}))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + unconfirmed_versions.DEAD_AFTER)
    ask(arn, {"C": random_key()})
    assert list(world.read(arn)) == ["A", "C"]
    assert len(world.labels(arn)) == 4


def test_a_request_ends_before_the_functions_timeout() -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 30_000

    assert (handler._seconds(Context()), handler._seconds(None)) == (15.0, 40.0)


def test_neither_answers_nor_errors_contain_a_value(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
                answer += rejection(lambda keys=keys: ask(arn, keys))  # type: ignore[misc]
    assert "ValueError at test_writes.py" in answer
    assert not any(value in answer for value in VALUES if len(value) > 12)
