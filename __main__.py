"""Entry point of the Pulumi program."""

import sys

import pulumi

import program
import settings
from components.visible import visible_lines
from program.process import prepare, short_stack_traces

# Tells the language host that the operator has been told what is wrong.
EXIT_AFTER_MESSAGE = 32

prepare()
try:
    stack = settings.load()
    with short_stack_traces():
        program.declare(stack)
except pulumi.RunError as mistake:
    pulumi.log.error(visible_lines(str(mistake)))
    sys.exit(EXIT_AFTER_MESSAGE)
