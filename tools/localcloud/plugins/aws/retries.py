"""Call that the official provider sends again while AWS makes something known everywhere."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

# In place of the official provider's minutes.
SECONDS = float(os.environ.get("LOCALCLOUD_RETRY_SECONDS", "2"))
_PAUSE = 0.2


def retried(call: Callable[[], Answer], passes: Callable[[Exception], bool]) -> Answer:
    """Call until it succeeds, fails permanently, or SECONDS have passed, and return its answer."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  loaded when first needed

    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return call()
        except ClientError as error:
            if not passes(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
