"""The garbage collector of a fleet's engines."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations.fleet.partition import Group
from operations.fleet.stacks import Fleet
from operations.pulumi_cli import Cli
from operations.secrecy import Redactor
from operations.stack import Stack


def group(name: str, secrets: int) -> Group:
    return Group(
        name=name,
        stack=f"shop.{name}",
        secrets=frozenset(map(str, range(secrets))),
        parts={},
        references=frozenset(),
    )


def a_fleet(environment: Mapping[str, str]) -> Fleet:
    def stack(name: str) -> Stack:
        cli = Cli(folder=Path(), project="p", environment=environment, redactor=Redactor(environment))
        return Stack(name=name, inline=False, cli=cli, pool=no_pool)

    no_pool: Any = None
    groups = (group("small", 200), group("large", 201))
    workspace: Any = SimpleNamespace(stack=stack, stacks=lambda: [made.stack for made in groups])
    file: Any = SimpleNamespace(name="shop", partition=SimpleNamespace(groups=groups))
    return Fleet(name="shop", file=file, workspace=workspace, limit=2)


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Mapping[str, str]]:
    """The environment of each stack that was operated."""
    seen: dict[str, Mapping[str, str]] = {}

    def operate(stack: Stack) -> None:
        seen[stack.name] = stack.cli.environment

    for operation in ("up", "preview", "refresh", "destroy"):
        monkeypatch.setattr(Stack, operation, operate)
    return seen


@pytest.mark.parametrize("operation", ["up", "destroy"])
def test_engines_that_write_small_states_collect_garbage_less_often(
    operation: str, environments: dict[str, Mapping[str, str]]
) -> None:
    getattr(a_fleet({"PATH": "/bin"}), operation)()
    assert environments == {
        "shop.small": {"PATH": "/bin", "GOGC": "400", "GOMEMLIMIT": "1GiB"},
        "shop.large": {"PATH": "/bin"},
    }


@pytest.mark.parametrize("operation", ["preview", "refresh"])
def test_other_operations_need_no_more_memory(
    operation: str, environments: dict[str, Mapping[str, str]]
) -> None:
    getattr(a_fleet({"PATH": "/bin"}), operation)()
    assert set(environments) == {"shop.small", "shop.large"}
    assert all(environment == {"PATH": "/bin"} for environment in environments.values())


@pytest.mark.parametrize("own", [{"GOGC": "50"}, {"GOMEMLIMIT": "1GiB"}])
def test_settings_of_the_environment_stay(
    own: Mapping[str, str], environments: dict[str, Mapping[str, str]]
) -> None:
    a_fleet(own).up()
    assert environments["shop.small"] == own
