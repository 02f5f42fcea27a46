"""Stacks from the command line: `python -m automation --help`."""

import sys

from automation.commands import main

sys.exit(main(sys.argv[1:]))
