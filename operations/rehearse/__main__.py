"""Rehearse rotations from the command line: `python -m operations rehearse --help`."""

import sys

from operations.rehearse.command import main

sys.exit(main(sys.argv[1:]))
