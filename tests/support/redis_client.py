"""A client of a Redis or Valkey server with TLS, and who it is with which password."""

import socket
import ssl
from pathlib import Path
from typing import Protocol, Self


class RedisAddress(Protocol):
    """Where a server listens, with TLS only."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def ca_file(self) -> Path: ...


class Session:
    """A client's connection."""

    def __init__(self, server: RedisAddress) -> None:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        plain = socket.create_connection((server.host, server.port), 10)
        self._connection = context.wrap_socket(plain, server_hostname=server.host)
        self._file = self._connection.makefile("rb")

    def ask(self, *words: str) -> str:
        """Return a reply's first line, or the text that it announces; "" if the connection is closed."""
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)]
        self._connection.sendall(b"".join(parts))
        line = self._file.readline().decode().strip()
        if line.startswith("$") and line != "$-1":
            return self._file.readline().decode().strip()
        return line

    def close(self) -> None:
        self._file.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def login(server: RedisAddress, *credentials: str) -> str:
    """Return who a client is with these credentials, or the error; without credentials it does not log in."""
    try:
        with Session(server) as session:
            answer = session.ask("AUTH", *credentials) if credentials else "+OK"
            return session.ask("ACL", "WHOAMI") if answer == "+OK" else answer
    except OSError as error:
        return type(error).__name__
