"""`python -m operations fleet`, the same as `python -m operations fleet`."""

import sys

from operations.fleet.cli import main

sys.exit(main(sys.argv[1:]))
