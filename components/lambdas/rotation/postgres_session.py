"""Connect to PostgreSQL, over TLS with a verified server only, and with a password that the server checks."""

import contextlib
import random
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pg8000.native

from . import tls
from .errors import LoginBusyError, LoginRefusedError, OperatorError
from .postgres_secret import Login
from .protocol import HOST, PORT

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 30
_STATEMENT_SECONDS = 25  # shorter than the wait for an answer, so that the server gives up first and says why
_LOCK_SECONDS = 5

# Sessions that alter one role at the same time fail with "tuple concurrently updated", so they take turns
# with an advisory lock ("aws-sec"). Any login may hold it: the wait is short, and a failed transaction is
# retried.
_TURN_LOCK = 0x6177732D736563
_TURN_SECONDS = 2.0
_TRIES = 5
_CONCURRENT = {"23505", "40001", "40P01", "42710"}
_INTERNAL_ERROR, _TUPLE_UPDATED = "XX000", "concurrently"

_INVALID_LOGIN = "28P01"
_NOT_ALLOWED = "42501"
_NO_GRANTOR = "no possible grantors"  # PostgreSQL 16 and later; SQLSTATE XX000
_TOO_MANY_CONNECTIONS = "53300"
LOCK_NOT_AVAILABLE = "55P03"

# They take precedence over the settings of the role and the database, which others choose.
_SETTINGS = {
    "client_encoding": "UTF8",
    "default_transaction_read_only": "off",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": f"{_LOCK_SECONDS}s",
    "search_path": "pg_catalog, pg_temp",
    "statement_timeout": f"{_STATEMENT_SECONDS}s",
}

Answer = TypeVar("Answer")


class SqlError(OperatorError):
    """The server rejected a statement.

    Attributes:
        code: SQLSTATE.
        concurrent: whether another session changed the same object at the same time: a retry may succeed.
    """

    def __init__(self, message: str, code: str, *, concurrent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.concurrent = concurrent


class _ProvenConnection(pg8000.native.Connection):  # type: ignore[misc] # pg8000 has no type information
    """A connection that logs in with SCRAM or MD5 only, and only if the server has checked the password.

    A server that requests a cleartext password would learn it, and with one that trusts everybody every
    password would seem right. An MD5 response allows guessing the password, so an administrator sends none.
    """

    user: bytes
    _proven = False
    _scram_only = False

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: object) -> None:  # noqa: N802 - pg8000's name
        kind = int.from_bytes(data[:4])
        if kind == 3:  # noqa: PLR2004 - AuthenticationCleartextPassword
            raise _NoProofError(
                "requests a cleartext password, as for IAM, LDAP and PAM logins, whose passwords cannot be "
                "rotated here"
            )
        if kind == 0 and not self._proven:
            raise _NoProofError(
                "accepts this user without a password; change its pg_hba.conf to scram-sha-256"
            )
        if kind == 5 and self._scram_only:  # noqa: PLR2004 - AuthenticationMD5Password
            raise _NoProofError(
                "requests an MD5 response, from which the administrator's password could be guessed; set "
                "password_encryption to scram-sha-256 and set the password again"
            )
        self._proven = self._proven or kind in {5, 12}
        user: bytes = self.user
        if kind == 10:  # noqa: PLR2004 - AuthenticationSASL
            # PostgreSQL ignores the name in SCRAM, and not every role name is a valid one there
            self.user = b"-"
        super().handle_AUTHENTICATION_REQUEST(data, context)
        self.user = user


class _ScramConnection(_ProvenConnection):
    """A connection that logs in with SCRAM only."""

    _scram_only = True


class _NoProofError(Exception):
    """The server's authentication method does not prove that the password is right."""


