"""A move between groups of a fleet, after the fleet's file gave the secret to another group."""

from typing import Any

from tests.adopt.live import snapshot
from tests.restore.running import run
from tests.support.stacks import Stack

KEY: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
NAMES = ("web/a", "web/b", "jobs/c")


def declare(stack: Stack, groups: dict[str, list[str]]) -> None:
    stack.configure(dict.fromkeys(NAMES, KEY), encryption="aws-managed", fleet={"groups": groups})


def fleet(stack: Stack, command: str, *arguments: str, code: int = 0) -> str:
    return run(stack, command, "--stack", "test", *arguments, name="fleet", code=code)


def test_a_secret_moves_to_another_group_without_a_change(stack: Stack) -> None:
    declare(stack, {"web": ["web/*"], "jobs": ["jobs/*"]})
    fleet(stack, "up", "--yes")
    stack.edit("web/b", KEY="by hand")
    before = snapshot(stack, *NAMES)
    declare(stack, {"web": ["web/*"], "jobs": ["jobs/*", "web/b"]})
    fleet(stack, "preview", code=12)
    named = ("web/b", "--from-stack", "test.web", "--to-stack", "test.jobs", "--yes")
    assert "changes nothing of it" in run(stack, *named, name="move")
    assert "No changes" in fleet(stack, "preview")
    fleet(stack, "write", "--check")
    fleet(stack, "up", "--yes")
    assert snapshot(stack, *NAMES) == before
