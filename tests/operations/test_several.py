"""Concurrent operations on several stacks."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import operations
from operations.files import locked
from tests.support.projects import EMPTY, WAITING, Project, new_name, structure, tenant


def test_stacks_can_be_created_and_updated_concurrently(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    workspace = operations.inline(tmp_path, environment=environment)
    names = [new_name() for _ in range(3)]

    def create(name: str) -> operations.Result:
        return tenant(workspace, name, name).up().result()

    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(create, names))
    for name, result in zip(names, results, strict=True):
        assert result.stack == name
        assert list(result.outputs["secrets"]) == [name]
    assert set(names) <= set(workspace.stacks())
    # no stack was selected: Pulumi's file for that breaks when two processes write it at once
    assert not list(Path(environment["PULUMI_HOME"], "workspaces").glob("*"))


def test_a_stack_opened_concurrently_is_created_once(project: Project) -> None:
    workspace = project.workspace()
    with ThreadPoolExecutor(4) as threads:
        stacks = list(threads.map(lambda _: workspace.open("test"), range(4)))
    assert {stack.name for stack in stacks} == {"test"}
    # its encryption salt was written once, so all of them can decrypt it
    stacks[0].configure(structure(), secrets={"one": "value-number-one"}, aws={"region": "us-east-1"})
    stacks[3].check()


def test_stacks_opened_at_once_are_each_created_once(project: Project) -> None:
    workspace = project.workspace()
    workspace.create("two")
    before = (project.folder / "Pulumi.two.yaml").read_bytes()
    opened = workspace.open_all(["one", "two", "three"], 3)
    assert [stack.name for stack in opened] == ["one", "two", "three"]
    assert set(workspace.stacks()) == {"one", "two", "three"}
    assert (project.folder / "Pulumi.two.yaml").read_bytes() == before
    assert not list(Path(project.environment["PULUMI_HOME"], "workspaces").glob("*"))
    for stack in opened:  # each can decrypt with its own salt
        stack.configure(structure(), secrets={"one": "value-number-one"}, aws={"region": "us-east-1"})
        stack.check()


def test_a_name_that_pulumi_refuses_stops_no_other_stack(project: Project) -> None:
    with pytest.raises(operations.InvalidStackNameError):
        project.workspace().open_all(["one", "no name", "two"], 3)
    assert set(project.workspace().stacks()) == {"one", "two"}


@pytest.mark.parametrize(
    "create",
    [
        lambda workspace: [workspace.create("test")],
        lambda workspace: [workspace.open("test")],
        lambda workspace: workspace.open_all(["test"], 2),
    ],
    ids=["create", "open", "open_all"],
)
def test_creating_a_stack_waits_for_the_projects_lock(
    create: Callable[[operations.Workspace], list[operations.Stack]], project: Project
) -> None:
    workspace = project.workspace()
    with ThreadPoolExecutor(1) as thread:
        with locked(project.folder / "Pulumi.yaml"):
            creation = thread.submit(create, workspace)
            with pytest.raises(TimeoutError):
                creation.result(timeout=1.5)
            assert workspace.stacks() == []
        assert [stack.name for stack in creation.result()] == ["test"]


def test_concurrent_configurations_keep_all_secrets(project: Project) -> None:
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


def test_the_limit_queues_further_operations(project: Project) -> None:
    project.program(WAITING)
    workspace = operations.checkout(project.folder, environment=project.environment, limit=1)
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
