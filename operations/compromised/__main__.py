"""Answer a leak from the command line: `python -m operations compromised --help`."""

import sys

from operations.compromised.command import main

sys.exit(main(sys.argv[1:]))
