"""Small HTTP servers for tests, on a free loopback port."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Headers of one connection, or written by the server itself.
_OWN = {"content-length", "transfer-encoding", "connection", "date", "server"}


@dataclass(frozen=True)
class Answer:
    """A server's response, without its connection headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes


class Handler(BaseHTTPRequestHandler):
    """Keep connections open, and log nothing."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def forwarded(self, endpoint: str, body: bytes) -> Answer:
        """Return the response of the server at `endpoint` to a POST request."""
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
    """Yield the server's address; the server stops with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
