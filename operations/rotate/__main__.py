"""Rotate and restart from the command line: `python -m operations rotate --help`."""

import sys

from operations.rotate.command import main

sys.exit(main(sys.argv[1:]))
