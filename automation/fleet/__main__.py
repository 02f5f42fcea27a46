"""Stacks of one file from the command line: `python -m automation.fleet --help`."""

import sys

from automation.fleet.commands import main

sys.exit(main(sys.argv[1:]))
