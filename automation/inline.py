"""The worker of an inline operation: runs the program for the CLI, which it starts and waits for.

    python -m automation.inline KIND FOLDER COMMAND...

A process of its own for each operation: pulumi_aws is not safe to load in several threads, and two programs
in one process would share an interpreter lock. It outlives a service that dies, so that the engine can end
properly, and ends with the engine.
"""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures
from types import FrameType

import grpc

# The class behind the SDK's `Stack.up(program=...)`, which itself then asks for outputs with --show-secrets.
from pulumi.automation._server import LanguageServer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2_grpc

from automation.command import KILLED

_RUNS_THE_PROGRAM = {"preview", "up"}


def run_program() -> None:
    """Run the program as a checkout's `__main__.py` does."""
    importlib.import_module("program.entry").run()


def main(kind: str, folder: str, command: list[str]) -> int:
    """The CLI's exit code; 128 and more where a signal ended it."""
    os.chdir(folder)
    loaded = threading.Event()

    def program() -> None:
        loaded.wait()
        run_program()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # the signal is for the engine, which then ends properly; we end with it
    pending: list[int] = []
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if started:
            started[0].send_signal(number)
        else:
            pending.append(number)

    signal.signal(signal.SIGTERM, pass_on)
    process = subprocess.Popen([*command, f"--client=127.0.0.1:{port}"])
    started.append(process)
    for number in pending:
        process.send_signal(number)
    if kind in _RUNS_THE_PROGRAM:
        # While the CLI starts, and in this thread. What goes wrong goes wrong again where it can be told.
        with contextlib.suppress(Exception):
            importlib.import_module("program.entry")
    loaded.set()
    exit_code = process.wait()
    server.stop(0)
    return KILLED - exit_code if exit_code < 0 else exit_code


if __name__ == "__main__":
    # nothing more to do at the end than to end: threads of the server may still wait
    os._exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
