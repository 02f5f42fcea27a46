"""The function is stopped before or after every call; others write; then the request is repeated."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from components.lambdas.build import WRITER_FILES, WRITER_HANDLER
from components.lambdas.writer.handler import handle
from components.lambdas.writer.labels import CURRENT, PREVIOUS
from tests.support.emulator_process import running_emulator
from tests.support.writer_world import Point, World, ended, event, random_key
from tests.support.writer_world import write as ask

NEVER = "<none>"


@dataclass(frozen=True)
class Case:
    """A secret and a request.

    Attributes:
        before: the secret's value; None without one.
        first: keys of a request that comes before.
        keys: keys of the request.
        removed: keys that it removes.
        regenerated: keys that it is expected to regenerate.
        added: keys that it is expected to add.
    """

    before: Mapping[str, object] | None
    first: Mapping[str, object]
    keys: Mapping[str, object]
    removed: tuple[str, ...] = ()
    regenerated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


CASES = {
    "initial value": Case(
        None, {}, {"A": random_key(generation=2), "B": {"filledByHand": ""}}, added=("A", "B")
    ),
    "everything": Case(
        {"A": "the first A", "KEPT": "the first KEPT", "OLD": "the first OLD"},
        {"A": random_key()},
        {"A": random_key(generation=2), "NEW": random_key(), "EMPTY": {"filledByHand": ""}},
        ("OLD",),
        ("A",),
        ("NEW", "EMPTY"),
    ),
    "only regenerated": Case(
        {"A": "the first A"}, {"A": random_key()}, {"A": random_key(generation=7)}, (), ("A",)
    ),
    "only added": Case({"A": "the first A"}, {}, {"A": random_key(), "N": random_key()}, added=("N",)),
    "adopted": Case({"A": "the first A"}, {}, {"A": random_key(generation=2)}),
    "adopted and added": Case(
        {"A": "the first A"}, {}, {"A": random_key(generation=2), "N": random_key()}, added=("N",)
    ),
    "adopted with a long record": Case(
        {f"K{number}": f"the first K{number}" for number in range(45)},
        {},
        {f"K{number}": random_key(generation=2) for number in range(45)},
    ),
}


def create(world: World, case: Case) -> str:
    arn = world.make(case.before)
    if case.first:
        ask(arn, case.first)
    return arn


def meanwhile(world: World, arn: str, edits: int, *, rotates: bool) -> dict[str, str]:
    """Write as others do, unless the secret has no value; return what must be in it afterwards."""
    expected = {}
    for number in range(edits):
        if not world.history.get(arn):
            break
        expected[f"EDIT{number}"] = f"manual {number}"
        world.edit(arn, **{f"EDIT{number}": f"manual {number}"})
    if rotates and world.history.get(arn):
        expected["ROTATED"] = "rotated value"
        world.rotate(arn, ROTATED="rotated value")
    return expected


def values_of(documents: list[dict[str, Any]], key: str) -> list[object]:
    """Return a key's successive values over the history."""
    return [value for value, _ in itertools.groupby(document.get(key, NEVER) for document in documents)]


def assert_done_once(world: World, arn: str, case: Case, edits: Mapping[str, str]) -> None:
    documents = world.documents(arn)
    last = documents[-1]
    assert {key: last.get(key) for key in edits} == edits
    for key in case.regenerated:
        first, second = values_of(documents, key)
        assert first == (case.before or {})[key] != second
    for key in case.added:
        changes = values_of(documents, key)
        assert changes[-1] != NEVER
        assert len(changes) == (1 if case.before is None else 2)
    for key in case.removed:
        assert values_of(documents, key) == [(case.before or {})[key], NEVER]
    for key in (case.before or {}).keys() - {*case.regenerated, *case.removed}:
        assert values_of(documents, key) == [(case.before or {})[key]]
    assert world.unconfirmed(arn) == []
    assert world.most_labels[arn] <= 20
    assert len([label for label in world.labels(arn) if label.startswith("aws-secrets-")]) <= 7


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("rotates", [False, True], ids=["", "rotation"])
@pytest.mark.parametrize("edits", range(4))
@pytest.mark.parametrize("name", CASES)
def test_a_kill_at_any_call_loses_nothing_and_repeats_nothing(  # noqa: PLR0913, PLR0917  the variations
    world: World,
    name: str,
    edits: int,
    rotates: bool,
    after: bool,
    record_property: Callable[[str, object], None],
) -> None:
    case = CASES[name]
    for at in itertools.count():
        arn = create(world, case)
        killed = ended(world, Point(at, after), lambda arn=arn: ask(arn, case.keys, *case.removed))  # type: ignore[misc]
        expected = meanwhile(world, arn, edits, rotates=rotates)
        for _ in range(2):
            ask(arn, case.keys, *case.removed)
        assert_done_once(world, arn, case, expected)
        if not killed:
            record_property("points", at)
            assert at >= 3
            return


