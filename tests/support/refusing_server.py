"""Answers every request with one refusal, as a service does to credentials that it does not take."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.loopback_server import Answer, Handler, serving


@contextmanager
def refusing(status: int, content_type: str, body: str) -> Iterator[str]:
    """The server's address."""
    answer = Answer(status, (("Content-Type", content_type),), body.encode())

    class Refusing(Handler):
        def _refuse(self) -> None:
            self.body()
            self.reply(answer)

        do_GET = do_POST = do_PUT = do_HEAD = _refuse  # noqa: N815  the base class's names

    with serving(Refusing) as address:
        yield address
