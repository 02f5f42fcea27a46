"""Start the engine's Python processes, and commands of this project, as forks of others.

Each engine command starts four: the language host, the program, and two plugins. Imports are four fifths of
a command's cost, and half of that of `python -m operations COMMAND`. So the tests find launchers instead,
which ask a process with the same imports, that has run nothing, for a fork of itself: same code, arguments,
environment, folder, input, and output. A launcher forwards signals, ends as the fork does, and ends the fork
when it is killed.

The modules that declare resources are imported in each fork, from the project's folder, so that a test may
change them.
"""

import atexit
import contextlib
import gc
import importlib.util
import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.function_nursery import keep_models

ROOT = Path(__file__).parents[2]
_LENGTH = 8
# Third-party modules that a program of this project imports.
_OF_PROGRAMS = (
    *("asyncio", "google.protobuf.json_format", "grpc", "pulumi", "pulumi.runtime", "pulumi_aws"),
    *("pulumi_random", "pydantic.fields", "pydantic.json_schema", "pydantic.main", "yaml"),
    *(f"pulumi_aws.{name}" for name in ("cloudwatch", "eks", "iam", "kms", "lambda_", "rds")),
    "pulumi_aws.secretsmanager",
)
# Packages of this project that read the stack file: building the models takes an eighth of a second.
_READERS = ("stack_file",)
_PLUGINS = ("aws", "random")
# Services that nearly every command calls.
_SERVICES = ("iam", "kms", "lambda", "secretsmanager", "sts")

