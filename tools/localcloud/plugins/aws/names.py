"""Names and ids that the provider makes up, and what it reads from names."""

import itertools
import re
import time

_count = itertools.count(1)
SUFFIX_LENGTH = 26


def unique_suffix() -> str:
    """Return 18 digits of the time and 8 of a counter: unique in a process, and nearly so among processes."""
    now = time.time_ns()
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now // 10**9))
    return f"{stamp}{now // 10**5 % 10**4:04d}{next(_count):08x}"


def unique_id() -> str:
    """Return an idempotency token as the official provider forms it; it becomes a version's id."""
    return f"terraform-{unique_suffix()}"


def prefix_of(name: str) -> str:
    """Return the `namePrefix` that a name was made from, or nothing."""
    found = re.fullmatch(rf"(.*)\d{{18}}[0-9a-f]{{{SUFFIX_LENGTH - 18}}}", name)
    return found[1] if found else ""
