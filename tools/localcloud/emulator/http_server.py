"""The HTTP server in front of the emulator: connections stay open, and each answer is one write.

AWS's clients keep connections in a pool. A client whose connection is closed under it, or that sees half an
answer, sends the request again, and several operations of AWS must not run twice.
"""

import io
import json
import sys
import traceback
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from socket import socket
from typing import IO, Any, cast

from werkzeug.serving import BaseWSGIServer, DechunkedInput, WSGIRequestHandler, make_server

_LISTED = 40  # characters of a Content-Length header that are read at most
_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _IncompleteRequestError(Exception):
    """The client closed the connection before it had sent the whole request."""


class Handler(WSGIRequestHandler):
    """One connection: reads whole requests and answers each in one write, until the client closes it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, _type: str, _message: str, *_args: object) -> None:
        """Write nothing: the application logs what may be written."""

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        try:
            body = self._body(environ)
        except _IncompleteRequestError:
            self.close_connection = True
            return
        except ValueError:
            self.close_connection = True  # where the next request begins is unknown
            self._send("400 Bad Request", [], b"")
            return
        # http.server has answered Expect: 100-continue; what is read is what there is
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        self._send(*answer(self.server.app, environ))

    def _body(self, environ: dict[str, Any]) -> bytes:
        """Return the request's body.

        Raises:
            ValueError: its length is not a number.
            _IncompleteRequestError: the connection ended before.
        """
        if environ.get("wsgi.input_terminated"):
            try:
                return DechunkedInput(cast("IO[bytes]", self.rfile)).read()
            except OSError:
                raise _IncompleteRequestError from None
        length = int(str(environ.get("CONTENT_LENGTH") or "0")[:_LISTED])
        if length < 0:
            raise ValueError
        body = self.rfile.read(length)
        if len(body) < length:
            raise _IncompleteRequestError
        return body

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """Write status, headers and body at once."""
        code = int(status.split(" ", 1)[0])
        lines = [f"HTTP/1.1 {status}", f"Server: {self.version_string()}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _OURS]
        if self.command == "HEAD":
            lines += [f"{name}: {value}" for name, value in headers if name.lower() == "content-length"]
            body = b""
        elif code not in _WITHOUT_BODY:
            lines.append(f"Content-Length: {len(body)}")
        else:
            body = b""
        if self.close_connection:
            lines.append("Connection: close")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


_OURS = {"connection", "content-length", "date", "server", "transfer-encoding"}


def answer(application: Application, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the application's status, headers and whole body; a fault of ours is answered with a 500."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
        begun.append((status, headers))

    try:
        answered = application(environ, start_response)
        try:
            body = b"".join(answered)
        finally:
            close = getattr(answered, "close", None)
            if close is not None:
                close()
        return (*begun[-1], body)
    except Exception as error:  # noqa: BLE001  whatever it is, the client gets an answer
        # its text may contain a part of the request
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        print(f"failed: {type(error).__name__} at {place}", file=sys.stderr, flush=True)
        refusal = {"__type": "InternalFailure", "Message": "The local cloud failed; its log says where."}
        headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", "InternalFailure")]
        return "500 Internal Server Error", headers, json.dumps(refusal).encode()


def serving(listener: socket, application: Application) -> BaseWSGIServer:
    """Return a server on a listening socket, with a thread for each connection."""
    return make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=Handler, fd=listener.fileno()
    )
