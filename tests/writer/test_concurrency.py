"""Fifty writers, people and rotations change one secret at once; its history shows any lost change."""

import itertools
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from components.lambdas.writer import generation_labels, write
from tests.support.threads import at_once
from tests.support.writer_world import World, random_key
from tests.support.writer_world import write as ask

WRITERS = 20


class _Short:
    """A random generator for pauses that are fifty times shorter."""

    @staticmethod
    def uniform(least: float, most: float) -> float:
        return random.uniform(least, most) / 50  # noqa: S311  not a secret


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "_RANDOM", _Short)


def keys_of(number: int) -> dict[str, object]:
    """Return one writer's keys: one of its own, and one that every writer regenerates."""
    return {f"KEY{number}": random_key(), "SHARED": random_key(generation=2), "PASSWORD": random_key()}


def rotate(world: World, arn: str, number: int, *, foreign: bool) -> None:
    while (token := world.begin_rotation(arn)) is None:
        time.sleep(0.005)
    while True:
        try:
            world.copy(arn, token, PASSWORD=f"password {number}")
        except Exception:  # noqa: BLE001, S112  no room for labels: retry, as AWS does
            continue
        break
    time.sleep(0.01)
    if foreign:
        world.finish_as_foreign(arn, token)
    else:
        world.finish_as_ours(arn, token, "PASSWORD")


def written_by_function(world: World) -> dict[str, str]:
    """Record the function's versions, each with the version that it was derived from, as they are put."""
    bases: dict[str, str] = {}
    real = world.do_put_secret_value

    def put(secret: Any, asked: Any) -> Any:
        answer = real(secret, asked)
        unconfirmed = generation_labels.writing(answer["VersionId"], asked.get("VersionStages") or [])
        if unconfirmed:
            bases[answer["VersionId"]] = unconfirmed[1].base or ""
        return answer

    world.__dict__["do_put_secret_value"] = put
    return bases


def assert_writes_keep_their_predecessor(world: World, arn: str, bases: dict[str, str]) -> int:
    history, documents = world.history[arn], world.documents(arn)
    writes = 0
    values: dict[str, set[str]] = {}
    for at in range(1, len(history)):
        if history[at] not in bases:
            continue
        writes += 1
        assert bases[history[at]] == history[at - 1]
        before, after = documents[at - 1], documents[at]
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        own = {key for key in changed if key.startswith("KEY")}
        assert changed <= own | {"SHARED"}
        assert len(own) <= 1
        assert changed
        for key in changed:
            values.setdefault(key, set()).add(after[key])
    assert all(len(new) == 1 for new in values.values()), "a key had two new values"
    return writes


def prepared(world: World) -> tuple[str, dict[str, str]]:
    arn = world.make({"SHARED": "the initial one", "PASSWORD": "first password"})
    ask(arn, {"SHARED": random_key()})
    return arn, written_by_function(world)


def test_fifty_careful_clients_at_once_lose_nothing(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    arn, bases = prepared(world)
    errors = at_once(
        *[partial(ask, arn, keys_of(number)) for number in range(WRITERS)],
        *[partial(world.edit_by_comparison, arn, **{f"EDIT{n}": f"manual {n}"}) for n in range(22)],
        *[partial(rotate, world, arn, number, foreign=False) for number in range(8)],
        within=0.2,
    )
    assert errors == []
    value = world.read(arn)
    assert {f"KEY{number}" for number in range(WRITERS)} <= value.keys()
    assert {f"EDIT{number}" for number in range(22)} <= value.keys()
    assert value["PASSWORD"].startswith("password ")
    assert assert_writes_keep_their_predecessor(world, arn, bases) == WRITERS
    values = [document["SHARED"] for document in world.documents(arn)]
    assert [now for before, now in itertools.pairwise(values) if now != before] == [values[-1]]
    record_property("attempts", len(bases))
    for number in range(2):
        ask(arn, keys_of(number))
    assert (world.unconfirmed(arn), world.read(arn)) == ([], value)
    assert world.most_labels[arn] <= 20


def test_careless_clients_lose_no_key_of_the_writers(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    """Plain edits and foreign rotations revert what others wrote since they read; requests are repeated."""
    arn, bases = prepared(world)
    errors = at_once(
        *[partial(ask, arn, keys_of(number)) for number in range(WRITERS)],
        *[partial(world.edit_by_comparison, arn, **{f"EDIT{n}": f"manual {n}"}) for n in range(10)],
        *[partial(world.edit, arn, **{f"PLAIN{number}": f"plain {number}"}) for number in range(10)],
        *[partial(rotate, world, arn, number, foreign=number % 2 == 0) for number in range(10)],
        within=0.2,
    )
    assert errors == []
    record_property("writes", assert_writes_keep_their_predecessor(world, arn, bases))
    for number in range(WRITERS):
        ask(arn, keys_of(number))
    value = world.read(arn)
    assert {f"KEY{number}" for number in range(WRITERS)} <= value.keys()
    assert len({document["SHARED"] for document in world.documents(arn)}) == 2
    assert world.unconfirmed(arn) == []
    assert world.most_labels[arn] <= 20


def test_concurrent_first_writers_write_one_initial_value(world: World) -> None:
    for _ in range(10):
        arn = world.make()
        assert at_once(*[partial(ask, arn, keys_of(number)) for number in range(5)], within=0.2) == []
        assert {f"KEY{number}" for number in range(5)} <= world.read(arn).keys()
        assert len({document["SHARED"] for document in world.documents(arn)}) == 1
        ask(arn, keys_of(0))
        assert world.unconfirmed(arn) == []
        assert world.most_labels[arn] <= 20
