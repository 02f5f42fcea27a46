"""Every short sequence of events at one secret: no request replaces a value that is as new as the request.

The writer is the real one, Secrets Manager the emulator's rules. An event is a request (complete, killed
before one of its calls, or interleaved with somebody else's change after one), or something that a person, a
rotation or time does. Sequences that lead to the same state, except for ids and values, are followed once.
"""

import copy
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from components.lambdas.writer import store, unconfirmed_versions, write
from components.lambdas.writer.errors import OperatorError
from components.lambdas.writer.handler import handle
from components.lambdas.writer.labels import CURRENT
from tests.support.writer_world import (
    Point,
    World,
    ended,
    event,
    random_key,
)
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.label_rules import WORLDS, LabelRules

PREVIOUS = "AWSPREVIOUS"
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<=:)[0-9a-f]{12}(?=:)")


@dataclass
class State:
    """A secret, and what the writer cannot know about it.

    Attributes:
        floors: for each value of A, the generation it was generated for, or the highest one when it was
        edited. reached: the highest generation that has been current.
        requested: the highest generation that has been requested.
        now: the time, in seconds since 1970.
        edits: number of edits so far.
        events: the events so far.
    """

    world: World
    arn: str
    floors: dict[object, int] = field(default_factory=dict)
    reached: int = 0
    requested: int = 1
    now: float = 1_700_000_000.0
    edits: int = 0
    events: tuple[str, ...] = ()

    def clone(self) -> "State":
        world = World(store=copy.deepcopy(self.world.store))
        return State(
            world,
            self.arn,
            dict(self.floors),
            self.reached,
            self.requested,
            self.now,
            self.edits,
            self.events,
        )

    def live(self) -> Any:
        """Return the current value of A; None if there is none."""
        holder = self.world.secret(self.arn).holder(CURRENT)
        return json.loads(holder.content.text or "{}").get("A") if holder else None

    def new_value(self) -> str:
        self.edits += 1
        value = f"edited {self.edits}"
        self.floors[value] = self.reached
        return value

    def key(self) -> str:
        """Return the state, except for ids and values."""
        secret = self.world.secret(self.arn)
        ids = {id_: f"v{number}" for number, id_ in enumerate(secret.versions)}
        ids |= {id_.replace("-", "")[:12]: name for id_, name in ids.items()}
        values: dict[object, str] = {}

        def named(label: str) -> str:
            label = _ID.sub(lambda match: ids.get(match[0], "deleted"), label)
            start, _, since = label.rpartition(":")
            if label.startswith("aws-secrets-writing:"):
                return f"{start}:{int(since) + unconfirmed_versions.DEAD_AFTER <= self.now}"
            return label

        def value(text: str | None) -> str:
            a = json.loads(text or "{}").get("A")
            return values.setdefault(a, f"{len(values)}/{self.floors.get(a)}")

        versions = [
            (value(version.content.text), sorted(map(named, version.labels)))
            for version in secret.versions.values()
        ]
        return repr((versions, self.reached, self.requested))


def edit_a(state: State) -> None:
    if state.live() is not None:
        state.world.edit(state.arn, A=state.new_value())


def edit_other(state: State) -> None:
    if state.live() is not None:
        state.world.edit(state.arn)


def rotate_a(state: State) -> None:
    if state.live() is not None:
        state.world.rotate(state.arn, A=state.new_value())


def roll_back(state: State) -> None:
    current, previous = (state.world.holder(state.arn, label) for label in (CURRENT, PREVIOUS))
    if current and previous:
        state.world.update_secret_version_stage(
            SecretId=state.arn, VersionStage=CURRENT, MoveToVersionId=previous, RemoveFromVersionId=current
        )


def collect(state: State) -> None:
    rules.collect(state.world.secret(state.arn))


def later(state: State) -> None:
    state.now += unconfirmed_versions.DEAD_AFTER


Act = Callable[[State], None]
ACTS: tuple[Act, ...] = (edit_a, edit_other, rotate_a, roll_back, collect, later)
INTERLEAVED: tuple[Act, ...] = (edit_a, rotate_a, roll_back)
_CURRENT_STATE: dict[str, State] = {}


