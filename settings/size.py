"""How large a stack's configuration may be.

Pulumi's language hosts hand the whole of it to the program in one variable of the environment, PULUMI_CONFIG,
and Linux takes variables of up to 32 pages (MAX_ARG_STRLEN in include/uapi/linux/binfmts.h).
"""

import json
import sys
from collections.abc import Iterator, Mapping

from settings.checking import Configuration
from settings.mistakes import Mistake, path_of

LIMIT = 32 * 4096
_NEAR = 0.75
_VARIABLE = "PULUMI_CONFIG"


def size_of(values: Mapping[str, object]) -> int:
    """Bytes of the variable, by full key to value, with its name and end."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for key, value in values.items()
    }
    return len(f"{_VARIABLE}={json.dumps(texts, separators=(',', ':'))}\0".encode())


def too_large(configuration: Configuration, place: tuple[str, ...] = ("secrets",)) -> Iterator[Mistake]:
    """The mistake that it is larger than a program can be given; `place` is what is to be made smaller."""
    size = size_of(configuration.values)
    if sys.platform == "linux" and size > LIMIT:
        yield Mistake(
            path_of(configuration.project, place),
            f"the configuration takes {_kib(size)} KiB, and Linux lets a program have {_kib(LIMIT)} KiB",
            'Pulumi could not start the program: "argument list too long"',
            "Divide it over more stacks with fleet (docs/fleet.md)",
        )


def nearly_too_large(values: Mapping[str, object]) -> str | None:
    """What to tell who is on the way there."""
    size = size_of(values)
    if sys.platform != "linux" or size < _NEAR * LIMIT:
        return None
    return (
        f"The configuration takes {_kib(size)} of the {_kib(LIMIT)} KiB that Linux lets a program have; with "
        "more it cannot be started. Divide it over several stacks before it grows further: docs/fleet.md."
    )


def _kib(size: int) -> int:
    return -(-size // 1024)
