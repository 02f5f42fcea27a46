"""`python -m operations`: the command line of this program."""

import signal
import sys

from operations.cli import main
from operations.closed_output import finish_without_readers

finish_without_readers()
code = main(sys.argv[1:])
# nothing is left to undo: Ctrl-C now ends Python without a traceback
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.exit(code)
