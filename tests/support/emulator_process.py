"""An emulator in its own process, for tests."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from tools.localcloud.emulator.label_rules import LabelRules

ROOT = Path(__file__).parents[2]
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Emulator:
    """`environment` points a client at it; `log` is its output."""

    port: int
    endpoint: str
    environment: Mapping[str, str]
    log: Path
    pid: int


@contextmanager
def running_emulator(
    data: Path | None,
    *,
    imports_anew: bool = False,
    forks_functions: bool = True,
    labels: LabelRules | None = None,
) -> Iterator[Emulator]:
    """Start an emulator on a free port.

    Args:
        data: its data file; by default a temporary one.
        imports_anew: run the command instead of forking a process with the same imports.
        forks_functions: fork the processes of functions, too (function_nursery.py).
        labels: how it treats staging labels; by default from the caller's environment, else as AWS documents.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        kept = str(data or Path(folder, "data"))
        environment = {**os.environ, **(labels.variables() if labels else {})}
        start = _command if imports_anew else partial(_forked, forks_functions)
        pid, is_running = start(log, kept, environment)
        try:
            yield _started(pid, is_running, log)
        finally:
            if is_running():
                os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while is_running():
                assert time.monotonic() < deadline, f"emulator {pid} did not end"
                time.sleep(0.005)


def _command(log: Path, data: str, environment: Mapping[str, str]) -> tuple[int, Callable[[], bool]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.localcloud.emulator", "--port", "0", "--data", data],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return process.pid, lambda: process.poll() is None


def _forked(
    functions: bool, log: Path, data: str, environment: Mapping[str, str]
) -> tuple[int, Callable[[], bool]]:
    nursery = _nursery()
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    with _ONE_AT_A_TIME:
        asked = {"log": str(log), "data": data, "environment": environment, "functions": functions}
        nursery.stdin.write(json.dumps(asked) + "\n")
        nursery.stdin.flush()
        pid = int(nursery.stdout.readline())

    def is_running() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    return pid, is_running


@cache
def _nursery() -> "subprocess.Popen[str]":
    """Return this process's nursery, which ends with it because its standard input closes."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.emulator_nursery"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _started(pid: int, is_running: Callable[[], bool], log: Path) -> Emulator:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and is_running():
        said = log.read_text() if log.exists() else ""
        found = re.search(r"^listening on 127\.0\.0\.1:(\d+)$", said, re.MULTILINE)
        if found:
            endpoint = f"http://127.0.0.1:{found[1]}"
            environment = {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            return Emulator(int(found[1]), endpoint, environment, log, pid)
        time.sleep(0.01)
    raise AssertionError(f"the emulator did not start:\n{log.read_text()}")
