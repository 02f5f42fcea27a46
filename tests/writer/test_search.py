"""Every short course of events at one secret: no request replaces a value that is as new as itself.

The writer is the real one, Secrets Manager the emulator's rules. An event is a request (whole, killed before
one of its calls, or met by somebody else after one) or what a person, a rotation or time does. Courses that
lead to the same state, except for ids and values, are followed once.
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

from functions.writer import settle, store, write
from functions.writer.errors import OperatorError
from functions.writer.handler import handle
from localcloud.emulator import secrets_rules as rules
from localcloud.emulator.label_rules import WORLDS, LabelRules
from tests.writer.world import CURRENT, Point, World, ended, event, random_key

PREVIOUS = "AWSPREVIOUS"
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<=:)[0-9a-f]{12}(?=:)")


@dataclass
class State:
    """A secret, and what the writer cannot know.

    Attributes:
        floors: for each value of A the generation it was made for, or the highest made when it was edited.
        made: the highest generation that has been current.
        asked: the highest generation that has been requested.
        now: seconds since 1970.
        course: the events so far.
    """

    world: World
    arn: str
    floors: dict[object, int] = field(default_factory=dict)
    made: int = 0
    asked: int = 1
    now: float = 1_700_000_000.0
    edits: int = 0
    course: tuple[str, ...] = ()

    def clone(self) -> "State":
        world = World(store=copy.deepcopy(self.world.store))
        return State(
            world, self.arn, dict(self.floors), self.made, self.asked, self.now, self.edits, self.course
        )

    def live(self) -> Any:
        """The current value of A; None without one."""
        holder = self.world.secret(self.arn).holder(CURRENT)
        return json.loads(holder.content.text or "{}").get("A") if holder else None

    def new_value(self) -> str:
        self.edits += 1
        value = f"edited {self.edits}"
        self.floors[value] = self.made
        return value

    def key(self) -> str:
        """The state, except for ids and values."""
        secret = self.world.secret(self.arn)
        ids = {id_: f"v{number}" for number, id_ in enumerate(secret.versions)}
        ids |= {id_.replace("-", "")[:12]: name for id_, name in ids.items()}
        values: dict[object, str] = {}

        def named(label: str) -> str:
            label = _ID.sub(lambda match: ids.get(match[0], "gone"), label)
            start, _, since = label.rpartition(":")
            if label.startswith("aws-secrets-writing:"):
                return f"{start}:{int(since) + settle.DEAD_AFTER <= self.now}"
            return label

        def value(text: str | None) -> str:
            found = json.loads(text or "{}").get("A")
            return values.setdefault(found, f"{len(values)}/{self.floors.get(found)}")

        shown = [
            (value(version.content.text), sorted(map(named, version.labels)))
            for version in secret.versions.values()
        ]
        return repr((shown, self.made, self.asked))


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
    state.now += settle.DEAD_AFTER


Act = Callable[[State], None]
ACTS: tuple[Act, ...] = (edit_a, edit_other, rotate_a, roll_back, collect, later)
MEETINGS: tuple[Act, ...] = (edit_a, rotate_a, roll_back)
_HERE: dict[str, State] = {}


def request(
    state: State, generation: int, kill: int | None = None, meeting: tuple[int, Act] | None = None
) -> int:
    """Send one request, and watch each of its calls; returns how many it made."""
    _HERE["now"] = state
    state.asked = max(state.asked, generation)
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
            state.made = max(state.made, state.floors[now])
        if meeting is not None and number == meeting[0]:
            del state.world.__dict__["_carry_out"]
            meeting[1](state)
            state.world.__dict__["_carry_out"] = watched
        last = state.live()
        return answer

    def run() -> None:
        with suppress(OperatorError):
            handle(event(state.arn, {"A": random_key(generation=generation)}))

    state.world.__dict__["_carry_out"] = watched
    ended(state.world, Point(10_000 if kill is None else kill, after=False), run)
    del state.world.__dict__["_carry_out"]
    assert not violations, " > ".join((*state.course, *violations))
    return passed


def after(state: State, name: str, happen: Callable[[State], object]) -> State:
    """The state that an event leaves."""
    clone = state.clone()
    clone.course += (name,)
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
        for act in MEETINGS:
            told = f"2 met by {act.__name__} after {at}"
            yield after(state, told, partial(request, generation=2, meeting=(at, act)))


def search(start: State, layers: Sequence[Callable[[State], Iterator[State]]]) -> int:
    """Follow every course of these kinds of events, each with requests at its end; returns the states."""
    seen = {start.key()}
    layer = [start]
    for events in layers:
        coming = []
        for state in layer:
            for found in events(state):
                if (key := found.key()) not in seen:
                    seen.add(key)
                    coming.append(found)
        for state in coming:
            last = state.clone()
            request(last, 2)
            request(last, 3)
        layer = coming
    return len(seen)


COURSES = {"two of any kind": (everything, everything), "a kill and what follows": (kills, acts, acts, acts)}


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("first", ["by Pulumi", "by the writer"])
@pytest.mark.parametrize("labels", WORLDS, ids=["", "stripped", "uncurrent", "uncurrent-stripped"])
def test_no_short_course_of_events_replaces_a_value_as_new_as_the_request(
    monkeypatch: pytest.MonkeyPatch, labels: LabelRules, first: str, course: str
) -> None:
    class Clock:
        monotonic = staticmethod(time.monotonic)

        @staticmethod
        def time() -> float:
            return _HERE["now"].now

        @staticmethod
        def sleep(_seconds: float) -> None: ...

    monkeypatch.setattr(rules, "label_rules", labels)
    monkeypatch.setattr(store, "_client", lambda: _HERE["now"].world)
    monkeypatch.setattr(write, "time", Clock)
    world = World()
    if first == "by Pulumi":
        start = State(world, world.make({"A": "the first A"}), {"the first A": 1}, made=1)
        request(start, 1)
    else:
        start = State(world, world.make())
    assert search(start, COURSES[course]) > 15
