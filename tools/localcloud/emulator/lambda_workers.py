"""Execution environments of Lambda functions: one process each, kept warm between invocations."""

import contextlib
import importlib.util
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol

from tools.localcloud.emulator import lambda_runtime

# What Lambda's Python runtimes bring along: boto3 and what it needs.
_SHIPPED = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_INIT_SECONDS = 10.0  # Lambda's limit for an initialization
_IDLE_KEPT = 4
_DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Code:
    """A function as an execution environment needs it; a change of any field needs a new environment.

    Attributes:
        sha256: of the archive, base64.
        archive: the deployment package, a zip file.
        environment: configured variables, with what Lambda adds.
        role: ARN of the execution role.
    """

    arn: str
    version: str
    handler: str
    sha256: str
    timeout: float
    memory: int
    environment: Mapping[str, str]
    role: str
    archive: bytes = field(repr=False, compare=False)


@dataclass(frozen=True)
class Outcome:
    """The outcome of an invocation.

    Attributes:
        payload: JSON text, of the result or of the error.
        failed: Lambda's FunctionError=Unhandled.
        output: lines of the function.
        milliseconds: duration without initialization.
        init_milliseconds: None if the environment was warm.
        memory: most memory used, MB.
    """

    payload: str
    failed: bool
    output: tuple[str, ...]
    milliseconds: float
    init_milliseconds: float | None
    memory: int
    stream: str


class Runtime(Protocol):
    """A runtime's process, as `subprocess.Popen` describes it."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Pipe to write invocations to."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Pipe with the function's output."""

    @property
    def pid(self) -> int:
        """Id of the process, which leads a group."""

    @property
    def returncode(self) -> int | None:
        """Exit code, None before `poll` or `wait` found the end."""

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the process has ended."""


def start_runtime(task_root: Path, packages: Path, environment: Mapping[str, str], answers: int) -> Runtime:
    """Start lambda_runtime.py in a group of its own.

    Args:
        task_root: folder of the function's code.
        packages: folder of what Lambda ships.
        environment: all variables.
        answers: file descriptor to write answers to.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", lambda_runtime.__file__, str(answers), str(packages)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=task_root,
        env=environment,
        pass_fds=(answers,),
        start_new_session=True,
    )


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack a deployment package into a new folder."""
    with zipfile.ZipFile(BytesIO(archive)) as members:
        members.extractall(folder)


def link_packages(folder: Path) -> None:
    """Create the folder of what Lambda ships."""
    folder.mkdir()
    for name in _SHIPPED:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            origin = Path(spec.origin)
            source = origin.parent if spec.submodule_search_locations else origin
            (folder / source.name).symlink_to(source)


class _Ended(Exception):  # noqa: N818  an event, not an error
    """The process has ended, or (`timed_out`) has not answered in time."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__()
        self.timed_out = timed_out


def stream_name(version: str) -> str:
    """Return a log stream for a new environment, named as Lambda does."""
    return f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{version}]{uuid.uuid4().hex}"


