"""`python -m tests.localcloud.emulator_nursery`: begins emulators that need not import everything anew.

An emulator imports for half a second of processor time, and most tests want one of their own. So one process
imports once, and each emulator is a fork of it before anything has run: the same code in the same state as
`python -m localcloud.emulator` is in after its imports.

A line of standard input is `{"log": file, "data": file, "environment": {...}}`, the answer the process's id.
"""

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Mapping

from localcloud.emulator.__main__ import main

# What the module sets for itself when it is imported, whatever its caller's environment is.
_FAMILIES = ("AWS_", "MOTO_")
_OWN = {name: value for name, value in os.environ.items() if name.startswith(_FAMILIES)}


def _become_an_emulator(log: str, data: str, environment: Mapping[str, str]) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, max(output, nothing) + 1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    theirs = {name: value for name, value in environment.items() if not name.startswith(_FAMILIES)}
    os.environ.clear()
    os.environ.update(theirs | _OWN)
    random.seed()
    sys.argv = ["localcloud.emulator", "--port", "0", "--data", data]
    main()


def serve() -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who began this
    while line := sys.stdin.readline():
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                _become_an_emulator(**asked)
            except BaseException:  # noqa: BLE001  whatever it is goes to the log, and nothing back into the loop
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
