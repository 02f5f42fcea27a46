"""The interface between the rotation steps and an engine, such as PostgreSQL.

To add an engine, write a module with a class of this shape, and add it to the table of `driver_selection.py`;
docs/engines.md has the details.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

Fields = Mapping[str, object]
"""A secret's JSON object. Keys that the engine does not know belong to the operator and are preserved."""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """A secret's values during a rotation.

    Attributes:
        current: the value that workloads read now.
        pending: the value that they will read after the rotation.
        previous: reads the value before the current one; returns None if there is none.
    """

    current: Fields
    pending: Fields
    previous: Callable[[], Fields | None]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a rehearsal, which raises OperatorError where the next rotation would fail.

    Attributes:
        step: the step of the rotation, or a key of `rehearse.CONSEQUENCES`.
        run: changes nothing that is in use, and leaves nothing behind.
        needs: a step without whose success this part would only repeat its error; empty if there is none.
    """

    step: str
    run: Callable[[], None]
    needs: str = ""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The part of the next rotation that an engine does.

    Attributes:
        pending: the next value, which nobody will use, or one about as long.
        parts: what is tried, in this order.
        gaps: sentences about what cannot be tried without changing what is in use.
    """

    pending: Fields
    parts: Sequence[Part]
    gaps: Sequence[str] = ()


@dataclass(frozen=True, order=True, kw_only=True)
class Holder:
    """A client that logged in with a value that the next rotation ends.

    Host and application are what the server shows; the application's name is the client's own choice.

    Attributes:
        user: the user in the database.
        host: from where; empty if the server does not show it.
        application: its name; empty if it has none.
    """

    user: str
    host: str
    application: str


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """The moment at which the current value became current.

    Attributes:
        at: when, in seconds since 1970, or later.
        bookmark: what the driver returned from `bookmark` then; empty if that is not known.
        is_first: whether there is no value before it.
    """

    at: float
    bookmark: str
    is_first: bool


class Driver(Protocol):
    """The rotation of one kind of secret. Every method may run again after it was interrupted halfway."""

    def next_fields(self, current: Fields) -> Fields:
        """Return the value that follows `current`, without changing anything that is in use."""
        ...

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with the regenerated keys taken from `pending`.

        The result equals `pending` unless somebody has edited the secret since the rotation began.

        Raises:
            PendingOutdatedError: because of an edit, `pending` no longer fits `current`.
        """
        ...

    def apply(self, versions: Versions) -> None:
        """Make `pending` valid where the secret is used; `current` stays valid if the engine allows it."""
        ...

    def verify(self, fields: Fields) -> None:
        """Use the value as a workload would.

        Raises:
            ValueRefusedError: the server rejects the value.
            OperatorError: it does not work for another reason.
        """
        ...

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Make the current value usable as `request` declares; return a report without secret values.

        Args:
            request: see `provision.py`.
            read: reads the value of the version that has a label; returns None if no version has it.
        """
        ...

    def end_sessions(self, current: Fields) -> int:
        """End every session of the secret's users; return how many.

        The users can log in again with `current`.

        Raises:
            OperatorError: some cannot be ended; the message says what is missing.
        """
        ...

    def rehearse(
        self, current: Fields, previous: Callable[[], Fields | None], schemas: Sequence[str]
    ) -> Rehearsal:
        """Return what the next rotation does where the secret is used, as parts that change nothing.

        Args:
            current: the value that workloads read now.
            previous: as in `Versions`.
            schemas: the declared schemas that the login must be able to use; engines without any ignore them.

        Raises:
            OperatorError: the next rotation fails in createSecret.
        """
        ...


@runtime_checkable
class Watcher(Protocol):
    """The part of a driver that only servers have which show who is logged in."""

    def bookmark(self, current: Fields, known: str) -> str:
        """Return what `watch` will need to tell sessions that begin after now from earlier ones.

        Args:
            current: the value that has just become current.
            known: an earlier answer, which is returned if it is still usable; empty for a new one.

        Returns:
            At most 100 characters; empty if `watch` needs nothing.
        """
        ...

    def watch(self, current: Fields, renewed: Renewed) -> Generator[Sequence[Holder]]:
        """Yield, again and again, the clients that use a value which the next rotation ends.

        Args:
            current: the value that workloads read now.
            renewed: how it became current.

        Raises:
            OperatorError: they cannot be seen; the message says what is missing.
        """
        ...
