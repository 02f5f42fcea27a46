"""The program's one entry, for a checkout's `__main__.py` and for a service's inline program."""

import pulumi

import program
import settings
from components.visible import visible_lines
from program.process import prepare, short_stack_traces


def run() -> None:
    """Declare what the stack file says, with the process tuned for large stacks.

    Raises:
        pulumi.RunError: with a message for the operator, safe to print.
    """
    prepare()
    try:
        stack = settings.load()
        with short_stack_traces():
            program.declare(stack)
    except pulumi.RunError as mistake:
        raise pulumi.RunError(visible_lines(str(mistake))) from None
