"""A queued or running operation: its progress, its result and its cancellation."""

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from operations import diagnosis, errors
from operations.events import EventLog, Progress, progress_of, without_repetitions
from operations.pulumi_cli import KILLED, Cli, operation_arguments
from operations.results import Kind, Result, result_of
from stack_file import Mistake, mistakes_file

# Polling interval of the event log. Reading an unchanged file takes microseconds.
_POLL_SECONDS = 0.05
# An engine without an event after this time has not begun and holds no lock, so a signal may end it.
_SILENT_SECONDS = 30.0

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """The command line of an operation.

    Attributes:
        kind, stack: the operation and its stack.
        cli: the CLI to run.
        inline: whether a worker process runs the program, instead of the engine's language host.
        options: further options of the CLI.
    """

    kind: Kind
    stack: str
    cli: Cli
    inline: bool
    options: Sequence[str] = ()


class Operation:
    """A preview, up, refresh or destroy, which starts when it is created.

    Iterate over it for its progress, call `result` for its result, or do both:

        with stack.up() as update:
            for event in update:
                print(event)
            result = update.result()

    Progress is an iterator over the engine's event log, not a callback: a slow consumer does not slow the
    engine down, several consumers each read from the beginning, a consumer that stops loses nothing, and the
    caller's code runs in no thread of this package.

    Leaving the `with` block by an exception, for example when a client disconnects, cancels the operation and
    waits until the engine has exited. Without a `with` block the operation continues even if this process
    dies.
    """

    def __init__(self, invocation: Invocation, pool: futures.Executor) -> None:
        self.kind = invocation.kind
        self.stack = invocation.stack
        self._invocation = invocation
        self._created = time.monotonic()
        # mkdtemp makes it private to this user, like the state
        self._folder = Path(tempfile.mkdtemp(prefix="operation-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._log = EventLog(self._folder / "events", invocation.cli.redactor)
        self._cancel = threading.Event()
        self._terminate = threading.Event()
        self._over = threading.Event()
        self._future: futures.Future[Result] = pool.submit(self._run)
        self._future.add_done_callback(lambda _: self._over.set())

    def __iter__(self) -> Iterator[Progress]:
        """Yield the progress from the beginning until the operation ends; only `result` raises failures."""
        return without_repetitions(self._progress())

    def _progress(self) -> Iterator[Progress]:
        offset = 0
        while True:
            over = self._over.is_set()
            events, offset = self._log.whole_lines(offset)
            for event in events:
                progress = progress_of(event)
                if progress is not None:
                    yield progress
            if over:
                return
            if not events:
                self._over.wait(_POLL_SECONDS)

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the operation and return its result.

        Args:
            timeout: maximum wait in seconds (default: unlimited).

        Raises:
            OperationError: it failed; `done` of the error is the partial result.
            TimeoutError: it is still running after `timeout`, and continues.
        """
        return self._future.result(timeout)

    def running(self) -> bool:
        """Return whether the operation is queued or running."""
        return not self._over.is_set()

    def cancel(self) -> None:
        """Ask the engine to stop: it finishes and records steps in progress, starts no others, and unlocks.

        Returns immediately; `result` then raises OperationCancelledError, unless everything was already done.
        A second call stops the engine without waiting for steps in progress, whose outcome may then be
        unrecorded.
        """
        if self._cancel.is_set():
            self._terminate.set()
        self._cancel.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.cancel()
        self._over.wait()

    def _run(self) -> Result:
        if self._cancel.is_set():
            raise errors.OperationCancelledError(self.stack, self.kind, at_once=False, has_begun=False)
        exit_code = self._run_engine()
        events, complete = self._log.all()
        done = result_of(self.kind, self.stack, events, time.monotonic() - self._created)
        error: errors.OperationError | None = None
        killed_by = _signal_that_ended(exit_code, inline=self._invocation.inline)
        if killed_by:
            error = errors.EngineKilledError(self.stack, self.kind, killed_by)
        elif exit_code and self._cancel.is_set():
            error = errors.OperationCancelledError(self.stack, self.kind, at_once=self._terminate.is_set())
        elif exit_code:
            error = diagnosis.of_operation(self.stack, exit_code, self._output(), events, self._mistakes())
        elif not complete:
            error = errors.EventLogTruncatedError(self.stack, self.kind)
        if error is not None:
            error.done = done if events else None
            raise error
        return done

    def _output(self) -> str:
        """Return standard error if it contains an error, otherwise standard output, redacted."""
        stderr, stdout = (self._file(name).read_text("utf-8", "replace") for name in ("stderr", "stdout"))
        return self._invocation.cli.redactor.text(stderr if "error: " in stderr else stdout)

    def _mistakes(self) -> list[Mistake]:
        """Return the configuration mistakes that the program reported, redacted."""
        redactor = self._invocation.cli.redactor
        mistakes = mistakes_file.reported_mistakes(self._file("mistakes"))
        return [Mistake(*map(redactor.text, astuple(mistake))) for mistake in mistakes]

    def _file(self, name: str) -> Path:
        return self._folder / name

    def _run_engine(self) -> int:
        """Run the CLI and return its exit code."""
        invocation = self._invocation
        command = invocation.cli.arguments(
            *operation_arguments(invocation.kind, invocation.stack, self._log.file, invocation.options),
            "--exec-kind=auto.inline" if invocation.inline else "--exec-kind=auto.local",
        )
        folder = invocation.cli.folder
        worker = [sys.executable, "-m", "operations.inline_worker", invocation.kind, str(folder)]
        # files, not pipes: the engine must not die of a closed pipe if it outlives this process
        with self._file("stderr").open("wb") as stderr, self._file("stdout").open("wb") as stdout:
            process = subprocess.Popen(
                [*worker, *command] if invocation.inline else command,
                cwd=_ROOT if invocation.inline else folder,
                env={**invocation.cli.environment, mistakes_file.VARIABLE: str(self._file("mistakes"))},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                # so that Ctrl-C on a terminal reaches the engine only through `cancel`
                start_new_session=True,
            )
        self._wait(process)
        return process.returncode

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        # SIGTERM, which the engine handles like SIGINT: a service that a shell started in the background
        # ignores SIGINT, and its children inherit that
        cancelled = terminated = False
        started = time.monotonic()
        while True:
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                # before its first event the engine holds the lock but does not handle signals yet
                ready = self._log.begun() or time.monotonic() - started > _SILENT_SECONDS
                if ready and self._cancel.is_set() and not cancelled:
                    process.terminate()
                    cancelled = True
                elif cancelled and self._terminate.is_set() and not terminated:
                    process.terminate()
                    terminated = True
            else:
                return


def _signal_that_ended(exit_code: int, *, inline: bool) -> str | None:
    """Return the name of the signal that ended the CLI; None if it exited by itself.

    A signal is a negative exit code; the inline worker adds it to 128 instead, as shells do.
    """
    number = exit_code - KILLED if inline and exit_code > KILLED else -exit_code
    try:
        return signal.Signals(number).name
    except ValueError:  # an exit code of the CLI, such as 255 for an internal error
        return None
