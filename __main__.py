"""Entry point of the Pulumi program."""

import sys

import pulumi

from program import entry

# Tells the language host that the operator has been told what is wrong.
EXIT_AFTER_MESSAGE = 32

try:
    entry.run()
except pulumi.RunError as mistake:
    pulumi.log.error(str(mistake))
    sys.exit(EXIT_AFTER_MESSAGE)