@pytest.mark.parametrize("name", CASES)
def test_repeated_kills_leave_few_labels(world: World, name: str) -> None:
    case = CASES[name]
    arn = create(world, case)
    for number in range(40):
        ended(world, Point(number % 11, number % 2 == 0), lambda: ask(arn, case.keys, *case.removed))
    for _ in range(2):
        ask(arn, case.keys, *case.removed)
    assert_done_once(world, arn, case, {})


@pytest.mark.parametrize("after", [False, True], ids=["request", "answer"])
@pytest.mark.parametrize("name", CASES)
def test_the_same_invocation_recovers_from_a_lost_request_or_answer(
    world: World, name: str, after: bool
) -> None:
    case = CASES[name]
    for at in itertools.count():
        arn = create(world, case)
        world.points.point = point = Point(at, after, EndpointConnectionError(endpoint_url="https://x"))
        answer = ask(arn, case.keys, *case.removed)
        world.points.point = None
        assert (answer["Added"], answer["Regenerated"]) == (list(case.added), list(case.regenerated))
        assert answer["Removed"] == list(case.removed)
        ask(arn, case.keys, *case.removed)
        assert_done_once(world, arn, case, {})
        if not point.reached():
            assert at >= 3
            return


@pytest.mark.parametrize("moved", [False, True])
def test_an_edit_of_the_key_after_a_kill_stays(world: World, moved: bool) -> None:
    arn = create(world, case := CASES["only regenerated"])
    points = {"record": Point(3, after=True), "moved": Point(4, after=True)}
    assert ended(world, points["moved" if moved else "record"], lambda: ask(arn, case.keys))
    assert world.calls[-1] == ("update_secret_version_stage" if moved else "put_secret_value")
    for number in range(3):
        world.edit(arn, A=f"manual {number}")
    for _ in range(2):
        assert ask(arn, case.keys)["Regenerated"] == []
    assert world.read(arn)["A"] == "manual 2"
    assert world.unconfirmed(arn) == []


def test_the_generation_of_a_version_without_record_is_regenerated(world: World) -> None:
    arn = create(world, case := CASES["only regenerated"])
    assert ended(world, Point(2, after=True), lambda: ask(arn, case.keys))
    for number in range(3):
        world.edit(arn, OTHER=f"manual {number}")
    assert ask(arn, case.keys)["Regenerated"] == ["A"]
    assert ask(arn, case.keys)["Regenerated"] == []
    assert world.read(arn)["OTHER"] == "manual 2"
    assert world.unconfirmed(arn) == []


def test_an_edit_after_a_rollback_of_an_unconfirmed_version_stays(world: World) -> None:
    arn = create(world, case := CASES["only regenerated"])
    assert ended(world, Point(5, after=False), lambda: ask(arn, case.keys))
    current, previous = world.holder(arn, CURRENT), world.holder(arn, PREVIOUS)
    world.update_secret_version_stage(
        SecretId=arn, VersionStage=CURRENT, MoveToVersionId=previous, RemoveFromVersionId=current
    )
    world.edit(arn, A="edited manually")
    answer = ask(arn, case.keys)
    assert answer["Regenerated"] == []
    assert "Its keys keep their live values" in answer["Warnings"][0]
    assert ask(arn, case.keys)["Warnings"] == []
    assert world.read(arn)["A"] == "edited manually"
    assert ask(arn, {"A": random_key(generation=8)})["Regenerated"] == ["A"]


