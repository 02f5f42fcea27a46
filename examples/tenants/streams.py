"""Progress streams for many clients, without a thread for each, and with a limit per client."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

import operations

MAX_STREAMS_PER_CLIENT = 64
"""Maximum number of open streams per address."""


class Feed:
    """The progress of a job, written by one thread and read by any number of coroutines."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[operations.Progress] = []
        self._ended = False
        self._listeners: set[Callable[[], None]] = set()

    def report(self, event: operations.Progress) -> None:
        """Add an event."""
        with self._lock:
            self._events.append(event)
        self._wake()

    def end(self) -> None:
        """Mark the feed as complete."""
        with self._lock:
            self._ended = True
        self._wake()

    async def read(self) -> AsyncIterator[operations.Progress]:
        """Yield all events from the first on, until the feed is complete."""
        loop, updated = asyncio.get_running_loop(), asyncio.Event()

        def listener() -> None:
            with contextlib.suppress(RuntimeError):  # the service has ended
                loop.call_soon_threadsafe(updated.set)

        with self._lock:
            self._listeners.add(listener)
        try:
            number = 0
            while True:
                updated.clear()
                with self._lock:
                    events, ended = self._events[number:], self._ended
                for event in events:
                    yield event
                number += len(events)
                if ended:
                    return
                await updated.wait()
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _wake(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


class Streams:
    """Counts the open streams of each client. Used only in the event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def response(self, client: str, lines: AsyncIterator[str]) -> StreamingResponse:
        """Return a response that streams the lines, or 429 if the client has too many streams open."""
        return _BoundedResponse(lines, client, self._open)


class _BoundedResponse(StreamingResponse):
    def __init__(self, lines: AsyncIterator[str], client: str, opened: Counter[str]) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._client = client
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._opened[self._client] >= MAX_STREAMS_PER_CLIENT:
            detail = f"you have {MAX_STREAMS_PER_CLIENT} open streams, the maximum; close one first"
            await JSONResponse({"detail": detail}, HTTPStatus.TOO_MANY_REQUESTS)(scope, receive, send)
            return
        self._opened[self._client] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._opened[self._client] -= 1
            if not self._opened[self._client]:
                del self._opened[self._client]
