"""Stands between the plugin and the emulator and kills the update right before or after a chosen call.

So the points of a crash are enumerated, not sampled: before a call nothing has happened in AWS; after it AWS
has done it and nobody has been told.
"""

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

READS = ("Get", "List", "Describe", "Validate")


@dataclass
class Crash:
    """Kill the process group `victim` at the first call of `operation`, before or after AWS does it.

    `calls` are the operations that changed something, in the order in which they came.
    """

    operation: str
    after: bool
    victim: int | None = None
    calls: list[str] = field(default_factory=list)
    happened: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self) -> None:
        assert self.victim is not None
        os.killpg(self.victim, signal.SIGKILL)
        self.happened.set()


@contextmanager
def crashing(endpoint: str, crash: Crash) -> Iterator[str]:
    """The address of a proxy for `endpoint` that crashes its client once."""
    target = urlsplit(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            chosen = False
            if operation and not operation.startswith(READS):
                with crash.lock:
                    chosen = operation == crash.operation and operation not in crash.calls
                    crash.calls.append(operation)
            if chosen and not crash.after:
                crash.strike()
            if crash.happened.is_set():
                self.close_connection = True
                return
            upstream = http.client.HTTPConnection(target.hostname or "", target.port)
            upstream.request("POST", self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            if chosen:
                crash.strike()
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "date",
                    "server",
                }:
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
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