class Session:
    """A connection to PostgreSQL. Changes are committed only by `transact`."""

    def __init__(self, connection: Any, server: str) -> None:  # noqa: ANN401 - pg8000 has no type information
        """Wrap an open pg8000 connection to `server`."""
        self._connection = connection
        self._server = server
        self.version = major_version(connection.parameter_statuses["server_version"])

    def rows(self, sql: str, **parameters: object) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows; it refers to a parameter as `:name`."""
        try:
            rows: Sequence[Sequence[Any]] = self._connection.run(sql, **parameters) or []
        except pg8000.native.DatabaseError as error:
            raise _sql_error(error, self._server, sql) from None
        except (pg8000.native.InterfaceError, OSError) as error:
            raise OperatorError(
                f"The connection to PostgreSQL at {self._server} was lost ({type(error).__name__}). Secrets "
                "Manager retries a rotation; run a deployment again."
            ) from None
        return rows

    def value(self, sql: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever the query selects
        """Run a query and return its single value; None if there is no row."""
        rows = self.rows(sql, **parameters)
        return rows[0][0] if rows else None

    def execute(self, sql: str) -> None:
        """Run a statement whose names and values are already quoted."""
        self.rows(sql)

    def attempt(self, sql: str) -> str | None:
        """Run a statement whose failure does not abort the transaction; return the error, None on success."""
        self.execute("SAVEPOINT attempt")
        try:
            self.execute(sql)
        except SqlError as error:
            self.execute("ROLLBACK TO SAVEPOINT attempt")
            return str(error)
        self.execute("RELEASE SAVEPOINT attempt")
        return None

    def transact(self, work: Callable[[], Answer], *, commit: bool = True) -> Answer:
        """Run `work` in a transaction; retry it if another session changed the same objects meanwhile.

        Args:
            work: runs statements of this session; it may run again.
            commit: whether the changes take effect. Default: True; a rehearsal rolls them back.
        """
        for remaining in reversed(range(_TRIES)):
            self.execute("BEGIN READ WRITE")
            try:
                self._take_turn()
                answer = work()
                self.execute("COMMIT" if commit else "ROLLBACK")
            except SqlError as error:
                self.execute("ROLLBACK")
                if not error.concurrent or not remaining:
                    raise
                time.sleep(random.uniform(0.05, 0.3))  # noqa: S311 - not a secret
            except OperatorError:
                with contextlib.suppress(OperatorError):  # the first error says why
                    self.execute("ROLLBACK")
                raise
            else:
                return answer
        raise AssertionError  # the last try returns or raises

    def _take_turn(self) -> None:
        deadline = time.monotonic() + _TURN_SECONDS
        while (
            not self.value(f"SELECT pg_try_advisory_xact_lock({_TURN_LOCK})") and time.monotonic() < deadline
        ):
            time.sleep(0.05)


def major_version(text: str) -> int:
    """Return the major version of a server_version such as `16.4 (Debian 16.4-1)` or `19beta1`."""
    match = re.match(r"\d+", text)
    if match is None:
        raise OperatorError("The server reports a version without a number: it is not PostgreSQL.")
    return int(match[0])


@contextlib.contextmanager
def session(login: Login, *, as_itself: bool = False, scram_only: bool = False) -> Iterator[Session]:
    """Log in, and log out at the end.

    Args:
        login: where and how to log in.
        as_itself: undo the user's `ALTER ROLE ... SET role`, for changes to the user itself.
        scram_only: authenticate with SCRAM or not at all.

    Raises:
        LoginRefusedError: wrong user or password.
        LoginBusyError: the password is right, but the user has no connection left.
        OperatorError: the server is unreachable, not trusted, or rejects the login for another reason.
    """
    connection = _connect(login, scram_only=scram_only)
    try:
        opened = Session(connection, login.server)
        if as_itself:
            opened.execute("SET ROLE NONE")
        yield opened
    finally:
        with contextlib.suppress(Exception):  # the connection may be lost; the result is known by now
            connection.close()


def works(login: Login) -> bool:
    """Return whether user and password are right.

    Raises:
        OperatorError: the server could not be reached, or rejected the login for another reason.
    """
    try:
        with session(login) as opened:
            opened.execute("SELECT 1")
    except LoginRefusedError:
        return False
    except LoginBusyError:
        pass  # the server checks the password first
    return True


def _connect(login: Login, *, scram_only: bool) -> Any:  # noqa: ANN401 - pg8000 has no type information
    where = f"PostgreSQL at {login.server}"
    try:
        connected = socket.create_connection((login.host, login.port), _CONNECT_SECONDS)
    except socket.gaierror:
        raise OperatorError(f"{where}: the host name does not resolve. Correct the key {HOST!r}.") from None
    except OSError as error:
        raise OperatorError(
            f"{where} is unreachable ({type(error).__name__}). Check the keys {HOST!r} and {PORT!r}, that "
            "the server is running, and that its security group allows the function."
        ) from None
    connected.settimeout(_ANSWER_SECONDS)
    connected.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # otherwise every login waits 40 ms for a delayed ACK
    try:
        return (_ScramConnection if scram_only else _ProvenConnection)(
            login.username,
            login.host,
            login.database,
            login.port,
            login.password,
            ssl_context=tls.context(),
            sock=connected,
            application_name="aws-secrets-rotation",
            startup_params=dict(_SETTINGS),
        )
    except BaseException as error:
        connected.close()
        if isinstance(error, Exception):
            raise _connection_problem(error, where, login) from None
        raise


def _connection_problem(error: Exception, where: str, login: Login) -> OperatorError:
    match error:
        case OperatorError():
            return error
        case pg8000.native.DatabaseError():
            rejection = _sql_error(error, login.server)
            if rejection.code == _INVALID_LOGIN:
                return LoginRefusedError(f"{where} rejected the password of user {login.username!r}.")
            # the limits of a role and a database are checked after the password, the server's limit before
            if rejection.code == _TOO_MANY_CONNECTIONS and "too many connections for" in str(rejection):
                return LoginBusyError(
                    f"{where}: the application uses all connections of {login.username!r}. Close some, or "
                    "raise the CONNECTION LIMIT."
                )
            return rejection
        case ssl.SSLCertVerificationError():
            text = tls.explanation(error)
        case _NoProofError():
            text = f"{error}."
        case pg8000.native.InterfaceError() if "refuses SSL" in str(error):
            text = "does not support TLS, without which no password is sent. Turn on 'ssl' on the server."
        case OSError() | pg8000.native.InterfaceError():
            text = f"did not complete the login ({type(error).__name__})."
        case _:  # scramp's errors: the password cannot be encoded, or the server does not know it itself
            text = f"did not complete the login as {login.username!r} ({type(error).__name__})."
    return OperatorError(f"{where} {text}")


def _sql_error(error: Exception, server: str, sql: str = "") -> SqlError:
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    code, message = str(fields.get("C", "")), str(fields.get("M", "no reason given"))
    hint = ""
    if message == _NO_GRANTOR and sql.startswith("GRANT "):
        message = f"{sql}: {message}"  # the message names no role; a GRANT contains no password
    if (code == _NOT_ALLOWED and ("role" in message or message == "permission denied")) or (
        message.endswith(_NO_GRANTOR)
    ):
        hint = (
            ". From PostgreSQL 16 on, CREATEROLE alone is not enough for a role that somebody else created: "
            "its creator or a superuser must run GRANT ... TO the administrator WITH ADMIN OPTION"
        )
    concurrent = code in _CONCURRENT or (code == _INTERNAL_ERROR and _TUPLE_UPDATED in message)
    text = f"PostgreSQL at {server} reported: {message} (SQLSTATE {code}){hint}."
    return SqlError(text, code, concurrent=concurrent)