_LAUNCHER = """\
#!{python} -IS
import json, os, signal, socket, sys
nursery = socket.socket(socket.AF_UNIX)
nursery.connect({address!r})
asked = {{"kind": {kind!r}, "arguments": sys.argv[1:], "folder": os.getcwd()}}
body = json.dumps({{**asked, "environment": dict(os.environ)}}).encode()
socket.send_fds(nursery, [len(body).to_bytes({length}, "big")], [0, 1, 2])
nursery.sendall(body)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: nursery.send(bytes([number])))
code = int(nursery.recv({length}) or b"1")
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@cache
def launchers(pulumi: Path, plugins: Path, python: Path) -> tuple[Path, Path]:
    """Return a folder of commands and one of plugins like the checkout's, whose Python processes are forks.

    They belong to this process, and are removed with it.

    Args:
        pulumi: the engine, next to the script that runs programs.
        plugins: folder of the installed plugins.
        python: interpreter of the virtual environment.
    """
    folder = Path(tempfile.mkdtemp(prefix="nursery-", dir=pulumi.parent.parent))
    # outside the checkout: a socket's address has at most 107 characters
    sockets = Path(tempfile.mkdtemp(prefix="nursery-"))
    for made in (folder, sockets):
        atexit.register(shutil.rmtree, made)
    executor = pulumi.with_name("pulumi-language-python-exec")
    bin_folder, plugin_folder = folder / "bin", folder / "plugins"
    bin_folder.mkdir()
    os.link(pulumi, bin_folder / "pulumi")  # the engine looks for the language host next to itself

    def write(path: Path, kind: str, address: str) -> None:
        text = _LAUNCHER.format(python=python, address=address, kind=kind, length=_LENGTH)
        path.write_text(text)
        path.chmod(0o755)

    tools = _started("tools", sockets, python)
    programs = _started("programs", sockets, python)
    write(bin_folder / "pulumi-language-python", f"host {bin_folder / executor.name}", tools)
    write(bin_folder / executor.name, f"program {executor}", programs)
    for installed in plugins.iterdir():
        if not installed.is_dir():
            continue
        (plugin_folder / installed.name).mkdir(parents=True)
        (plugin_folder / f"{installed.name}.lock").touch()
        for command in installed.iterdir():
            name = command.name.removeprefix("pulumi-resource-")
            if name in _PLUGINS and _is_stand_in(command):
                write(plugin_folder / installed.name / command.name, f"plugin {name}", tools)
            elif command.is_file():  # an official one, with its license
                os.link(command, plugin_folder / installed.name / command.name)
    return bin_folder, plugin_folder


@cache
def operations_launcher(python: Path) -> Path:
    """Return a command like `python -m operations`, whose process is a fork; it belongs to this process."""
    folder = Path(tempfile.mkdtemp(prefix="nursery-"))
    atexit.register(shutil.rmtree, folder)
    address = _started("operations", folder, python)
    launcher = folder / "command"
    launcher.write_text(_LAUNCHER.format(python=python, address=address, kind="operations", length=_LENGTH))
    launcher.chmod(0o755)
    return launcher


def _is_stand_in(command: Path) -> bool:
    # an official plugin has hundreds of megabytes
    with command.open("rb") as file:
        return b"tools.localcloud.plugins" in file.read(10_000)


def _started(kind: str, folder: Path, python: Path) -> str:
    """Start a nursery and return its address. It ends with this process: its standard input closes."""
    address = str(folder / kind)
    command = [str(python), "-P", __file__, kind, address]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    nursery = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert nursery.stdout is not None
    assert nursery.stdout.readline() == b"ready\n"
    atexit.register(nursery.kill)
    return address


def _tools() -> dict[str, Callable[[str, list[str]], None]]:
    """Return the entry points of language host and plugins, which import the protocol without the SDK."""
    found = importlib.util.spec_from_file_location(
        "language_host", ROOT / "tools" / "localcloud" / "language_host.py"
    )
    assert found
    assert found.loader
    host = importlib.util.module_from_spec(found)
    found.loader.exec_module(host)
    plugins = {
        name: importlib.import_module(f"tools.localcloud.plugins.{name}.plugin").PLUGIN for name in _PLUGINS
    }
    serve = importlib.import_module("tools.localcloud.plugins.serve").serve
    _load_clients()

    def plugin(name: str, _arguments: list[str]) -> None:
        serve(plugins[name])

    return {"host": lambda executor, arguments: host.main([executor, *arguments]), "plugin": plugin}


def _load_clients() -> None:
    """Import boto3, and cache the service models that botocore reads for the clients of a fork."""
    keep_models()
    session = importlib.import_module("boto3").session.Session("key", "secret", region_name="us-east-1")
    for service in _SERVICES:
        session.client(service)


def _programs() -> dict[str, Callable[[str, list[str]], None]]:
    for name in (*_OF_PROGRAMS, *_READERS):
        # parts of pulumi_aws are loaded on first use
        getattr(importlib.import_module(name), "anything", None)
    # the state records the declaring lines, so these are imported from the project's folder
    _forget("components", "program")

    def program(executor: str, arguments: list[str]) -> None:
        if any(Path(name).resolve() != ROOT / name for name in _READERS):
            _forget(*_READERS)
        sys.argv = [executor, *arguments]
        sys.path.insert(0, str(Path(executor).parent))
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]  # a text file
        runpy.run_path(executor, run_name="__main__")

    return {"program": program}


def _operations() -> dict[str, Callable[[str, list[str]], None]]:
    cli = importlib.import_module("operations.cli")
    for _, module, _ in cli._COMMANDS:
        importlib.import_module(module)
    _load_clients()

    def command(_about: str, arguments: list[str]) -> None:
        sys.exit(cli.main(arguments))

    return {"operations": command}


def _forget(*packages: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def _become(
    run: Callable[[str, list[str]], None], about: str, asked: Mapping[str, Any], files: Sequence[int]
) -> int:
    """Run what is asked for in this process; return the exit code."""
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    random.seed()
    code = 1
    try:
        run(about, asked["arguments"])
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            sys.stderr.write(f"{ending.code}\n")
    except KeyboardInterrupt:
        code = -signal.SIGINT
    except BaseException:  # noqa: BLE001  shown as the interpreter would
        sys.excepthook(*sys.exc_info())
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def _follow(launcher: socket.socket) -> None:
    """Follow the launcher: its signals arrive as bytes, and its end as end of file."""
    while received := launcher.recv(1):
        os.kill(os.getpid(), received[0])
    os.killpg(0, signal.SIGKILL)


def serve(kind: str, address: str) -> None:
    """Fork for each launcher, until standard input ends."""
    runs = {"tools": _tools, "programs": _programs, "operations": _operations}[kind]()
    if kind == "programs":
        sys.path.remove(str(ROOT))  # a program adds its own
    atexit._clear()
    gc.freeze()  # collections in a fork skip the memory shared with this process
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the launchers
    children: dict[int, socket.socket] = {}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        readable, _, _ = select.select([0, woken, listener.fileno()], [], [])
        if 0 in readable:
            break
        if woken in readable:
            os.read(woken, 4096)
            _tell_ends(children)
        if listener.fileno() in readable:
            _begin(listener, runs, children)
    for child in children:
        os.killpg(child, signal.SIGKILL)


def _tell_ends(children: dict[int, socket.socket]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        launcher = children.pop(child)
        with contextlib.suppress(OSError):  # it ended first
            launcher.send(str(os.waitstatus_to_exitcode(status)).encode())
        launcher.close()


def _begin(
    listener: socket.socket,
    runs: Mapping[str, Callable[[str, list[str]], None]],
    children: dict[int, socket.socket],
) -> None:
    launcher, _ = listener.accept()
    head, files, _, _ = socket.recv_fds(launcher, _LENGTH, 3)
    body = b""
    while head and len(body) < int.from_bytes(head, "big"):
        part = launcher.recv(1 << 20)
        if not part:
            break
        body += part
    if not body or len(files) != 3:
        launcher.close()
        return
    child = os.fork()
    if child:
        for file in files:
            os.close(file)
        children[child] = launcher
        return
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        listener.close()
        for other in children.values():
            other.close()
        asked = json.loads(body)
        threading.Thread(target=_follow, args=[launcher], daemon=True).start()
        name, _, about = asked["kind"].partition(" ")
        code = _become(runs[name], about, asked, files)
    finally:
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)


if __name__ == "__main__":
    assert stat.S_ISFIFO(os.fstat(0).st_mode)
    serve(sys.argv[1], sys.argv[2])
