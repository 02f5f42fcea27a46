"""Check the arguments of components where they are written, instead of failing half-way through an update."""

import re
from collections.abc import Collection, Sequence
from typing import Any, TypeGuard

import pulumi

# Source: AWS Secrets Manager API Reference, CreateSecret.
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_SHORTEST_WINDOW, _LONGEST_WINDOW = 7, 30
_LAST_PORT = 65_535


class ArgumentError(ValueError):
    """An argument that cannot work. The message names the argument and never repeats a secret value."""


def check_secret_name(name: object) -> None:
    """Check the name of a secret.

    Raises:
        ArgumentError: not a string, empty, too long, or with other characters.
    """
    if not isinstance(name, str):
        raise ArgumentError(
            f"secret_name is {_kind(name)}: use a plain string, which roles name before the secret exists"
        )
    if not _SECRET_NAME.fullmatch(name):
        raise ArgumentError(
            f"secret_name {name!r} is not a valid secret name: use 1 to 512 letters, digits and /_+=.@-"
        )


def check_recovery_window(where: str, days: object) -> None:
    """Check a recovery window in days: 0, or 7 to 30.

    Raises:
        ArgumentError: AWS accepts no such window.
    """
    if not _is_whole(days) or (days != 0 and not _SHORTEST_WINDOW <= days <= _LONGEST_WINDOW):
        raise ArgumentError(
            f"{where}: recovery_window_days is {days!r}: use {_SHORTEST_WINDOW} to {_LONGEST_WINDOW}, "
            "or 0 to delete at once"
        )


def check_choice(where: str, name: str, value: object, choices: Collection[str]) -> None:
    """Check that a value is one of a few.

    Raises:
        ArgumentError: it is another one; the message lists them.
    """
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{where}: unknown {name} {value!r}: use {_listed(choices)}")


def check_number(where: str, name: str, value: object, least: int, most: int | None = None) -> None:
    """Check that a value is a whole number in a range; `most` None sets no upper limit.

    Raises:
        ArgumentError: it is not.
    """
    if not _is_whole(value) or value < least or (most is not None and value > most):
        limit = f"at least {least}" if most is None else f"{least} to {most}"
        raise ArgumentError(f"{where}: {name} is {value!r}: use a whole number, {limit}")


def check_port(where: str, port: object) -> None:
    """Check a TCP port.

    Raises:
        ArgumentError: not a number from 1 to 65535.
    """
    check_number(where, "port", port, 1, _LAST_PORT)


def check_text(where: str, name: str, value: object) -> None:
    """Check that a value is a string that is not empty, or an Output.

    Raises:
        ArgumentError: it is empty, or something else; the message does not repeat it.
    """
    if is_later(value):
        return
    if not isinstance(value, str):
        raise ArgumentError(f"{where}: {name} is {_kind(value)}: use a string or an Output of one")
    if not value.strip():
        raise ArgumentError(f"{where}: {name} is empty")


def check_plain_text(where: str, name: str, value: object) -> None:
    """Check that a value is a plain string that is not empty.

    Raises:
        ArgumentError: it is an Output, empty, or something else.
    """
    if is_later(value):
        raise ArgumentError(f"{where}: {name} is an Output: use a plain string")
    check_text(where, name, value)


def check_strings(where: str, name: str, values: object) -> None:
    """Check that a value is a list of strings, not one string, whose letters Python would take for a list.

    Raises:
        ArgumentError: it is not.
    """
    if isinstance(values, str):
        raise ArgumentError(f"{where}: {name} is one string: use a list, [{name[:-1]}]")
    if not isinstance(values, Sequence):
        raise ArgumentError(f"{where}: {name} is {_kind(values)}: use a list of strings")
    for value in values:
        check_text(where, f"an item of {name}", value)


def not_a_source(where: str, value: object) -> ArgumentError:
    """Return the error for something that is written where a value source belongs; without repeating it."""
    if isinstance(value, str) or is_later(value):
        remedy = "use Given(value=...) to store it, Random(length=...) to generate one"
    elif isinstance(value, (dict, list, int, float, bool)) or value is None:
        remedy = "use Structure(value=...) to store it as JSON; it is not secret"
    else:
        remedy = "use Random, RandomBytes, Given, Structure or FilledByHand"
    return ArgumentError(f"{where} is {_kind(value)}, not a value source: {remedy}")


def is_later(value: object) -> bool:
    """Return whether a value is known only later: an Output, or something to await."""
    return isinstance(value, pulumi.Output) or hasattr(value, "__await__")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:  # noqa: ANN401  whatever the caller wrote
    if isinstance(value, str):
        return "a plain string"
    if is_later(value):
        return "an Output"
    return "None" if value is None else f"of type {type(value).__name__}"


def _listed(choices: Collection[str]) -> str:
    *others, last = [f'"{choice}"' for choice in choices]
    return f"{', '.join(others)} or {last}" if others else last
