"""Give a running Redis or Valkey server its users, over TLS with a verified host name.

Nothing that a server says goes into an error: it may repeat a rule of the request.
"""

import socket
import ssl
from collections.abc import Mapping

from tools.localcloud.emulator.caches.model import DEFAULT, Endpoint, Server

_SECONDS = 5
_KEPT_REPLY = 100_000  # bytes of a reply that are read at most


class ServerError(Exception):
    """A server cannot be given its users. The message gives the reason and holds no value."""


def give(server: Server, users: Mapping[str, tuple[str, ...]]) -> None:
    """Make these the only users of a server, by name, with these rules; its administrator stays.

    A user that is removed loses its connections; one that only changes keeps them, as on AWS.

    Raises:
        ServerError: an endpoint does not answer, is not the expected server, or rejects a rule.
    """
    for endpoint in server.endpoints:
        _give(server, endpoint, users)


def _give(server: Server, endpoint: Endpoint, users: Mapping[str, tuple[str, ...]]) -> None:
    context = ssl.create_default_context(cadata=server.ca)
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), _SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=endpoint.host) as connection,
        ):
            _change(_Session(connection), server, users)
    except ssl.SSLCertVerificationError:
        raise ServerError("the server's certificate is not valid for this host and CA") from None
    except OSError as error:
        raise ServerError(f"the server does not answer ({type(error).__name__})") from None


def _change(session: "_Session", server: Server, users: Mapping[str, tuple[str, ...]]) -> None:
    if session.ask("AUTH", server.username, server.password) != "OK":
        raise ServerError("the server rejects the administrator's password")
    for name, rules in users.items():
        if name == server.username:
            raise ServerError("a user has the name of the server's administrator")
        # one command, and so one step: there is no moment without a password
        if session.ask("ACL", "SETUSER", name, *rules) != "OK":
            raise ServerError(f"the server rejects the access string of the user {name!r}")
    known = session.ask("ACL", "USERS")
    if not isinstance(known, list):
        raise ServerError("the server does not list its users")
    for name in {str(name) for name in known} - {*users, server.username}:
        if name == DEFAULT:
            # a connection that has not logged in yet counts as the default user's, even where that is off
            on = "off" not in str(session.ask("ACL", "GETUSER", DEFAULT))
            session.ask("ACL", "SETUSER", DEFAULT, "reset", "off")
            if on:
                session.ask("CLIENT", "KILL", "USER", DEFAULT)
        else:
            session.ask("ACL", "DELUSER", name)
    session.ask("ACL", "SAVE")  # an error where the server keeps no file of them


class _Session:
    """The protocol RESP 2, one command at a time."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def ask(self, *words: str) -> object:
        """Return a reply: a text, a list or a number; None for an error."""
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)]
        self._connection.sendall(b"".join(parts))
        return self._reply()

    def _reply(self) -> object:
        line = self._file.readline(_KEPT_REPLY)
        kind, rest = line[:1], line[1:].strip()
        if kind == b"-":
            return None
        if kind == b"+":
            return rest.decode()
        if not rest.lstrip(b"-").isdigit():
            raise ServerError("what answers is neither Redis nor Valkey")
        number = int(rest)
        if kind == b":":
            return number
        if kind == b"*":
            return [self._reply() for _ in range(number)]
        if kind == b"$":
            return self._file.read(number + 2)[:-2].decode(errors="replace") if number >= 0 else ""
        raise ServerError("what answers is neither Redis nor Valkey")
