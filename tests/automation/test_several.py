"""Several stacks at once."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import automation
from automation.locks import locked
from tests.automation.projects import EMPTY, WAITING, Project, new_name, structure, tenant


def test_stacks_made_and_updated_at_once_are_each_what_they_should_be(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    workspace = automation.inline(tmp_path, environment=environment)
    names = [new_name() for _ in range(3)]

    def make(name: str) -> automation.Result:
        return tenant(workspace, name, name).up().result()

    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(make, names))
    for name, result in zip(names, results, strict=True):
        assert result.stack == name
        assert list(result.outputs["secrets"]) == [name]
    assert set(names) <= set(workspace.stacks())
    # nothing was selected: Pulumi's file of selections breaks when two processes write it at once
    assert not list(Path(environment["PULUMI_HOME"], "workspaces").glob("*"))


def test_a_stack_that_several_open_at_once_is_made_once(project: Project) -> None:
    workspace = project.workspace()
    with ThreadPoolExecutor(4) as threads:
        stacks = list(threads.map(lambda _: workspace.open("test"), range(4)))
    assert {stack.name for stack in stacks} == {"test"}
    # what encrypts it was written once, so all of them can read it
    stacks[0].configure(structure(), secrets={"one": "value-number-one"}, aws={"region": "us-east-1"})
    stacks[3].check()


def test_a_stack_is_made_while_nobody_else_makes_or_writes_one(project: Project) -> None:
    workspace = project.workspace()
    with ThreadPoolExecutor(1) as thread:
        with locked(project.folder / "Pulumi.yaml"):
            creation = thread.submit(workspace.create, "test")
            with pytest.raises(TimeoutError):
                creation.result(timeout=1.5)
            assert workspace.stacks() == []
        assert creation.result().name == "test"


def test_configurations_written_at_once_lose_none_of_their_secrets(project: Project) -> None:
    stack = project.stack()
    with ThreadPoolExecutor(4) as threads:
        wrote = threads.map(
            lambda number: stack.configure(
                structure(), secrets={f"key{number}": f"value-{number}"}, aws={"region": "us-east-1"}
            ),
            range(4),
        )
        assert len(list(wrote)) == 4
    text = (project.folder / "Pulumi.test.yaml").read_text()
    assert [f"aws-secrets:key{number}:" in text for number in range(4)] == [True] * 4


def test_no_more_operations_run_than_the_limit_allows(project: Project) -> None:
    project.program(WAITING)
    workspace = automation.checkout(project.folder, environment=project.environment, limit=1)
    first, second = workspace.open("one").up(), workspace.open("two").up()
    project.waits()
    seen = threading.Event()
    iterator = iter(second)
    assert not second._log.begun()
    project.goes_on()
    project.program(EMPTY)
    next(iterator)
    seen.set()
    assert not first.running()
    assert second.result().counts == {"create": 1}
