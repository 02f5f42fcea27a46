"""Move a secret from the command line: `python -m operations move --help`."""

import sys

from operations.move.command import main

sys.exit(main(sys.argv[1:]))
