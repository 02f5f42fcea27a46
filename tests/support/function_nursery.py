"""Start Lambda's Python runtimes as forks of one process: `python -I -S function_nursery.py ADDRESS`.

A cold start imports boto3 and reads service models: half a second of processor time, which nearly every test
with a function pays. So one process has imported what Lambda ships, and nothing else, and each execution
environment is a fork of it before it has run anything, with the variables, folder, input, and output that the
emulator gives to a new one. The archive's own modules are imported in each fork.

`starter` is for the emulator's process and `main` for the nursery's. Nothing but the standard library is
imported here: the function must not find more than Lambda has.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import IO, Any

_LENGTH = 8
# Services that functions call.
_SERVICES = ("ecs", "elasticache", "iam", "lambda", "memorydb", "secretsmanager", "sns", "sts")


class Forked:
    """A fork, with the part of `subprocess.Popen` that the emulator uses."""

    def __init__(self, nursery: socket.socket, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._nursery, self.stdin, self.stdout = nursery, stdin, stdout
        self.pid = int(nursery.recv(_LENGTH))
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        with self._lock:
            if self.returncode is None and select.select([self._nursery], [], [], 0)[0]:
                self._end()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the process has ended.

        Raises:
            subprocess.TimeoutExpired: it runs for longer than `timeout`, in seconds.
        """
        if self.poll() is None and not select.select([self._nursery], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("function", timeout or 0)
        found = self.poll()
        assert found is not None
        return found

    def _end(self) -> None:
        self.returncode = int(self._nursery.recv(_LENGTH) or -signal.SIGKILL)
        self._nursery.close()


def starter(address: str) -> Callable[[Path, Path, Mapping[str, str], int], Forked]:
    """Return a function that starts a runtime as `lambda_workers.start_runtime` does."""

    def start(task_root: Path, packages: Path, environment: Mapping[str, str], answers: int) -> Forked:
        nursery = socket.socket(socket.AF_UNIX)
        nursery.connect(address)
        source, stdin = os.pipe()
        stdout, output = os.pipe()
        asked = {"folder": str(task_root), "packages": str(packages), "environment": dict(environment)}
        body = json.dumps(asked).encode()
        socket.send_fds(nursery, [len(body).to_bytes(_LENGTH, "big")], [source, output, answers])
        nursery.sendall(body)
        for file in (source, output):
            os.close(file)
        return Forked(nursery, os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"))

    return start


def keep_models() -> None:
    """Let botocore read a service's model, and look for the models there are, once for all forks."""
    loaders = importlib.import_module("botocore.loaders")
    file_loader, loader = loaders.JSONFileLoader, loaders.Loader
    file_loader.load_file = _once(file_loader.load_file, lambda _, path: os.path.realpath(path))
    for name in ("list_available_services", "list_api_versions"):

        def key(loader: Any, *arguments: str, **more: str) -> tuple[object, ...]:
            return (*loader.search_paths, *arguments, *more.values())

        setattr(loader, name, _once(getattr(loader, name), key))


def _once(method: Callable[..., Any], key: Callable[..., object]) -> Callable[..., Any]:
    known: dict[object, Any] = {}

    def found(*arguments: Any, **more: Any) -> Any:
        name = key(*arguments, **more)
        if name not in known:
            known[name] = method(*arguments, **more)
        return known[name]

    return found


def _loaded(runtime: str, packages: str) -> ModuleType:
    """Import the runtime, and what Lambda ships next to Python; return the runtime."""
    found = importlib.util.spec_from_file_location("lambda_runtime", runtime)
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    sys.path.append(packages)
    keep_models()
    session = importlib.import_module("boto3").session.Session("key", "secret", region_name="us-east-1")
    for service in _SERVICES:
        session.client(service)
    sys.path.remove(packages)
    return module


def _become(runtime: ModuleType, asked: Mapping[str, Any], files: list[int]) -> None:
    """Run the runtime in this process, as a new one would."""
    answers = os.dup(files[2])
    for source, targets in ((files[0], (0,)), (files[1], (1, 2))):
        for target in targets:
            os.dup2(source, target)
    os.closerange(3, answers)
    os.closerange(answers + 1, max(answers + 1, os.sysconf("SC_OPEN_MAX")))
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    random.seed()
    # as on Lambda, a package of the archive comes before one that Lambda ships
    own = {path.name.partition(".")[0] for path in Path(asked["folder"]).iterdir()}
    own -= sys.stdlib_module_names
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    sys.argv = [str(runtime.__file__), str(answers), asked["packages"]]
    runtime._main()


def serve(listener: socket.socket, runtime: ModuleType) -> None:
    """Fork for each request, until standard input ends."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    children: dict[int, socket.socket] = {}
    while True:
        readable, _, _ = select.select([0, woken, listener.fileno()], [], [])
        if 0 in readable:
            break
        if woken in readable:
            os.read(woken, 4096)
            _tell_ends(children)
        if listener.fileno() in readable:
            _begin(listener, runtime, children)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)


def _tell_ends(children: dict[int, socket.socket]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        asker = children.pop(child)
        with contextlib.suppress(OSError):  # the emulator ended first
            asker.send(str(os.waitstatus_to_exitcode(status)).encode())
        asker.close()


def _begin(listener: socket.socket, runtime: ModuleType, children: dict[int, socket.socket]) -> None:
    asker, _ = listener.accept()
    head, files, _, _ = socket.recv_fds(asker, _LENGTH, 3)
    body = b""
    while len(body) < int.from_bytes(head, "big"):
        body += asker.recv(1 << 20)
    child = os.fork()
    if child:
        for file in files:
            os.close(file)
        children[child] = asker
        asker.send(str(child).encode())
        return
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _become(runtime, json.loads(body), files)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001  shown as the interpreter would
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def main(runtime: str, packages: str, address: str) -> None:
    """Import, then serve."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    loaded = _loaded(runtime, packages)
    gc.freeze()  # collections in a fork skip the memory shared with this process
    serve(listener, loaded)


if __name__ == "__main__":
    main(*sys.argv[1:])
