"""What holds for all tests."""

import signal

# A job that a shell runs in the background ignores SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
