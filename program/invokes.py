"""Questions to AWS that the program needs an answer to."""

from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


class InvokeError(Exception):
    """AWS could not be asked; the text says for what, and why."""


def cause_of(error: Exception) -> str:
    """Return the provider's words of a failed invoke, for which the SDK raises nothing narrower."""
    return str(error).rpartition("returned an error: ")[2]


def asked(what: str, ask: Callable[[], Answer]) -> Answer:
    """Return the answer of an invoke.

    Args:
        what: it is about.
        ask: the invoke.

    Raises:
        InvokeError: it failed.
    """
    try:
        return ask()
    except Exception as error:  # noqa: BLE001  the SDK raises nothing narrower for a failed invoke
        cause = " ".join(cause_of(error).split()).rstrip(".")
        raise InvokeError(f"AWS could not be asked for {what}: {cause}") from None
