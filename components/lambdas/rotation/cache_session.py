"""Log in to Redis or Valkey, over TLS with a verified server only.

The protocol (RESP, version 2) is small enough to be written here: a login is one request and one answer. A
server's messages are never repeated, because they may contain the words of a request, a password included.

Source: Redis serialization protocol specification.
"""

import contextlib
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from . import tls
from .cache_secret import DEFAULT_PORT, CacheLogin
from .driver import Holder
from .errors import LoginRefusedError, OperatorError
from .protocol import CA_FILE_VARIABLE, CA_PEM_VARIABLE, HOST, PORT

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 10
_LONGEST_LINE = 4096
_LONGEST_TEXT = 1 << 20
_LONGEST_LIST = 1 << 30  # it is read in parts, and clients choose names of any length
_PART = 1 << 16
_LONGEST_WORD = 1024
_LONG_WORD = re.compile(rb"([^ \n]{%d})[^ \n]+" % _LONGEST_WORD)
_DEEPEST = 8

_CODE = re.compile(rb"[A-Z]{1,20}(?= |$)")
_KILL = ("CLIENT", "KILL")
_LIST = ("CLIENT", "LIST")
_DEFAULT_USER = "default"  # whoever has the AUTH token

Reply: TypeAlias = "str | int | list[Reply] | None"


class RejectedError(OperatorError):
    """The server rejected a command.

    Attributes:
        code: the first word of its answer, such as NOPERM.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class _ProtocolError(Exception):
    """The server's answer is not in its protocol."""


@dataclass(frozen=True)
class _Session:
    """A connection to a server.

    Attributes:
        stream: the TLS connection as a file.
        server: the server as messages name it.
    """

    stream: io.BufferedRWPair
    server: str

    def call(self, *words: str) -> Reply:
        """Send a command and return the answer.

        Raises:
            RejectedError: the server rejected it.
        """
        self._send(words)
        return self._read(words[0])

    def lines(self, *words: str) -> Iterator[str]:
        """Send a command and yield the lines of its answer, which must all be read; long words are cut.

        Raises:
            RejectedError: the server rejected it.
        """
        self._send(words)
        kind, rest = self._begin(words[0])
        left, start = _number(rest), b""
        if kind != b"$" or not 0 <= left <= _LONGEST_LIST:
            raise _ProtocolError
        while left:
            part = self.stream.read(min(left, _PART))
            if not part:
                raise _ProtocolError
            left -= len(part)
            # the last line may not be complete, and neither may its last word
            *found, start = _LONG_WORD.sub(rb"\1", start + part).split(b"\n")
            yield from (line.decode(errors="replace") for line in found)
        if start:
            yield start.decode(errors="replace")
        if self.stream.read(2) != b"\r\n":
            raise _ProtocolError

    def _send(self, words: Sequence[str]) -> None:
        encoded = [word.encode() for word in words]
        parts = [f"*{len(encoded)}\r\n".encode(), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)]
        self.stream.write(b"".join(parts))
        self.stream.flush()

    def _begin(self, command: str) -> tuple[bytes, bytes]:
        """Return the kind of an answer, and the rest of its first line."""
        line = self.stream.readline(_LONGEST_LINE)
        if not line.endswith(b"\r\n"):
            raise _ProtocolError
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            found = _CODE.match(rest)
            code = found[0].decode() if found else "ERR"
            raise RejectedError(f"{self.server} rejected {command} ({code}).", code)
        return kind, rest

    def _read(self, command: str, depth: int = 0) -> Reply:
        if depth > _DEEPEST:
            raise _ProtocolError
        kind, rest = self._begin(command)
        match kind:
            case b"+":
                return rest.decode(errors="replace")
            case b":":
                return _number(rest)
            case b"$":
                return self._text(_number(rest))
            case b"*":
                count = _number(rest)
                return None if count < 0 else [self._read(command, depth + 1) for _ in range(count)]
            case _:
                raise _ProtocolError

    def _text(self, length: int) -> str | None:
        if length < 0:
            return None
        if length > _LONGEST_TEXT:
            raise _ProtocolError
        data = self.stream.read(length + 2)
        if len(data) != length + 2:
            raise _ProtocolError
        return data[:-2].decode(errors="replace")


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise _ProtocolError from None


def log_in(login: CacheLogin) -> None:
    """Log in as a workload would.

    Raises:
        LoginRefusedError: wrong user or password.
        OperatorError: the server is unreachable, not trusted, or rejects the login for another reason.
    """
    with _session(login):
        pass


def works(login: CacheLogin) -> bool:
    """Return whether user and password are right; False if there is no password yet.

    Raises:
        OperatorError: the server could not be reached, or rejected the login for another reason.
    """
    if not login.password:
        return False
    try:
        log_in(login)
    except LoginRefusedError:
        return False
    return True


def is_open(login: CacheLogin) -> bool:
    """Return whether the server accepts commands without any password."""
    with _connected(login.host, login.port) as session:
        try:
            session.call("PING")
        except RejectedError as rejected:
            if rejected.code == "NOAUTH":
                return False
            if rejected.code == "NOPERM":
                return True
            raise
        return True


