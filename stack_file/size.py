"""Check the size of a stack's configuration.

Pulumi's language hosts pass all of it to the program in one environment variable, PULUMI_CONFIG, and Linux
accepts variables of up to 32 pages (MAX_ARG_STRLEN in include/uapi/linux/binfmts.h).
"""

import json
import sys
from collections.abc import Iterator, Mapping

from stack_file.checking import Configuration
from stack_file.mistakes import Mistake, path_of

LIMIT = 32 * 4096
_NEAR = 0.75
VARIABLE = "PULUMI_CONFIG"
_REMEDY = (
    "Move declarations to files that the stack file includes (docs/stack-file.md#size), or split it into "
    "several stacks with fleet (docs/fleet.md)"
)


def size_of(values: Mapping[str, object]) -> int:
    """Return the size of the environment variable in bytes, with its name and terminator.

    Args:
        values: full key to value.
    """
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for key, value in values.items()
    }
    return len(f"{VARIABLE}={json.dumps(texts, separators=(',', ':'))}\0".encode())


def too_large(configuration: Configuration, place: tuple[str, ...] = ("secrets",)) -> Iterator[Mistake]:
    """Yield a mistake if the configuration exceeds the limit of the operating system.

    Args:
        configuration: the configuration.
        place: the part of the stack file to report.
    """
    size = size_of(configuration.passed)
    if sys.platform == "linux" and size > LIMIT:
        yield Mistake(
            path_of(configuration.project, place),
            f"the configuration takes {_kib(size)} KiB; the limit on Linux is {_kib(LIMIT)} KiB",
            'Pulumi could not start the program ("argument list too long")',
            _REMEDY,
        )


def nearly_too_large(values: Mapping[str, object]) -> str | None:
    """Return a warning if the configuration is close to the limit."""
    size = size_of(values)
    if sys.platform != "linux" or size < _NEAR * LIMIT:
        return None
    return (
        f"The configuration takes {_kib(size)} of the {_kib(LIMIT)} KiB that Linux accepts. Before it grows "
        f"further: {_REMEDY[0].lower()}{_REMEDY[1:]}."
    )


def _kib(size: int) -> int:
    return -(-size // 1024)
