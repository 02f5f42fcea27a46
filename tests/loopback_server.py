"""Small HTTP servers of the tests, on a free port of this machine."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Headers that belong to one connection, or that the server writes itself.
_OWN = {"content-length", "transfer-encoding", "connection", "date", "server"}


@dataclass(frozen=True)
class Answer:
    """What a server said, without the headers of its connection."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open and says nothing of what it does."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def forwarded(self, endpoint: str, body: bytes) -> Answer:
        """What the server at `endpoint` says to this request, a POST."""
        target = urlsplit(endpoint)
        upstream = http.client.HTTPConnection(target.hostname or "", target.port)
        upstream.request("POST", self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        headers = tuple(header for header in answer.getheaders() if header[0].lower() not in _OWN)
        return Answer(answer.status, headers, answer.read())

    def reply(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@contextmanager
def serving(handler: type[Handler]) -> Iterator[str]:
    """The server's address; it ends with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
