"""Adopt secrets from the command line: `python -m operations adopt --help`."""

import sys

from operations.adopt.command import main

sys.exit(main(sys.argv[1:]))
