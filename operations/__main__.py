"""`python -m operations`: the command line of this program."""

import signal
import sys


def _run() -> int:
    handler = signal.getsignal(signal.SIGINT)
    # nothing is done yet: Ctrl-C ends Python without a traceback
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from operations.cli import main  # noqa: PLC0415  see above
    from operations.closed_output import finish_without_readers  # noqa: PLC0415  see above

    signal.signal(signal.SIGINT, handler)
    finish_without_readers()
    code = main(sys.argv[1:])
    # nothing is left to undo
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return code


sys.exit(_run())
