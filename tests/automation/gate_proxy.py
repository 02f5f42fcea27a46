"""Stands between the plugin and the emulator and holds back calls until a test opens the gate."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Headers that belong to one connection, or that the proxy writes itself.
_OWN = {"content-length", "transfer-encoding", "connection", "date", "server"}


@dataclass
class Gate:
    """`reached` when a call of `operation` waits; it goes on when `opened`, or is lost if `loses` is set."""

    operation: str
    address: str = ""
    loses: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)


@contextmanager
def gate(endpoint: str, operation: str) -> Iterator[Gate]:
    """A proxy for `endpoint`; the gate is opened at the end, whatever happens."""
    target = urlsplit(endpoint)
    made = Gate(operation)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers.get("X-Amz-Target", "").endswith(f".{made.operation}"):
                made.reached.set()
                made.opened.wait(timeout=120)
                if made.loses:
                    self.close_connection = True
                    return
            upstream = http.client.HTTPConnection(target.hostname or "", target.port)
            upstream.request("POST", self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            with contextlib.suppress(OSError):  # who asked may be gone
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _OWN:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    made.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        made.opened.set()
        server.shutdown()
        thread.join()
        server.server_close()
