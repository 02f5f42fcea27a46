"""Renames in a fleet: the fleet's file is edited, and both names are in one group."""

from typing import Any

import pytest
import yaml

from operations.fleet import split
from stack_file import Configuration, SettingsError
from tests.rename.running import rename
from tests.support.operations_commands import command_line, run_command
from tests.support.stacks import Stack

KEY: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
SECRETS = {"web/old": KEY, "jobs/c": KEY}


def fleet_of(groups: dict[str, list[str]], **secrets: object) -> Configuration:
    values = {
        "aws:region": "us-east-1",
        "app:fleet": {"groups": groups},
        "app:secrets": {**SECRETS, **secrets},
        "app:encryption": "aws-managed",
    }
    return Configuration(project="app", stack="prod", values=values, encrypted=frozenset())


def test_both_names_are_in_one_group() -> None:
    renamed = {"jobs/new": {**KEY, "renamedFrom": "web/old"}}
    groups = {"web": ["web/*"], "jobs": ["jobs/*"]}
    with pytest.raises(SettingsError) as raised:
        split(fleet_of(groups, **renamed))
    [mistake] = raised.value.mistakes
    assert mistake.path == 'app:secrets["jobs/new"].renamedFrom'
    assert "belong to several groups: jobs/new in jobs, web/old in web" in mistake.wrong
    partition = split(fleet_of({**groups, "web": ["web/*", "jobs/new"]}, **renamed))
    found = partition.group_of("jobs/new")
    assert found is not None
    assert found.name == "web"


def test_a_rename_edits_the_fleets_file(stack: Stack) -> None:
    def fleet(*arguments: str) -> str:
        return run_command(command_line(stack, "fleet", *arguments, "--stack", "test"), stack, 0)

    def secrets() -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(stack.file.read_text())["config"]["aws-secrets:secrets"]
        return found

    groups = {"web": ["web/*"], "jobs": ["jobs/*"]}
    stack.configure(SECRETS, encryption="aws-managed", fleet={"groups": groups})
    fleet("up", "--yes")
    value = stack.value("web/old")
    names = ("web/old", "web/new")
    command = command_line(stack, "rename", *names, "--stack", "test.web", "--yes")
    assert "Next: python -m operations fleet up --stack test" in run_command(command, stack, 0)
    assert secrets()["web/new"] == {**KEY, "renamedFrom": "web/old"}
    fleet("up", "--yes")
    assert stack.value("web/new") == value
    run_command([*command, "--finish", "--readers-have-moved"], stack, 0)
    assert secrets() == {"web/new": KEY, "jobs/c": KEY}
    fleet("up", "--yes")
    assert stack.value("web/new") == value
    assert "Nothing to rename" in run_command(command, stack, 0)
    assert "this file is for a fleet" in rename(stack, *names, code=3)
