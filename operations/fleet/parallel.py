"""The same operation on several stacks in parallel, each with an engine process of its own."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from operations import errors
from operations.fleet.partition import PARTITIONED
from operations.operation import Operation
from operations.results import Result
from operations.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a group's operation: a result or an error."""

    group: str
    stack: str
    result: Result | None = None
    error: errors.OperationError | None = None

    @property
    def done(self) -> Result | None:
        """The result, or the partial result before an error; None if unknown."""
        return self.result or (self.error.done if self.error else None)


class FleetOperation:
    """The same operation on the stacks of several groups. A failure in one does not stop the others.

    All operations are submitted at once; the workspace limits how many run concurrently. Leaving the `with`
    block by an exception cancels them.
    """

    def __init__(self, stacks: Mapping[str, Stack], start: Callable[[Stack], Operation]) -> None:
        self.operations: Mapping[str, Operation] = {group: start(stack) for group, stack in stacks.items()}

    def cancel(self) -> None:
        """Ask every engine to stop; queued operations do not start. See `Operation.cancel`."""
        for operation in self.operations.values():
            operation.cancel()

    def outcomes(self) -> list[Outcome]:
        """Wait for all operations and return the outcome of each group."""
        return [self._outcome(group, operation) for group, operation in self.operations.items()]

    def _outcome(self, group: str, operation: Operation) -> Outcome:
        try:
            return Outcome(group=group, stack=operation.stack, result=operation.result())
        except errors.OperationError as error:
            return Outcome(group=group, stack=operation.stack, error=error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.cancel()
        for operation in self.operations.values():
            with operation:  # waits until it has ended
                pass


def follow_all(operation: FleetOperation, follow: Callable[[str, Operation], None]) -> None:
    """Follow the progress of every group, each in its own thread, until all have ended.

    Args:
        operation: the fleet's operation.
        follow: prints the progress of a group until it ends.
    """
    threads = [
        threading.Thread(target=follow, args=(group, progress), daemon=True)
        for group, progress in operation.operations.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def combined_outputs(by_stack: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the outputs of all stacks in the form of a single stack's.

    Secrets, databases, caches, SMTP credentials and workloads are merged; their names are unique in a fleet.
    All other outputs are under `stacks`, by stack name.
    """
    combined: dict[str, Any] = {}
    for stack, outputs in by_stack.items():
        for key, value in outputs.items():
            if key in PARTITIONED:
                combined.setdefault(key, {}).update(value)
            else:
                combined.setdefault("stacks", {}).setdefault(stack, {})[key] = value
    return combined
