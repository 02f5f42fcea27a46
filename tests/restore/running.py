"""Run a restore or a move as an operator does, against a stack of the engine tests."""

from tests.support.operations_commands import command_line, environment, run_command
from tests.support.stacks import Stack

__all__ = ["command", "environment", "restore", "run"]


def command(stack: Stack, *arguments: str, name: str = "restore") -> list[str]:
    return command_line(stack, name, *arguments)


def run(stack: Stack, *arguments: str, name: str = "restore", code: int = 0) -> str:
    """Run a command to its end; return what it printed."""
    return run_command(command(stack, *arguments, name=name), stack, code)


def restore(stack: Stack, *arguments: str, code: int = 0) -> str:
    return run(stack, *arguments, "--stack", "test", code=code)