def test_an_edit_during_completion_of_an_initial_value_keeps_its_record(world: World) -> None:
    arn = world.make()
    assert ended(world, Point(2, after=False), lambda: ask(arn, {"A": random_key(generation=3)}))
    edited: list[str] = []

    def edit(operation: str) -> None:
        if operation == "update_secret_version_stage" and not edited:
            edited.append(operation)
            world.edit(arn, A="edited manually")

    world.hook = edit
    ask(arn, {"A": random_key(generation=2)})
    world.hook = lambda _: None
    assert edited
    assert ask(arn, {"A": random_key(generation=3)})["Regenerated"] == []
    assert world.read(arn)["A"] == "edited manually"


def test_a_key_that_was_reverted_manually_regenerates_no_other_again(world: World) -> None:
    keys = {"A": random_key(), "B": random_key()}
    arn = world.make({"A": "the first A", "B": "the first B"})
    ask(arn, keys)
    keys = {"A": random_key(generation=2), "B": random_key(generation=2)}
    assert ended(world, Point(4, after=True), lambda: ask(arn, keys))
    regenerated = world.read(arn)["A"]
    for _ in range(3):
        world.edit(arn, B="the first B")
    assert ask(arn, keys)["Regenerated"] == []
    assert world.read(arn) == {"A": regenerated, "B": "the first B"}


PROCESS = """
import json, os, signal, sys
from botocore.client import BaseClient
from writer.handler import handle
assert handle.__code__.co_filename.startswith(sys.argv[1]), "not from the archive"
passed, at, original = [0], int(sys.argv[2]), BaseClient._make_api_call
def call(self, name, arguments):
    if passed[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)
    passed[0] += 1
    return original(self, name, arguments)
BaseClient._make_api_call = call
print(json.dumps(handle(json.load(sys.stdin))))
"""


@pytest.fixture(scope="module")
def secrets() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, running_emulator(None) as emulator:
        for name, value in emulator.environment.items():
            patch.setenv(name, value)
        yield boto3.client("secretsmanager")


def test_the_archives_files_complete_what_a_killed_process_left(secrets: Any, tmp_path: Path) -> None:
    for name, path in WRITER_FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / name)
    assert WRITER_HANDLER == "writer.handler.handle"
    arn = secrets.create_secret(Name="killed", SecretString='{"A": "the first A"}')["ARN"]

    def run(generation: int, at: int) -> Any:
        keys = {"A": random_key(generation=generation), f"B{generation}": random_key()}
        completed = subprocess.run(
            [sys.executable, "-c", PROCESS, str(tmp_path), str(at)],
            check=False,
            input=json.dumps(event(arn, keys)),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert completed.returncode in {0, -9}, completed.stderr
        return json.loads(completed.stdout) if completed.returncode == 0 else None

    assert run(1, 99)["Added"] == ["B1"]
    for at in itertools.count():
        before = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
        killed = run(at + 2, at) is None
        secrets.put_secret_value(
            SecretId=arn,
            SecretString=json.dumps(
                {**json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"]), f"EDIT{at}": "x"}
            ),
        )
        run(at + 2, 99)
        after = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
        assert after["A"] != before["A"]
        assert after == {**before, "A": after["A"], f"B{at + 2}": after[f"B{at + 2}"], f"EDIT{at}": "x"}
        if not killed:
            break
    assert at >= 6
    run(at + 2, 99)
    assert json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"]) == after
    stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"].values()
    assert not [label for labels in stages for label in labels if label.startswith("aws-secrets-writing")]


def test_an_unexpected_error_is_reported_without_its_cause(world: World) -> None:
    arn = world.make({"A": "the first A"})
    world.points.point = Point(0, after=False, error=RuntimeError("the first A"))
    with pytest.raises(Exception, match=r"RuntimeError at \w+\.py") as raised:
        handle(event(arn, {}))
    assert "the first A" not in str(raised.value)
    assert raised.value.__context__ is None
