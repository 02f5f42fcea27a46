"""Progress for many watchers: none of them holds a thread, and each client has a limited number."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

import automation

MOST_OF_A_CLIENT = 64
"""Streams that one address may have open at once."""


class Feed:
    """What a job has reported so far: one thread writes it, any number of coroutines read it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[automation.Progress] = []
        self._ended = False
        self._listeners: set[Callable[[], None]] = set()

    def report(self, event: automation.Progress) -> None:
        """Add an event."""
        with self._lock:
            self._events.append(event)
        self._wake()

    def end(self) -> None:
        """Say that no event will follow."""
        with self._lock:
            self._ended = True
        self._wake()

    async def read(self) -> AsyncIterator[automation.Progress]:
        """Yield all events from the first to the last, waiting for those to come."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def listener() -> None:
            with contextlib.suppress(RuntimeError):  # the service has ended
                loop.call_soon_threadsafe(news.set)

        with self._lock:
            self._listeners.add(listener)
        try:
            number = 0
            while True:
                news.clear()
                with self._lock:
                    events, ended = self._events[number:], self._ended
                for event in events:
                    yield event
                number += len(events)
                if ended:
                    return
                await news.wait()
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _wake(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


class Streams:
    """Counts the open streams of each client; used by the event loop alone."""

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
        if self._opened[self._client] >= MOST_OF_A_CLIENT:
            detail = f"{MOST_OF_A_CLIENT} streams of yours are open; close one first"
            await JSONResponse({"detail": detail}, HTTPStatus.TOO_MANY_REQUESTS)(scope, receive, send)
            return
        self._opened[self._client] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._opened[self._client] -= 1
            if not self._opened[self._client]:
                del self._opened[self._client]
