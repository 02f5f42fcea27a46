"""A search for reads: which secrets, where, when, and with how many requests."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from operations.status.read_events import Secrets


class DeniedError(Exception):
    """A permission is missing; the message is its action."""


@dataclass
class Budget:
    """The requests that are left, and the pause in seconds between two of them."""

    requests: int
    pause: float
    tell: Callable[[str], None] | None = None
    sent: int = 0

    def take(self) -> bool:
        """Wait for the next request; return whether there is one."""
        if self.requests <= 0:
            return False
        if self.sent and self.pause:
            time.sleep(self.pause)
        self.requests, self.sent = self.requests - 1, self.sent + 1
        return True


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search.

    Attributes:
        secrets: whose reads count.
        regions: the stack's region and those of replicas.
        since, until: the time span, without its end, in whole seconds of UTC.
        budget: of requests.
    """

    secrets: Secrets
    regions: tuple[str, ...]
    since: datetime
    until: datetime
    budget: Budget
