"""Operations of several stacks at once: each a process of the engine, so many at a time."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from automation import errors
from automation.operation import Operation
from automation.results import Result
from automation.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one group: a result, or an error whose `done` is what was done before it."""

    group: str
    stack: str
    result: Result | None = None
    error: errors.AutomationError | None = None

    @property
    def done(self) -> Result | None:
        """What was done, as far as it is known."""
        return self.result or (self.error.done if self.error else None)


class Together:
    """The same operation on the stacks of several groups. One that fails does not stop the others.

    They begin at once, as far as the workspace has places; leaving the `with` block by an error cancels them.
    """

    def __init__(self, stacks: Mapping[str, Stack], start: Callable[[Stack], Operation]) -> None:
        self.operations: Mapping[str, Operation] = {group: start(stack) for group, stack in stacks.items()}

    def cancel(self) -> None:
        """Asks every engine to end; those that wait begin nothing. See `Operation.cancel`."""
        for operation in self.operations.values():
            operation.cancel()

    def outcomes(self) -> list[Outcome]:
        """What became of each group, when all have ended."""
        return [self._outcome(group, operation) for group, operation in self.operations.items()]

    def _outcome(self, group: str, operation: Operation) -> Outcome:
        try:
            return Outcome(group=group, stack=operation.stack, result=operation.result())
        except errors.AutomationError as error:
            return Outcome(group=group, stack=operation.stack, error=error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.cancel()
        for operation in self.operations.values():
            with operation:  # waits for its end
                pass


def watched(together: Together, shown: Callable[[str, Operation], None]) -> None:
    """Shows the progress of all, each in a thread of its own; ends with the last."""
    threads = [
        threading.Thread(target=shown, args=(group, operation), daemon=True)
        for group, operation in together.operations.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def combined_outputs(by_stack: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Outputs of all stacks in the form of one's; what each has for itself is under `stacks`, by its name.

    Names of secrets, databases and workloads are there once in a fleet, so nothing is lost.
    """
    combined: dict[str, Any] = {}
    for stack, outputs in by_stack.items():
        for key, value in outputs.items():
            if key in {"secrets", "databases", "workloads"}:
                combined.setdefault(key, {}).update(value)
            else:
                combined.setdefault("stacks", {}).setdefault(stack, {})[key] = value
    return combined
