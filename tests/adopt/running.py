"""Run an adoption as an operator does, against a stack of the engine tests."""

from tests.support.operations_commands import command_line, environment, run_command
from tests.support.stacks import Stack

__all__ = ["adopt", "command", "environment"]


def command(stack: Stack, *arguments: str) -> list[str]:
    return command_line(stack, "adopt", *arguments, "--stack", "test")


def adopt(stack: Stack, *arguments: str, code: int = 0) -> str:
    """Run the command to its end; return what it printed."""
    return run_command(command(stack, *arguments), stack, code)
