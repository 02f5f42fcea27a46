"""The interface between the rotation steps and an engine.

Another engine is one new file with a class of this shape, and its name in `declaration.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

Fields = Mapping[str, object]
"""A secret's JSON object. Keys that an engine does not know belong to the operator and are carried along."""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """A secret's values during a rotation.

    Attributes:
        current: what workloads read now.
        pending: what they shall read next.
        previous: reads what they read before; None if there is no such version.
    """

    current: Fields
    pending: Fields
    previous: Callable[[], Fields | None]


class Driver(Protocol):
    """What one kind of secret needs for its rotation. Every method may run again after a failure halfway."""

    def next_fields(self, current: Fields) -> Fields:
        """Return the value that follows `current`; touches nothing outside."""
        ...

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with the renewed keys taken from `pending`.

        Equal to `pending` as long as nobody edited the secret since the rotation began.

        Raises:
            PendingOutdatedError: `current` was edited so that `pending` no longer fits it.
        """
        ...

    def apply(self, versions: Versions) -> None:
        """Make `pending` valid where the secret is used, while `current` stays valid if the engine allows."""
        ...

    def verify(self, fields: Fields) -> None:
        """Use the value as a workload would; raises OperatorError if that fails."""
        ...

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Make the current value usable as `request` declares; returns a report without values.

        Args:
            request: see `provision.py`.
            read: reads the value that has a label; None without one.
        """
        ...
