"""Tenants, each a stack, whose updates survive a crash of the service.

A file `NAME.pending` marks a tenant whose stack file is ahead of AWS. It exists from before the first change
until after the last one, so that a restarted service can resume the update.
"""

import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import operations
from examples.tenants.model import Tenant, TenantRequest
from examples.tenants.streams import Feed

_LOCK_POLL_SECONDS = 0.5
_Kind = Literal["up", "destroy"]


class UnknownTenantError(Exception):
    """The tenant does not exist."""


class BusyError(Exception):
    """An update of the tenant is still running."""


@dataclass
class _Job:
    """An update of a tenant, which takes several operations if one is interrupted."""

    kind: _Kind
    operation: operations.Operation | None = None
    error: str | None = None
    over: threading.Event = field(default_factory=threading.Event)
    feed: Feed = field(default_factory=Feed)

    def end(self) -> None:
        """Mark the job as over."""
        self.over.set()
        self.feed.end()


class Tenants:
    """The tenants in a folder, which only one service at a time may use."""

    def __init__(self, folder: Path, environment: Mapping[str, str], region: str) -> None:
        self._folder = folder
        self._region = region
        self._workspace = operations.inline(folder, environment=environment)
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def resume(self) -> None:
        """Resume the updates that a previous service did not finish."""
        for pending in sorted(self._folder.glob("*.pending")):
            kind: _Kind = "destroy" if pending.read_text() == "destroy" else "up"
            self._start(pending.stem, _Job(kind))

    def close(self) -> None:
        """Cancel running updates and wait until the engines have recorded their steps in progress."""
        self._closing.set()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            if job.operation:
                job.operation.cancel()
        for job in jobs:
            job.over.wait()

    def put(self, name: str, request: TenantRequest) -> None:
        """Start to create or change a tenant's secret.

        Raises:
            BusyError: an update of the tenant is still running.
            operations.InvalidConfigurationError: the request has mistakes; nothing was changed.
        """
        values: dict[str, Any] = {
            **request.keys,
            **{key: {"config": f"given_{key}"} for key in request.given},
        }
        structure = {
            "encryption": "aws-managed",
            "recoveryWindowDays": 7,
            "secrets": {f"tenants/{name}": {"values": values}},
        }
        secrets = {f"given_{key}": value.get_secret_value() for key, value in request.given.items()}
        job = _Job("up")
        with self._claimed(name, job):
            stack, new = self._open(name)
            was_pending = self._pending(name).exists()
            self._mark(name, job.kind)
            try:
                stack.configure(structure, secrets=secrets, aws={"region": self._region})
            except operations.OperationError:
                if new:
                    self._workspace.remove(name)
                if not was_pending:
                    self._pending(name).unlink()
                raise

    def delete(self, name: str) -> None:
        """Start to delete a tenant and its secret, which AWS keeps for the recovery window.

        Raises:
            UnknownTenantError: the tenant does not exist.
            BusyError: an update of the tenant is still running.
        """
        self.get(name)
        job = _Job("destroy")
        with self._claimed(name, job):
            self._mark(name, job.kind)

    def get(self, name: str) -> Tenant:
        """Return a tenant's status.

        Raises:
            UnknownTenantError: the tenant does not exist.
        """
        job = self._jobs.get(name)
        if job is not None and not job.over.is_set():
            return Tenant(name=name, state="updating")
        if self._pending(name).exists():
            return Tenant(name=name, state="failed" if job else "updating", error=job.error if job else None)
        try:
            outputs = self._workspace.stack(name).outputs()
        except operations.StackNotFoundError:
            raise UnknownTenantError(name) from None
        secret = outputs.get("secrets", {}).get(f"tenants/{name}")
        if secret is None:
            raise UnknownTenantError(name)
        return Tenant(name=name, state="ready", secret=secret)

    def progress(self, name: str) -> AsyncIterator[operations.Progress]:
        """Return the progress of a tenant's update. A consumer that stops does not affect the update.

        Raises:
            UnknownTenantError: the tenant does not exist.
        """
        job = self._jobs.get(name)
        if job is None:
            self.get(name)
        if job is None:
            job = _Job("up")
            job.end()
        return job.feed.read()

    def _open(self, name: str) -> tuple[operations.Stack, bool]:
        """Return the tenant's stack, and whether it was just created."""
        try:
            return self._workspace.create(name), True
        except operations.StackAlreadyExistsError:
            return self._workspace.stack(name), False

    @contextlib.contextmanager
    def _claimed(self, name: str, job: _Job) -> Iterator[None]:
        """Reserve a tenant for a job during the block, then run the job."""
        with self._lock:
            previous = self._jobs.get(name)
            if previous is not None and not previous.over.is_set():
                raise BusyError(name)
            self._jobs[name] = job
        try:
            yield
        except BaseException:
            job.end()
            with self._lock:
                if previous is None:
                    del self._jobs[name]
                else:
                    self._jobs[name] = previous
            raise
        self._start(name, job)

    def _start(self, name: str, job: _Job) -> None:
        with self._lock:
            self._jobs[name] = job
        threading.Thread(target=self._run, args=(name, job), name=f"tenant-{name}").start()

    def _run(self, name: str, job: _Job) -> None:
        try:
            self._run_to_end(name, job)
        except operations.OperationError as error:
            job.error = str(error)
        else:
            self._pending(name).unlink(missing_ok=True)
        finally:
            job.end()

    def _run_to_end(self, name: str, job: _Job) -> None:
        """Run a job, recovering from interruptions.

        Raises:
            operations.OperationError: the job failed, or the service is stopping.
        """
        stack = self._workspace.stack(name)
        while True:
            job.operation = stack.up() if job.kind == "up" else stack.destroy()
            if self._closing.is_set():
                job.operation.cancel()
            # in this thread, which has to wait for the operation anyway
            for event in job.operation:
                job.feed.report(event)
            try:
                job.operation.result()
            except (operations.ConcurrentUpdateError, operations.EngineKilledError) as interrupted:
                if not self._may_retry(stack, interrupted):
                    raise
            except operations.StackNotFoundError:
                # a previous service ended before it had created the stack, or after it had removed it
                return
            else:
                break
        if job.kind == "destroy":
            self._workspace.remove(name)

    def _may_retry(self, stack: operations.Stack, interrupted: operations.OperationError) -> bool:
        """Recover from an interruption; return whether to run the operation again."""
        holders = interrupted.holders if isinstance(interrupted, operations.ConcurrentUpdateError) else ()
        if any(map(_is_alive, holders)):
            # the engine of a killed service continues, and releases its lock at the end
            return not self._closing.wait(_LOCK_POLL_SECONDS)
        if not self._closing.is_set():
            self._recover(stack)
        return not self._closing.is_set()

    def _recover(self, stack: operations.Stack) -> None:
        """Release the lock of a killed engine and drop its pending creations, as in docs/recovery.md."""
        stack.cancel()
        stack.refresh(clear_pending_creates=True).result()

    def _mark(self, name: str, kind: _Kind) -> None:
        with self._pending(name).open("w") as file:
            file.write(kind)
            file.flush()
            os.fsync(file.fileno())

    def _pending(self, name: str) -> Path:
        return self._folder / f"{name}.pending"


def _is_alive(holder: operations.LockHolder) -> bool:
    """Return whether the process that holds a lock may be running; True for another machine."""
    if holder.host != os.uname().nodename:
        return True
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
