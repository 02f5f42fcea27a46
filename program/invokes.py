"""Ask AWS through the provider, with errors that name what was asked."""

from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


class InvokeError(Exception):
    """An invoke failed. The message says what was looked up, and why it failed."""


class LookupFailedError(Exception):
    """Something that an entry of the stack file names cannot be looked up.

    Attributes:
        place: keys that lead to it below the entry.
        wrong, remedy: as in a Mistake.
    """

    def __init__(self, place: tuple[str, ...], wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.place, self.wrong, self.remedy = place, wrong, remedy


def cause_of(error: Exception) -> str:
    """Return the provider's message of a failed invoke, without what the SDK puts before it."""
    return str(error).rpartition("returned an error: ")[2]


def ask(subject: str, invoke: Callable[[], Answer]) -> Answer:
    """Return an invoke's answer.

    Args:
        subject: what is looked up, for the error.
        invoke: the invoke.

    Raises:
        InvokeError: it failed.
    """
    try:
        return invoke()
    except Exception as error:  # noqa: BLE001  the SDK raises nothing narrower for a failed invoke
        cause = " ".join(cause_of(error).split()).rstrip(".")
        raise InvokeError(f"cannot look up {subject}: {cause}") from None


def look_up(place: tuple[str, ...], subject: str, invoke: Callable[[], Answer]) -> Answer:
    """Return an invoke's answer for an entry of the stack file; see `ask`.

    Raises:
        LookupFailedError: it failed.
    """
    try:
        return ask(subject, invoke)
    except InvokeError as error:
        remedy = "Check that it exists in this account and region, and the permissions"
        raise LookupFailedError(place, str(error), remedy) from None
