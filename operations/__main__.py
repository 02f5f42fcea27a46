"""`python -m operations`: the command line of this program."""

import sys

from operations.cli import main

sys.exit(main(sys.argv[1:]))