def request(
    state: State, generation: int, kill: int | None = None, interleaved: tuple[int, Act] | None = None
) -> int:
    """Send one request and check each of its calls; return the number of calls.

    Args:
        state: the state, which changes.
        generation: the requested generation.
        kill: number of the call before which the writer is killed.
        interleaved: what somebody else does after the call with a number.
    """
    _CURRENT_STATE["now"] = state
    state.requested = max(state.requested, generation)
    violations: list[str] = []
    passed, last = 0, state.live()
    real = state.world._carry_out

    def watched(operation: str, asked: dict[str, Any]) -> Any:
        nonlocal passed, last
        value = json.loads(asked.get("SecretString", "{}")).get("A")
        if value is not None:
            state.floors.setdefault(value, generation)
        answer = real(operation, asked)
        number, passed = passed, passed + 1
        now = state.live()
        if now != last:
            if last is not None and state.floors[last] >= generation:
                violations.append(f"a value of {state.floors[last]} replaced by a request of {generation}")
            state.reached = max(state.reached, state.floors[now])
        if interleaved is not None and number == interleaved[0]:
            del state.world.__dict__["_carry_out"]
            interleaved[1](state)
            state.world.__dict__["_carry_out"] = watched
        last = state.live()
        return answer

    def run() -> None:
        with suppress(OperatorError):
            handle(event(state.arn, {"A": random_key(generation=generation)}))

    state.world.__dict__["_carry_out"] = watched
    ended(state.world, Point(10_000 if kill is None else kill, after=False), run)
    del state.world.__dict__["_carry_out"]
    assert not violations, " > ".join((*state.events, *violations))
    return passed


def after(state: State, name: str, happen: Callable[[State], object]) -> State:
    """Return the state after an event."""
    clone = state.clone()
    clone.events += (name,)
    happen(clone)
    return clone


def acts(state: State) -> Iterator[State]:
    for act in ACTS:
        yield after(state, act.__name__, act)


def kills(state: State) -> Iterator[State]:
    for at in range(request(state.clone(), 2) + 1):
        yield after(state, f"2 killed before {at}", partial(request, generation=2, kill=at))


def everything(state: State) -> Iterator[State]:
    yield from acts(state)
    yield from kills(state)
    for at in range(request(state.clone(), 2)):
        for act in INTERLEAVED:
            name = f"2 with {act.__name__} after {at}"
            yield after(state, name, partial(request, generation=2, interleaved=(at, act)))


def search(start: State, layers: Sequence[Callable[[State], Iterator[State]]]) -> int:
    """Follow every sequence of these kinds of events, then send requests; return the number of states."""
    seen = {start.key()}
    layer = [start]
    for events in layers:
        following = []
        for state in layer:
            for new in events(state):
                if (key := new.key()) not in seen:
                    seen.add(key)
                    following.append(new)
        for state in following:
            last = state.clone()
            request(last, 2)
            request(last, 3)
        layer = following
    return len(seen)


SEQUENCES = {"any two events": (everything, everything), "a kill and three acts": (kills, acts, acts, acts)}


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("first", ["by Pulumi", "by the writer"])
@pytest.mark.parametrize("labels", WORLDS, ids=["", "stripped", "uncurrent", "uncurrent-stripped"])
def test_no_event_sequence_replaces_a_value_as_new_as_the_request(
    monkeypatch: pytest.MonkeyPatch, labels: LabelRules, first: str, sequence: str
) -> None:
    class Clock:
        monotonic = staticmethod(time.monotonic)

        @staticmethod
        def time() -> float:
            return _CURRENT_STATE["now"].now

        @staticmethod
        def sleep(_seconds: float) -> None: ...

    monkeypatch.setattr(rules, "label_rules", labels)
    monkeypatch.setattr(store, "_client", lambda: _CURRENT_STATE["now"].world)
    monkeypatch.setattr(write, "time", Clock)
    world = World()
    if first == "by Pulumi":
        start = State(world, world.make({"A": "the first A"}), {"the first A": 1}, reached=1)
        request(start, 1)
    else:
        start = State(world, world.make())
    assert search(start, SEQUENCES[sequence]) > 15
