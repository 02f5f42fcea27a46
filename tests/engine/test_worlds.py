"""Every secret has a current version and keeps its live value, whatever AWS does with our labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_killed import SECRETS, kill_an_update, pending_creates
from tests.support.deep import deep_except
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.stacks import Stack, new_stack
from tools.localcloud.emulator.label_rules import WORLDS, LabelRules

MODES = ("once", "managed", "account")
IDS = ["documented", "stripped", "uncurrent", "uncurrent and stripped"]


def stack_in(world: LabelRules, folder: Path) -> Iterator[Stack]:
    with running_emulator(None, labels=world) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        yield new_stack(folder / "project", environment, emulator.endpoint)


@pytest.fixture(params=deep_except(WORLDS, [WORLDS[3]]), ids=IDS)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    yield from stack_in(request.param, tmp_path)


def declared(generation: int = 1, **more: object) -> dict[str, Any]:
    values = {
        "PASSWORD": {"random": {"length": 24}, "generation": generation},
        "TOKEN": {"filledByHand": "ask"},
        **more,
    }
    return {mode: {"initialValues": mode, "values": values} for mode in MODES}


def current(stack: Stack, secret: str) -> list[str]:
    versions = stack.client().describe_secret(SecretId=secret).get("VersionIdsToStages", {})
    return [version for version, labels in versions.items() if "AWSCURRENT" in labels]


def test_secrets_are_readable_at_once_and_keep_every_edit(stack: Stack) -> None:
    stack.configure(declared(), encryption="aws-managed")
    stack.up()
    for mode in MODES:
        assert len(current(stack, mode)) == 1
        assert len(stack.value(mode)["PASSWORD"]) == 24
    assert stack.up() == []
    live: dict[str, dict[str, str]] = {}
    for number in range(3):
        live = {mode: stack.edit(mode, TOKEN=f"by-hand-{number}") for mode in MODES}
    stack.collect_versions()
    stack.refresh()
    stack.up()
    assert {mode: stack.value(mode) for mode in MODES} == live
    stack.refresh()
    assert stack.up() == []
    # a generation raised after edits is regenerated once, and only where there is a writer
    stack.configure(declared(2, ADDED={"value": "later"}), encryption="aws-managed")
    stack.up()
    made = {mode: stack.value(mode) for mode in MODES}
    assert made["once"] == live["once"]
    for mode in ("managed", "account"):
        assert made[mode]["PASSWORD"] != live[mode]["PASSWORD"]
        assert (made[mode]["TOKEN"], made[mode]["ADDED"]) == ("by-hand-2", "later")
    edited = {mode: stack.edit(mode, PASSWORD="by hand, not to be lost") for mode in MODES}
    stack.edit("managed", TOKEN="again")
    edited["managed"]["TOKEN"] = "again"
    stack.configure(declared(2, ADDED={"value": "later"}, MORE={"value": "more"}), encryption="aws-managed")
    stack.up()
    for mode in ("managed", "account"):
        assert stack.value(mode) == {**edited[mode], "MORE": "more"}


def test_the_next_update_completes_one_killed_before_the_initial_value(stack: Stack) -> None:
    stack.configure(SECRETS, encryption="aws-managed")
    kill_an_update(stack, "PutSecretValue", after=False)
    assert current(stack, "app") == []
    stack.pulumi("cancel", "--yes")
    assert pending_creates(stack)
    stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    stack.up()
    assert len(current(stack, "app")) == 1
    assert stack.value("app").keys() == {"PASSWORD", "TOKEN"}
    assert stack.up() == []


def test_a_value_written_after_a_killed_update_stays(stack: Stack) -> None:
    stack.configure(SECRETS, encryption="aws-managed")
    kill_an_update(stack, "PutSecretValue", after=True)
    live = stack.edit("app", TOKEN="by-hand")
    stack.pulumi("cancel", "--yes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    stack.up()
    assert stack.value("app") == live
    assert stack.up() == []