class Worker:
    """One execution environment."""

    def __init__(self, code: Code, task_root: Path, packages: Path) -> None:
        self.code = code
        self.stream = stream_name(code.version)
        self._output: queue.Queue[bytes | None] = queue.Queue()
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        read, write = os.pipe()
        environment = {
            **code.environment,
            "_HANDLER": code.handler,
            "LAMBDA_TASK_ROOT": str(task_root),
            "LAMBDA_RUNTIME_DIR": str(packages),
            "AWS_LAMBDA_LOG_STREAM_NAME": self.stream,
            # what else is on this machine, such as the certificate authority of a server
            **json.loads(os.environ.get("LOCALCLOUD_FUNCTION_VARIABLES", "{}")),
        }
        began = time.monotonic()
        self._process = start_runtime(task_root, packages, environment, write)
        os.close(write)
        threading.Thread(target=self._read_answers, args=(read,), daemon=True).start()
        threading.Thread(target=self._read_output, daemon=True).start()
        self._began = began
        self._initialized = False

    def invoke(self, request: str, event: object) -> Outcome:
        """Run the function once; `alive` says whether the environment can be used again."""
        code, lines = self.code, []
        init: float | None = None
        began = time.monotonic()
        memory = 1
        try:
            if not self._initialized:
                answer = self._next(_INIT_SECONDS + code.timeout)
                lines += self._drained()
                began = time.monotonic()
                init = (began - self._began) * 1000
                memory = int(answer["memory"])
                self._initialized = True
                if answer["init"] is not None:
                    self.stop()
                    error = {**answer["init"], "requestId": request}
                    return self._failure(error, lines, 0, init, memory)
            self._send(request, event, time.time() + code.timeout)
            answer = self._next(code.timeout)
        except _Ended as ended:
            milliseconds = (time.monotonic() - began) * 1000
            status = self.stop()
            lines += self._drained()
            if ended.timed_out:
                moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
                said = f"Task timed out after {code.timeout:.2f} seconds"
                lines.append(f"{moment}.000Z {request} {said}")
                kind = "Sandbox.Timedout"
                milliseconds = code.timeout * 1000
            else:
                said = f"Runtime exited {status}"
                kind = "Runtime.ExitError"
                lines.append(f"RequestId: {request} Error: {said}")
            error = {"errorType": kind, "errorMessage": f"RequestId: {request} Error: {said}"}
            return self._failure(error, lines, milliseconds, init, memory)
        milliseconds = (time.monotonic() - began) * 1000
        lines += self._drained()
        failed = "error" in answer
        payload = json.dumps(answer["error"]) if failed else str(answer["result"])
        memory = int(answer["memory"])
        return Outcome(payload, failed, tuple(lines), milliseconds, init, memory, self.stream)

    def _failure(
        self, error: object, lines: list[str], milliseconds: float, init: float | None, memory: int
    ) -> Outcome:
        payload, failed = json.dumps(error), True
        return Outcome(payload, failed, tuple(lines), milliseconds, init, memory, self.stream)

    @property
    def alive(self) -> bool:
        """True if the environment can be used again."""
        return self._process.poll() is None

    def stop(self) -> str:
        """End the process and what it has started, and return how it ended by itself, if it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.05)
        code = self._process.returncode
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if code is not None and code < 0:
            return f"with error: signal: {signal.Signals(-code).name}"
        return f"with error: exit status {code}" if code else "without providing a reason"

    def _send(self, request: str, event: object, deadline: float) -> None:
        asked = {"id": request, "arn": self.code.arn, "deadline": deadline, "event": event}
        assert self._process.stdin is not None  # noqa: S101  it was asked for
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise _Ended(timed_out=False) from None

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            found = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise _Ended(timed_out=True) from None
        if found is None:
            raise _Ended(timed_out=False)
        return found

    def _read_answers(self, descriptor: int) -> None:
        with os.fdopen(descriptor) as answers:
            for line in answers:
                self._answers.put(json.loads(line))
        self._answers.put(None)

    def _read_output(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  it was asked for
        with self._process.stdout as output:
            for line in output:
                self._output.put(line)
        self._output.put(None)

    def _drained(self) -> list[str]:
        """Return the function's output until the mark, or until the end of the process."""
        lines: list[str] = []
        with contextlib.suppress(queue.Empty):
            while (line := self._output.get(timeout=_DRAIN_SECONDS)) is not None:
                marked = line.endswith(lambda_runtime.MARK)
                rest = line.removesuffix(lambda_runtime.MARK) if marked else line
                if rest.strip():
                    lines.append(rest.decode(errors="replace").rstrip("\n").replace("\r", "\n"))
                if marked:
                    break
        return lines


class Pool:
    """All environments of all functions; `folder` has their unpacked archives, and nothing else."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed emulator left behind
        folder.mkdir(mode=0o700, parents=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._idle: dict[str, list[Worker]] = {}
        self._busy: set[Worker] = set()
        self._ended = False

    def invoke(self, code: Code, request: str, event: object) -> Outcome:
        """Invoke a function in a warm environment if one is free, else in a new one."""
        worker = self._take(code)
        try:
            return worker.invoke(request, event)
        finally:
            self._give_back(worker)

    def retire(self, arn: str) -> None:
        """End the idle environments of a deleted function."""
        with self._lock:
            gone = self._idle.pop(arn, [])
        for worker in gone:
            worker.stop()

    def end(self) -> None:
        """End everything, when the emulator ends."""
        with self._lock:
            self._ended = True
            workers = [*self._busy, *(worker for idle in self._idle.values() for worker in idle)]
        for worker in workers:
            worker.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, code: Code) -> Worker:
        with self._lock:
            idle = self._idle.get(code.arn, [])
            fit = [worker for worker in idle if worker.code == code and worker.alive]
            stale = [worker for worker in idle if worker not in fit]
            worker = fit.pop() if fit else None
            self._idle[code.arn] = fit
            packages, root = self._packages(), self._unpacked(code)
            if worker is None and not self._ended:
                worker = Worker(code, root, packages)
            if worker is not None:
                self._busy.add(worker)
        for old in stale:
            old.stop()
        if worker is None:
            raise RuntimeError("the local cloud is ending")
        return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            idle = self._idle.setdefault(worker.code.arn, [])
            keep = worker.alive and not self._ended and len(idle) < _IDLE_KEPT
            if keep:
                idle.append(worker)
        if not keep:
            worker.stop()

    def _packages(self) -> Path:
        folder = self._folder / "runtime"
        if not folder.is_dir():
            link_packages(folder)
        return folder

    def _unpacked(self, code: Code) -> Path:
        folder = self._folder / re.sub(r"[^A-Za-z0-9]", "_", code.sha256)
        if not folder.is_dir():
            unpack(code.archive, folder)
        return folder
