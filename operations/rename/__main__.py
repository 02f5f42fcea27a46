"""Rename a secret from the command line: `python -m operations rename --help`."""

import sys

from operations.rename.command import main

sys.exit(main(sys.argv[1:]))
