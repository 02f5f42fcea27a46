"""An operation that runs, or waits for its turn: its progress, its result, its cancellation."""

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
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from automation import diagnosis, errors
from automation.command import KILLED, Cli, operation_arguments
from automation.events import EventLog, Progress, progress_of
from automation.results import Kind, Result, result_of

# How often the log is looked at while the engine works; each look at an unchanged file costs microseconds.
_LOOK_SECONDS = 0.05
# An engine that has said nothing for so long has not begun: it holds no lock, so a signal may simply end it.
_SILENT_SECONDS = 30.0

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run: an operation of this stack, with these options of the CLI."""

    kind: Kind
    stack: str
    cli: Cli
    inline: bool
    options: Sequence[str] = ()


class Operation:
    """A preview, up, refresh or destroy.

    Iterate over it for its progress, call `result` for what it did, or both:

        with stack.up() as update:
            for event in update:
                print(event)
            result = update.result()

    An iterator, not a callback: the engine writes its events to a file, and an iterator reads that file. So a
    slow consumer never slows the engine, several may look, each from the beginning, one that stops looking
    loses nothing, and no code of the caller's runs in a thread of ours. A callback would need a queue and a
    rule for each of these.

    Leaving the `with` block by an error, as when a client goes away, cancels the operation and waits until
    the engine has ended properly. Without a `with` block it runs on, even if this process dies.
    """

    def __init__(self, order: Order, pool: futures.Executor) -> None:
        self.kind = order.kind
        self.stack = order.stack
        self._order = order
        self._begun_at = time.monotonic()
        # private to this user, like the state itself
        self._folder = Path(tempfile.mkdtemp(prefix="automation-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._log = EventLog(self._folder / "events", order.cli.redactor)
        self._cancel = threading.Event()
        self._terminate = threading.Event()
        self._over = threading.Event()
        self._future: futures.Future[Result] = pool.submit(self._run)
        self._future.add_done_callback(lambda _: self._over.set())

    def __iter__(self) -> Iterator[Progress]:
        """Its progress from the beginning; ends with the operation, and raises nothing: `result` does."""
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
                self._over.wait(_LOOK_SECONDS)

    def result(self, timeout: float | None = None) -> Result:
        """What it did, when it has ended.

        Raises:
            AutomationError: it failed; the error's `done` is what it did until then.
            TimeoutError: it still runs after `timeout` seconds; it goes on.
        """
        return self._future.result(timeout)

    def running(self) -> bool:
        """Whether it waits or runs."""
        return not self._over.is_set()

    def cancel(self) -> None:
        """Asks the engine to end: it finishes and records what is under way, begins no more, and unlocks.

        Returns at once; `result` then raises Cancelled, unless everything was done already. A second call
        ends the engine without waiting for what is under way: what AWS does meanwhile may stay unrecorded.
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
            raise errors.Cancelled(self.stack, self.kind, at_once=False)
        said = self._folder / "stderr"
        exit_code = self._engine(said)
        events, complete = self._log.all()
        done = result_of(self.kind, self.stack, events, time.monotonic() - self._begun_at)
        words = self._words(said)
        error: errors.AutomationError | None = None
        killed_by = _signal_that_ended(exit_code, inline=self._order.inline)
        if killed_by:
            error = errors.EngineKilled(self.stack, self.kind, killed_by)
        elif exit_code and self._cancel.is_set():
            error = errors.Cancelled(self.stack, self.kind, at_once=self._terminate.is_set())
        elif exit_code:
            error = diagnosis.of_operation(self.stack, exit_code, words, events)
        elif not complete:
            error = errors.EventsTruncated(self.stack, self.kind)
        if error is not None:
            error.done = done if events else None
            raise error
        return done

    def _words(self, said: Path) -> str:
        """Standard error, or what the CLI prints for people where that says nothing of an error."""
        printed = [file.read_text("utf-8", "replace") for file in (said, self._folder / "stdout")]
        return self._order.cli.redactor.text(printed[0] if "error: " in printed[0] else printed[1])

    def _engine(self, said: Path) -> int:
        order = self._order
        command = order.cli.arguments(
            *operation_arguments(order.kind, order.stack, self._log.file, order.options),
            "--exec-kind=auto.inline" if order.inline else "--exec-kind=auto.local",
        )
        worker = [sys.executable, "-m", "automation.inline", order.kind, str(order.cli.folder)]
        # files, not pipes: an engine that outlives this process must not die of a closed pipe
        with (
            said.open("wb") as standard_error,
            (self._folder / "stdout").open("wb") as standard_output,
        ):
            process = subprocess.Popen(
                [*worker, *command] if order.inline else command,
                cwd=_ROOT if order.inline else order.cli.folder,
                env=dict(order.cli.environment),
                stdin=subprocess.DEVNULL,
                stdout=standard_output,
                stderr=standard_error,
                # Ctrl-C on a terminal reaches the engine through us, once
                start_new_session=True,
            )
        self._wait(process)
        return process.returncode

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        # SIGTERM, which the engine takes as it takes SIGINT: a service that a shell started in the background
        # ignores SIGINT, and so would its children
        asked = terminated = False
        started = time.monotonic()
        while True:
            try:
                process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                # before its first event the engine has a lock, but nothing yet that would take a signal
                ready = self._log.begun() or time.monotonic() - started > _SILENT_SECONDS
                if ready and self._cancel.is_set() and not asked:
                    process.terminate()
                    asked = True
                elif asked and self._terminate.is_set() and not terminated:
                    process.terminate()
                    terminated = True
            else:
                return


def _signal_that_ended(exit_code: int, *, inline: bool) -> str | None:
    """The signal's name, if one ended the CLI: told by a negative number, by our worker as a shell does."""
    number = exit_code - KILLED if inline and exit_code > KILLED else -exit_code
    try:
        return signal.Signals(number).name
    except ValueError:  # an exit code of the CLI's own: 255 is its "internal error"
        return None
