"""A server's settings and process: all that is needed to stop and remove it, whatever its engine.

Only the standard library is imported here: a half-made checkout can be cleared too.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from tools.localcloud.emulator_control import command_line
from tools.localcloud.files import write_if_changed
from tools.localcloud.layout import SetupError

HOST = "localhost"
START_SECONDS = 60
PORT_SECONDS = 1
_STOP_SECONDS = 30

_Server = TypeVar("_Server")


@dataclass(frozen=True)
class Settings:
    """Settings to start a server again, kept in `server.json`, which only the owner may read.

    Attributes:
        engine: whose server this is.
        version: the version that made the data.
        port: TCP port; 0 before the first start.
        admin_user: the administrator that operators know.
        superuser: a user who may do anything; empty where the administrator may.
    """

    engine: str
    version: str
    port: int
    admin_user: str
    superuser: str = ""
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    superuser_password: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)


def read_settings(directory: Path) -> Settings | None:
    """Return the settings of the server in `directory`; None if it was never made to its end."""
    try:
        return Settings(**json.loads(directory.joinpath("server.json").read_text()))
    except FileNotFoundError:
        return None


def write_settings(directory: Path, settings: Settings) -> None:
    """Write the settings in one step."""
    write_if_changed(directory / "server.json", json.dumps(asdict(settings)), 0o600)


def launch(directory: Path, command: Sequence[str], ready: Callable[[], bool]) -> bool:
    """Start a server that stays when this process ends; return False if it ended instead of being ready.

    Args:
        directory: the server's folder, which the command names.
        command: the program and its arguments.
        ready: whether the server accepts connections.
    """
    # The process itself notes its id: one that an interrupted command began is found by the next.
    noting = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(directory / "pid")]
    with directory.joinpath("log").open("ab") as log:
        process = subprocess.Popen(
            [*noting, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        if ready():
            return True
        time.sleep(0.02)
    _end(directory, signal.SIGKILL)
    return False


def launch_and_find(
    directory: Path,
    title: str,
    command: Sequence[str],
    ready: Callable[[], bool],
    running: Callable[[Path], _Server | None],
) -> _Server:
    """Start a server, as `launch` does, and return what `running` knows of it.

    Raises:
        SetupError: it did not start, or ended at once.
    """
    started = launch(directory, command, ready)
    server = running(directory) if started else None
    if server is None:
        what = "ended at once" if started else "did not start"
        raise SetupError(f"{title} {what}. The end of {directory / 'log'}:\n{tail(directory)}")
    return server


def find_running(directory: Path, running: Callable[[Path], _Server | None]) -> _Server | None:
    """Return the server that runs, or that an interrupted command has begun to start."""
    deadline = time.monotonic() + START_SECONDS
    while process_of(directory) is not None and time.monotonic() < deadline:
        server = running(directory)
        if server is not None:
            return server
        time.sleep(0.02)
    stop(directory)
    return None


def process_of(directory: Path) -> int | None:
    """Return the process id of the server in `directory`; None if it does not run."""
    try:
        pid = int(directory.joinpath("pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    # A file from before a restart of the machine may name a process of another program.
    return pid if f"{directory}{os.sep}" in " ".join(command_line(pid)) else None


def stop(directory: Path) -> bool:
    """Stop the server; return False if none was running. Its data stay.

    Raises:
        SetupError: It is still running after half a minute.
    """
    return _end(directory.resolve(), signal.SIGTERM)


def kill(directory: Path) -> None:
    """End the server as a crash of the machine would."""
    _end(directory.resolve(), signal.SIGKILL)


def remove(directory: Path) -> None:
    """Stop the server at once and delete all of its files."""
    kill(directory)
    shutil.rmtree(directory, ignore_errors=True)


def tail(directory: Path) -> str:
    """Return the end of the server's log."""
    lines = directory.joinpath("log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-8:])


def _end(directory: Path, by: signal.Signals) -> bool:
    pid = process_of(directory)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, by)
    deadline = time.monotonic() + _STOP_SECONDS
    while process_of(directory) == pid:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            raise SetupError(f"The server in {directory} (process {pid}) has not stopped. End it by hand.")
        time.sleep(0.02)
    return True
