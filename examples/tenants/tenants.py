"""The tenants: each is a stack, and what is asked for survives whatever ends this service.

A file `NAME.pending` says that a tenant's stack file is ahead of AWS. It is there before the first change and
goes after the last, so a service that starts anew takes up what it finds.
"""

import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import automation
from examples.tenants.model import Tenant, Wanted
from examples.tenants.streams import Feed

_CONFLICT_SECONDS = 0.5
_Kind = Literal["up", "destroy"]


class UnknownTenantError(Exception):
    """There is no tenant of this name."""


class BusyError(Exception):
    """The tenant's last update still runs."""


@dataclass
class _Job:
    """An update of a tenant from start to end, over several operations where one is interrupted."""

    kind: _Kind
    operation: automation.Operation | None = None
    error: str | None = None
    over: threading.Event = field(default_factory=threading.Event)
    feed: Feed = field(default_factory=Feed)

    def end(self) -> None:
        """Say that it is over."""
        self.over.set()
        self.feed.end()


class Tenants:
    """All tenants of a folder, of which one service at a time is in charge."""

    def __init__(self, folder: Path, environment: Mapping[str, str], region: str) -> None:
        self._folder = folder
        self._region = region
        self._workspace = automation.inline(folder, environment=environment)
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def resume(self) -> None:
        """Takes up what a service before this one did not finish."""
        for pending in sorted(self._folder.glob("*.pending")):
            kind: _Kind = "destroy" if pending.read_text() == "destroy" else "up"
            self._begin(pending.stem, _Job(kind))

    def close(self) -> None:
        """Cancels what runs, and waits: the engine records what is under way. The next start takes it up."""
        self._closing.set()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            if job.operation:
                job.operation.cancel()
        for job in jobs:
            job.over.wait()

    def put(self, name: str, wanted: Wanted) -> None:
        """Begins to make the tenant's secret, or to change it.

        Raises:
            BusyError: its last update still runs.
            automation.BadSettings: with every mistake there is; nothing has changed.
        """
        values: dict[str, Any] = {
            **wanted.keys,
            **{key: {"config": f"given_{key}"} for key in wanted.given},
        }
        structure = {
            "encryption": "aws-managed",
            "recoveryWindowDays": 7,
            "secrets": {f"tenants/{name}": {"values": values}},
        }
        given = {f"given_{key}": value.get_secret_value() for key, value in wanted.given.items()}
        job = _Job("up")
        with self._claimed(name, job):
            stack, new = self._opened(name)
            was_pending = self._pending(name).exists()
            self._mark(name, job.kind)
            try:
                stack.configure(structure, secrets=given, aws={"region": self._region})
            except automation.AutomationError:
                if new:
                    self._workspace.remove(name)
                if not was_pending:
                    self._pending(name).unlink()
                raise

    def delete(self, name: str) -> None:
        """Begins to delete the tenant and its secret, which AWS keeps for its recovery window.

        Raises:
            UnknownTenantError, BusyError
        """
        self.get(name)
        job = _Job("destroy")
        with self._claimed(name, job):
            self._mark(name, job.kind)

    def get(self, name: str) -> Tenant:
        """What is known of a tenant.

        Raises:
            UnknownTenantError
        """
        job = self._jobs.get(name)
        if job is not None and not job.over.is_set():
            return Tenant(name=name, state="updating")
        if self._pending(name).exists():
            return Tenant(name=name, state="failed" if job else "updating", error=job.error if job else None)
        try:
            outputs = self._workspace.stack(name).outputs()
        except automation.UnknownStack:
            raise UnknownTenantError(name) from None
        secret = outputs.get("secrets", {}).get(f"tenants/{name}")
        if secret is None:
            raise UnknownTenantError(name)
        return Tenant(name=name, state="ready", secret=secret)

    def progress(self, name: str) -> AsyncIterator[automation.Progress]:
        """Return the progress of the update that runs; whoever stops looking stops nothing.

        Raises:
            UnknownTenantError
        """
        job = self._jobs.get(name)
        if job is None:
            self.get(name)
        if job is None:
            job = _Job("up")
            job.end()
        return job.feed.read()

    def _opened(self, name: str) -> tuple[automation.Stack, bool]:
        """The tenant's stack, and whether it is new."""
        try:
            return self._workspace.create(name), True
        except automation.StackExists:
            return self._workspace.stack(name), False

    @contextlib.contextmanager
    def _claimed(self, name: str, job: _Job) -> Iterator[None]:
        """One update of a tenant at a time, from the look at its stack file on."""
        with self._lock:
            known = self._jobs.get(name)
            if known is not None and not known.over.is_set():
                raise BusyError(name)
            self._jobs[name] = job
        try:
            yield
        except BaseException:
            job.end()
            with self._lock:
                if known is None:
                    del self._jobs[name]
                else:
                    self._jobs[name] = known
            raise
        self._begin(name, job)

    def _begin(self, name: str, job: _Job) -> None:
        with self._lock:
            self._jobs[name] = job
        threading.Thread(target=self._run, args=(name, job), name=f"tenant-{name}").start()

    def _run(self, name: str, job: _Job) -> None:
        try:
            self._to_its_end(name, job)
        except automation.AutomationError as error:
            job.error = str(error)
        else:
            self._pending(name).unlink(missing_ok=True)
        finally:
            job.end()

    def _to_its_end(self, name: str, job: _Job) -> None:
        """Raises AutomationError: it failed, or the service ends."""
        stack = self._workspace.stack(name)
        while True:
            job.operation = stack.up() if job.kind == "up" else stack.destroy()
            if self._closing.is_set():
                job.operation.cancel()
            # in this thread, whoever watches: it waits for the operation anyway
            for event in job.operation:
                job.feed.report(event)
            try:
                job.operation.result()
            except (automation.Conflict, automation.EngineKilled) as interrupted:
                if not self._cleared(stack, interrupted):
                    raise
            except automation.UnknownStack:
                # a service before this one ended before it had made the stack, or after it had removed it
                return
            else:
                break
        if job.kind == "destroy":
            self._workspace.remove(name)

    def _cleared(self, stack: automation.Stack, interrupted: automation.AutomationError) -> bool:
        """Whether the same may be tried again."""
        holders = interrupted.holders if isinstance(interrupted, automation.Conflict) else ()
        if any(map(_lives, holders)):
            # the engine of a service that was killed goes on without it, and its lock goes with it
            return not self._closing.wait(_CONFLICT_SECONDS)
        if not self._closing.is_set():
            self._recover(stack)
        return not self._closing.is_set()

    def _recover(self, stack: automation.Stack) -> None:
        """As docs/recovery.md says: the dead engine's lock, and what it may have left half made."""
        stack.cancel()
        stack.refresh(clear_pending_creates=True).result()

    def _mark(self, name: str, kind: _Kind) -> None:
        with self._pending(name).open("w") as file:
            file.write(kind)
            file.flush()
            os.fsync(file.fileno())

    def _pending(self, name: str) -> Path:
        return self._folder / f"{name}.pending"


def _lives(holder: automation.LockHolder) -> bool:
    """Whether the process that holds a lock may still work; of another machine nobody can tell."""
    if holder.host != os.uname().nodename:
        return True
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
