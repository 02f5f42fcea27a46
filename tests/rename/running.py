"""Run a rename as an operator does, against a stack of the engine tests."""

from tests.support.operations_commands import command_line, run_command
from tests.support.stacks import Stack


def rename(stack: Stack, *arguments: str, code: int = 0) -> str:
    """Rename `old` to `new` unless other names are given; return what it printed."""
    names = arguments if arguments and not arguments[0].startswith("-") else ("old", "new", *arguments)
    return run_command(command_line(stack, "rename", *names, "--stack", "test"), stack, code)
