"""Worker process of an inline operation: starts the CLI and serves the program to it.

    python -m operations.inline_worker KIND FOLDER COMMAND...

Each operation has its own process: pulumi_aws is not safe to load in several threads, and two programs in one
process would compete for the interpreter lock. The worker survives a service that dies, so that the engine
can finish, and exits with the engine.
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

# The class behind the SDK's `Stack.up(program=...)`, which then reads outputs with --show-secrets.
from pulumi.automation._server import LanguageServer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2_grpc

from operations.pulumi_cli import KILLED

_RUNS_THE_PROGRAM = {"preview", "up"}


def run_program() -> None:
    """Run the program, like `__main__.py` of a checkout."""
    importlib.import_module("program.entry").run()


def main(kind: str, folder: str, command: list[str]) -> int:
    """Run an operation.

    Args:
        kind: preview, up, refresh or destroy.
        folder: the workspace's folder.
        command: command line of the CLI, without --client.

    Returns:
        The CLI's exit code; 128 + N if signal N ended it.
    """
    os.chdir(folder)
    loaded = threading.Event()

    def program() -> None:
        loaded.wait()
        run_program()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # the engine handles the signal and exits, and this process with it
    pending: list[int] = []
    started: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if started:
            started[0].send_signal(number)
        else:
            pending.append(number)

    signal.signal(signal.SIGTERM, forward)
    process = subprocess.Popen([*command, f"--client=127.0.0.1:{port}"])
    started.append(process)
    for number in pending:
        process.send_signal(number)
    if kind in _RUNS_THE_PROGRAM:
        # Import while the CLI starts, in this thread. The engine's run of the program raises an error again.
        with contextlib.suppress(Exception):
            importlib.import_module("program.entry")
    loaded.set()
    exit_code = process.wait()
    server.stop(0)
    return KILLED - exit_code if exit_code < 0 else exit_code


if __name__ == "__main__":
    # threads of the server may still be waiting
    os._exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
