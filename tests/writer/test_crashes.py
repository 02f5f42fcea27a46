"""The function is stopped before and after every call; others write; then the request comes again."""

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

from functions.build import WRITER_FILES, WRITER_HANDLER
from functions.writer.handler import handle
from tests.localcloud.emulator_process import running_emulator
from tests.writer.world import Point, World, ended, event, random_key
from tests.writer.world import write as ask

NEVER = "<none>"


@dataclass(frozen=True)
class Case:
    """What a secret has before, and what it is asked to have."""

    before: Mapping[str, object] | None
    first: Mapping[str, object]
    keys: Mapping[str, object]
    removed: tuple[str, ...] = ()
    regenerated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


CASES = {
    "first value": Case(
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
    "regenerated alone": Case(
        {"A": "the first A"}, {"A": random_key()}, {"A": random_key(generation=7)}, (), ("A",)
    ),
    "added alone": Case({"A": "the first A"}, {}, {"A": random_key(), "N": random_key()}, added=("N",)),
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


def made(world: World, case: Case) -> str:
    arn = world.make(case.before)
    if case.first:
        ask(arn, case.first)
    return arn


def meanwhile(world: World, arn: str, edits: int, *, rotates: bool) -> dict[str, str]:
    """Others write; returns what must be there afterwards. A secret without a value cannot be edited."""
    marks = {}
    for number in range(edits):
        if not world.history.get(arn):
            break
        marks[f"EDIT{number}"] = f"by hand {number}"
        world.edit(arn, **{f"EDIT{number}": f"by hand {number}"})
    if rotates and world.history.get(arn):
        marks["ROTATED"] = "rotated value"
        world.rotate(arn, ROTATED="rotated value")
    return marks


def course(documents: list[dict[str, Any]], key: str) -> list[object]:
    """A key's values over the history, each once in a row."""
    return [value for value, _ in itertools.groupby(document.get(key, NEVER) for document in documents)]


def assert_done_once(world: World, arn: str, case: Case, marks: Mapping[str, str]) -> None:
    documents = world.documents(arn)
    last = documents[-1]
    assert {key: last.get(key) for key in marks} == marks
    for key in case.regenerated:
        first, second = course(documents, key)
        assert first == (case.before or {})[key] != second
    for key in case.added:
        changes = course(documents, key)
        assert changes[-1] != NEVER
        assert len(changes) == (1 if case.before is None else 2)
    for key in case.removed:
        assert course(documents, key) == [(case.before or {})[key], NEVER]
    for key in (case.before or {}).keys() - {*case.regenerated, *case.removed}:
        assert course(documents, key) == [(case.before or {})[key]]
    assert world.unconfirmed(arn) == []
    assert world.most_labels[arn] <= 20
    assert len([label for label in world.labels(arn) if label.startswith("aws-secrets-")]) <= 7


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("rotates", [False, True], ids=["", "rotation"])
@pytest.mark.parametrize("edits", range(4))
@pytest.mark.parametrize("name", CASES)
def test_killed_at_any_call_nothing_is_lost_and_nothing_done_twice(  # noqa: PLR0913, PLR0917  the ways to try
    world: World,
    name: str,
    edits: int,
    rotates: bool,
    after: bool,
    record_property: Callable[[str, object], None],
) -> None:
    case = CASES[name]
    for at in itertools.count():
        arn = made(world, case)
        killed = ended(world, Point(at, after), lambda arn=arn: ask(arn, case.keys, *case.removed))  # type: ignore[misc]
        marks = meanwhile(world, arn, edits, rotates=rotates)
        for _ in range(2):
            ask(arn, case.keys, *case.removed)
        assert_done_once(world, arn, case, marks)
        if not killed:
            record_property("points", at)
            assert at >= 3
            return


@pytest.mark.parametrize("name", CASES)
def test_killed_again_and_again_the_labels_stay_few(world: World, name: str) -> None:
    case = CASES[name]
    arn = made(world, case)
    for number in range(40):
        ended(world, Point(number % 11, number % 2 == 0), lambda: ask(arn, case.keys, *case.removed))
    for _ in range(2):
        ask(arn, case.keys, *case.removed)
    assert_done_once(world, arn, case, {})


@pytest.mark.parametrize("after", [False, True], ids=["request", "answer"])
@pytest.mark.parametrize("name", CASES)
def test_a_lost_request_or_answer_is_made_good_by_the_same_invocation(
    world: World, name: str, after: bool
) -> None:
    case = CASES[name]
    for at in itertools.count():
        arn = made(world, case)
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
def test_what_somebody_wrote_into_the_key_after_the_end_stays(world: World, moved: bool) -> None:
    arn = made(world, case := CASES["regenerated alone"])
    points = {"record": Point(3, after=True), "moved": Point(4, after=True)}
    assert ended(world, points["moved" if moved else "record"], lambda: ask(arn, case.keys))
    assert world.calls[-1] == ("update_secret_version_stage" if moved else "put_secret_value")
    for number in range(3):
        world.edit(arn, A=f"by hand {number}")
    for _ in range(2):
        assert ask(arn, case.keys)["Regenerated"] == []
    assert world.read(arn)["A"] == "by hand 2"
    assert world.unconfirmed(arn) == []


def test_a_version_put_without_its_record_never_was_current_and_its_generation_is_made(world: World) -> None:
    arn = made(world, case := CASES["regenerated alone"])
    assert ended(world, Point(2, after=True), lambda: ask(arn, case.keys))
    for number in range(3):
        world.edit(arn, OTHER=f"by hand {number}")
    assert ask(arn, case.keys)["Regenerated"] == ["A"]
    assert ask(arn, case.keys)["Regenerated"] == []
    assert world.read(arn)["OTHER"] == "by hand 2"
    assert world.unconfirmed(arn) == []


def test_an_edit_after_a_rollback_of_an_unconfirmed_version_stays(world: World) -> None:
    arn = made(world, case := CASES["regenerated alone"])
    assert ended(world, Point(5, after=False), lambda: ask(arn, case.keys))
    renewed, replaced = world.holder(arn, "AWSCURRENT"), world.holder(arn, "AWSPREVIOUS")
    world.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=replaced, RemoveFromVersionId=renewed
    )
    world.edit(arn, A="edited by hand")
    answer = ask(arn, case.keys)
    assert answer["Regenerated"] == []
    assert "Its keys keep their live values" in answer["Warnings"][0]
    assert ask(arn, case.keys)["Warnings"] == []
    assert world.read(arn)["A"] == "edited by hand"
    assert ask(arn, {"A": random_key(generation=8)})["Regenerated"] == ["A"]


def test_an_edit_while_a_first_value_is_completed_keeps_its_record(world: World) -> None:
    arn = world.make()
    assert ended(world, Point(2, after=False), lambda: ask(arn, {"A": random_key(generation=3)}))
    met: list[str] = []

    def edit(operation: str) -> None:
        if operation == "update_secret_version_stage" and not met:
            met.append(operation)
            world.edit(arn, A="edited by hand")

    world.hook = edit
    ask(arn, {"A": random_key(generation=2)})
    world.hook = lambda _: None
    assert met
    assert ask(arn, {"A": random_key(generation=3)})["Regenerated"] == []
    assert world.read(arn)["A"] == "edited by hand"


def test_one_key_put_back_by_hand_does_not_renew_the_others_again(world: World) -> None:
    keys = {"A": random_key(), "B": random_key()}
    arn = world.make({"A": "the first A", "B": "the first B"})
    ask(arn, keys)
    keys = {"A": random_key(generation=2), "B": random_key(generation=2)}
    assert ended(world, Point(4, after=True), lambda: ask(arn, keys))
    renewed = world.read(arn)["A"]
    for _ in range(3):
        world.edit(arn, B="the first B")
    assert ask(arn, keys)["Regenerated"] == []
    assert world.read(arn) == {"A": renewed, "B": "the first B"}


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


def test_a_killed_process_of_the_archives_files_leaves_nothing_that_the_next_one_cannot_complete(
    secrets: Any, tmp_path: Path
) -> None:
    for name, path in WRITER_FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / name)
    assert WRITER_HANDLER == "writer.handler.handle"
    arn = secrets.create_secret(Name="killed", SecretString='{"A": "the first A"}')["ARN"]

    def run(generation: int, at: int) -> Any:
        keys = {"A": random_key(generation=generation), f"B{generation}": random_key()}
        done = subprocess.run(
            [sys.executable, "-c", PROCESS, str(tmp_path), str(at)],
            check=False,
            input=json.dumps(event(arn, keys)),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert done.returncode in {0, -9}, done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else None

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


def test_a_call_that_nobody_knows_of_is_a_refusal_without_a_cause(world: World) -> None:
    arn = world.make({"A": "the first A"})
    world.points.point = Point(0, after=False, error=RuntimeError("the first A"))
    with pytest.raises(Exception, match=r"RuntimeError at world\.py") as refused:
        handle(event(arn, {}))
    assert "the first A" not in str(refused.value)
    assert refused.value.__context__ is None
