"""A fleet destroys the groups that it is given, and no others."""

from types import SimpleNamespace
from typing import Any

import pytest

from operations.fleet.partition import Group
from operations.fleet.stacks import Fleet
from operations.stack import Stack


def test_a_fleet_without_groups_to_destroy_destroys_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    destroyed: list[str] = []
    monkeypatch.setattr(Stack, "destroy", lambda stack: destroyed.append(stack.name))
    group = Group(name="a", stack="shop.a", secrets=frozenset(), parts={}, references=frozenset())
    file: Any = SimpleNamespace(name="shop", partition=SimpleNamespace(groups=(group,)))
    cli = SimpleNamespace(environment={"GOGC": "100"})
    workspace: Any = SimpleNamespace(
        stacks=lambda: ["shop", "shop.a"], stack=lambda name: SimpleNamespace(name=name, cli=cli)
    )
    Fleet(name="shop", file=file, workspace=workspace, limit=1).destroy([])
    assert destroyed == []
