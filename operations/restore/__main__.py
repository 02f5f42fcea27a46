"""Restore a secret from the command line: `python -m operations restore --help`."""

import sys

from operations.restore.command import main

sys.exit(main(sys.argv[1:]))