def place_of(url: object) -> tuple[str, int] | None:
    """Return host and port of a URL; None if it is not one."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts and parts.hostname:
            return parts.hostname, parts.port or DEFAULT_PORT
    return None


def end_sessions(login: CacheLogin, readers: Sequence[tuple[str, int]] = ()) -> int:
    """End the login's sessions on every server of the cache that can be found; return how many.

    Args:
        login: the login, which ends its own sessions.
        readers: endpoints of readers, by host and port.

    Raises:
        OperatorError: the user may not run CLIENT KILL, or the cache has no such command.
    """
    ended = 0
    for host, port in dict.fromkeys([(login.host, login.port), *readers, *_nodes(login)]):
        for address in _addresses(host, port):
            with _session(login, (host, port), address) as session:
                ended += _end_sessions_of(session, login)
    return ended


@contextlib.contextmanager
def observed(
    login: CacheLogin, readers: Sequence[tuple[str, int]] = ()
) -> Iterator[Callable[[float], list[Holder]]]:
    """Log in to every server of the cache that can be found; yield what lists the login's clients.

    It takes a time in seconds since 1970, and returns the clients that have been connected since before that.

    Raises:
        LoginRefusedError: wrong user or password.
        OperatorError: the user may not run CLIENT LIST, or the cache has no such command.
    """
    with contextlib.ExitStack() as stack:
        sessions = [
            stack.enter_context(_session(login, (host, port), address))
            for host, port in dict.fromkeys([(login.host, login.port), *readers, *_nodes(login)])
            for address in _addresses(host, port)
        ]
        yield lambda before: [
            holder for session in sessions for holder in _clients_of(session, login, before)
        ]


def _clients_of(session: _Session, login: CacheLogin, before: float) -> list[Holder]:
    age = time.time() - before
    user = login.username or _DEFAULT_USER
    found = []
    try:
        for line in session.lines(*_LIST):
            client = {name: value for name, _, value in (part.partition("=") for part in line.split(" "))}
            # the server rounds ages down; the function's own session is the one that lists
            if client.get("user") == user and _number(client.get("age", "0").encode()) >= age:
                host = client.get("addr", "").rpartition(":")[0].strip("[]")
                application = client.get("name") or client.get("lib-name") or ""
                found.append(Holder(user=user, host=host, application=application))
    except RejectedError as rejected:
        reason = (
            "its access string does not allow it: add +client|list"
            if rejected.code == "NOPERM"
            else "the cache does not have this command, as serverless caches"
        )
        raise OperatorError(
            f"{session.server} does not let {login.who} see its clients (CLIENT LIST): {reason}. Without it, "
            "remove whileOldPasswordIsUsed."
        ) from None
    return found


def _end_sessions_of(session: _Session, login: CacheLogin) -> int:
    filters = [("USER", login.username)] if login.username else [("TYPE", "normal"), ("TYPE", "pubsub")]
    ended = 0
    for name, value in filters:
        try:
            answer = session.call(*_KILL, name, value, "SKIPME", "yes")
        except RejectedError as rejected:
            reason = (
                "its access string does not allow it: add +client|kill"
                if rejected.code == "NOPERM"
                else "the cache does not have this command, as serverless caches"
            )
            raise OperatorError(
                f"{session.server} does not let {login.who} end its sessions (CLIENT KILL): {reason}. Rotate "
                "twice instead, and restart the applications."
            ) from None
        ended += answer if isinstance(answer, int) else 0
    return ended


def _nodes(login: CacheLogin) -> list[tuple[str, int]]:
    """Return the nodes of a cluster, by the names that it announces; none without cluster mode."""
    with _session(login) as session:
        try:
            slots = session.call("CLUSTER", "SLOTS")
        except RejectedError:
            return []
    found = []
    for shard in slots if isinstance(slots, list) else []:
        for node in shard[2:] if isinstance(shard, list) else []:
            match node:
                case [str(host), int(port), *_] if host:
                    found.append((host, port))
    return found


def _addresses(host: str, port: int) -> list[str]:
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise _unresolved(f"{host}:{port}") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in known))


@contextlib.contextmanager
def _session(
    login: CacheLogin, place: tuple[str, int] | None = None, address: str | None = None
) -> Iterator[_Session]:
    host, port = place or (login.host, login.port)
    with _connected(host, port, address) as session:
        credentials = [login.password] if login.username is None else [login.username, login.password]
        try:
            session.call("AUTH", *credentials)
        except RejectedError as rejected:
            # servers up to version 5 have no code of their own
            if rejected.code in {"WRONGPASS", "ERR"}:
                raise LoginRefusedError(f"{session.server} rejected the password of {login.who}.") from None
            raise
        yield session


@contextlib.contextmanager
def _connected(host: str, port: int, address: str | None = None) -> Iterator[_Session]:
    server = f"{host}:{port}"
    try:
        plain = socket.create_connection((address or host, port), _CONNECT_SECONDS)
    except socket.gaierror:
        raise _unresolved(server) from None
    except OSError as error:
        raise OperatorError(
            f"{server} is unreachable ({type(error).__name__}). Check the keys {HOST!r} and {PORT!r}, that "
            "the cache is running, and that its security group allows the function."
        ) from None
    try:
        plain.settimeout(_ANSWER_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with (
            tls.context().wrap_socket(plain, server_hostname=host) as encrypted,
            encrypted.makefile("rwb") as stream,
        ):
            yield _Session(stream, server)
    except (OSError, _ProtocolError) as error:
        raise _problem(error, server) from None
    finally:
        plain.close()


def _unresolved(server: str) -> OperatorError:
    return OperatorError(f"{server}: the host name does not resolve. Correct the key {HOST!r}.")


def _problem(error: Exception, server: str) -> OperatorError:
    match error:
        case ssl.SSLCertVerificationError():
            text = (
                f"is not trusted: {error.verify_message}. The function trusts the certificate authorities of "
                f"Amazon and those in {CA_PEM_VARIABLE} or {CA_FILE_VARIABLE}. The key {HOST!r} must be a "
                "name in the certificate."
            )
        case ssl.SSLError():
            text = (
                "does not support TLS, without which no password is sent. Turn on encryption in transit, or "
                f"correct the key {PORT!r}."
            )
        case _:
            text = f"did not complete the login ({type(error).__name__.strip('_')})."
    return OperatorError(f"{server} {text}")
