"""A web server on this machine that plays the download service of Pulumi, and fails on request."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from tools.localcloud.certificates import make_authority, write_server_certificate


@dataclass
class Downloads:
    """The server's files, its faults, and the requests that it received."""

    files: dict[str, bytes] = field(default_factory=dict)
    # The first answers end after this many bytes of the body; one entry for each.
    cut_after: list[int] = field(default_factory=list)
    # After the cut: say nothing more, or close the connection.
    stalls: bool = False
    # Send a byte at a time.
    trickles: bool = False
    ranges: bool = True
    status: int = HTTPStatus.OK
    address: str = ""
    # Each request's path, and its Range header or "".
    requests: list[tuple[str, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def download_server(tls_folder: Path | None = None) -> Iterator[Downloads]:
    """Yield a running server; over TLS with a certificate in `tls_folder` (`ca.pem` is its authority)."""
    downloads = Downloads()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, downloads)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if tls_folder is not None:
        authority, scheme = make_authority("downloads"), "https"
        (tls_folder / "ca.pem").write_bytes(authority.pem())
        files = tls_folder / "server.pem", tls_folder / "server.key"
        write_server_certificate(authority, "localhost", *files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    downloads.address = f"{scheme}://localhost:{server.server_port}/releases"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield downloads
    finally:
        downloads.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: http.server.BaseHTTPRequestHandler, downloads: Downloads) -> None:
    asked = handler.headers.get("Range", "")
    downloads.requests.append((handler.path, asked))
    body = downloads.files.get(handler.path.removeprefix("/releases/"))
    if body is None or downloads.status != HTTPStatus.OK:
        handler.send_error(HTTPStatus.NOT_FOUND if body is None else downloads.status)
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and downloads.ranges else 0
    if asked and downloads.ranges and start >= len(body):
        handler.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        handler.send_header("Content-Range", f"bytes */{len(body)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    if downloads.trickles:
        with contextlib.suppress(OSError):
            for byte in body:
                handler.wfile.write(bytes([byte]))
                downloads.ended.wait(0.05)
        return
    cut = downloads.cut_after.pop(0) if downloads.cut_after else None
    handler.wfile.write(body[start:] if cut is None else body[start : start + cut])
    if cut is not None and downloads.stalls:
        handler.wfile.flush()
        downloads.ended.wait(30)
