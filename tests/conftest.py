"""What holds for all tests."""

import os
import signal
import sys

# A job that a shell runs in the background ignores SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Every command of the engine starts five Python processes: what they import is compiled once, not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
