"""Start and stop the emulator in the background, and tell it from any other program."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tools.localcloud.environment import cleaned
from tools.localcloud.layout import Layout, SetupError

DEFAULT_PORT = 4577

_HIGHEST_PORT = 65535
_START_SECONDS = 60
_STOP_SECONDS = 10
_LOG_LINES = 10
_LISTENING = re.compile(r"^listening on 127\.0\.0\.1:(\d+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A running emulator. `instance` changes whenever it begins with no data."""

    pid: int
    port: int
    instance: str


def running_emulator(layout: Layout) -> Emulator | None:
    """Return this checkout's emulator if it runs and answers; None otherwise."""
    pid = _our_pid(layout)
    port = _remembered_port(layout)
    if pid is None or port is None:
        return None
    instance = _instance(port)
    return None if instance is None else Emulator(pid=pid, port=port, instance=instance)


def start_emulator(layout: Layout) -> Emulator:
    """Start the emulator unless it runs, and wait until it answers.

    The port is LOCALCLOUD_PORT, else the previous one, else 4577; 0 takes a free port.

    Raises:
        SetupError: LOCALCLOUD_PORT is not valid, the port is in use, or the emulator ends at once.
    """
    wanted = _wanted_port()
    running = running_emulator(layout)
    if running is not None and wanted in (None, 0, running.port):
        return running
    # One that runs but does not answer, or answers on a port that is no longer wanted.
    stop_emulator(layout)
    port = (_remembered_port(layout) or DEFAULT_PORT) if wanted is None else wanted
    _require_free(port)
    layout.emulator.mkdir(parents=True, exist_ok=True)
    log = layout.emulator / "log"
    command = [str(layout.python), "-P", "-m", "tools.localcloud.emulator"]
    command += ["--port", str(port), "--data", str(_data(layout))]
    with log.open("wb") as output:
        # The shell records its pid before it becomes the emulator, so that the pid is always known.
        process = subprocess.Popen(
            ["sh", "-c", 'echo "$$" > "$0" && exec "$@"', str(_pid_file(layout)), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=cleaned(os.environ) | {"PYTHONPATH": str(layout.root), "PYTHONUNBUFFERED": "1"},
            cwd=layout.root,
        )
    return _await_start(layout, process, port)


def _await_start(layout: Layout, process: subprocess.Popen[bytes], port: int) -> Emulator:
    log = layout.emulator / "log"
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        said = _LISTENING.search(log.read_text(errors="replace"))
        instance = _instance(int(said[1])) if said else None
        if said and instance is not None:
            (layout.emulator / "port").write_text(said[1])
            return Emulator(pid=process.pid, port=int(said[1]), instance=instance)
        time.sleep(0.05)
    ended = process.poll() is not None
    if not ended:
        stop_emulator(layout)
    _pid_file(layout).unlink(missing_ok=True)
    _require_free(port)
    lines = "".join(f"\n    {line}" for line in log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    what = f"ended with exit code {process.returncode}" if ended else f"did not answer in {_START_SECONDS} s"
    raise SetupError(f"The emulator {what}. The end of {log}:{lines}")


def stop_emulator(layout: Layout) -> bool:
    """Stop this checkout's emulator and wait for its end; return False if it did not run. Its data stay."""
    pid = _our_pid(layout)
    if pid is None:
        _pid_file(layout).unlink(missing_ok=True)
        return False
    for number, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 1)):
        os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if _has_ended(pid):
                _pid_file(layout).unlink(missing_ok=True)
                return True
            time.sleep(0.02)
    raise SetupError(f"The emulator (process {pid}) cannot be stopped.")


def _data(layout: Layout) -> Path:
    return layout.emulator / "data"


def _pid_file(layout: Layout) -> Path:
    return layout.emulator / "pid"


def _our_pid(layout: Layout) -> int | None:
    """Return the recorded pid if it is this checkout's emulator: the pid may have been reused."""
    try:
        pid = int(_pid_file(layout).read_text())
    except (OSError, ValueError):
        return None
    command = command_line(pid)
    return pid if "tools.localcloud.emulator" in command and str(_data(layout)) in command else None


def _has_ended(pid: int) -> bool:
    """Return whether a process has ended and freed its ports; as our child it may not be reaped yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        # its first thread may have ended before the others, which hold the ports until they have too
        threads = sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        # Without /proc the arguments vanish at about the same time.
        return not command_line(pid)
    return state in "ZX" and threads <= 1


def command_line(pid: int) -> list[str]:
    """Return a process's arguments; empty if it does not exist, or has ended and is not reaped."""
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
        except OSError:
            return []
    asked = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.split()


def _remembered_port(layout: Layout) -> int | None:
    try:
        return int((layout.emulator / "port").read_text())
    except (OSError, ValueError):
        return None


def _wanted_port() -> int | None:
    text = os.environ.get("LOCALCLOUD_PORT", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) > _HIGHEST_PORT:
        raise SetupError(
            f"LOCALCLOUD_PORT is {text!r}, which is not a valid port: use a number, or 0 for any free port."
        )
    return int(text)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise SetupError(f"Port {port} needs privileges: set LOCALCLOUD_PORT above 1023.") from None
            holder = "another program" if _instance(port) is None else "the local cloud of another checkout"
            raise SetupError(
                f"Port {port} is in use by {holder}, so the emulator cannot listen there. Stop it, or "
                f"choose another port: LOCALCLOUD_PORT={port + 1} make up (0 takes any free one)."
            ) from None


def _instance(port: int) -> str | None:
    """Return the instance of the emulator on `port`; None if nothing or another program answers there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/_localcloud/health", timeout=2) as answer:
            if answer.status != HTTPStatus.OK:
                return None
            health = json.load(answer)
    except (OSError, ValueError):
        return None
    if not isinstance(health, dict) or health.get("status") != "ok":
        return None
    return str(health["instance"]) if "instance" in health else None
