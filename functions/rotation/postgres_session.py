"""Connections to PostgreSQL: over TLS with a verified server or not at all, and with a proven password.

Environment:
    DATABASE_CA_PEM    certificates of the operator's own authorities, as PEM text
    DATABASE_CA_FILE   the same as a file, of a Lambda layer for one

Both add to the authorities of Amazon RDS, which are in the archive (`ca/rds.pem`).
"""

import contextlib
import os
import random
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pg8000.native

from .errors import LoginBusyError, LoginRefusedError, OperatorError
from .postgres_secret import Login

CA_PEM_VARIABLE = "DATABASE_CA_PEM"
CA_FILE_VARIABLE = "DATABASE_CA_FILE"

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 30
_STATEMENT_SECONDS = 25  # less than the wait for an answer, so that the server gives up first and says why
_LOCK_SECONDS = 5

# Two that alter one role at once fail with "tuple concurrently updated", so that they take turns. Any login
# may take this lock ("aws-sec"), so that it is waited for only briefly, and what fails is tried again.
_TURN = 0x6177732D736563
_TURN_SECONDS = 2.0
_TRIES = 5
_CONCURRENT = {"23505", "40001", "40P01", "42710"}
_INTERNAL_ERROR, _TUPLE_UPDATED = "XX000", "concurrently"

_INVALID_LOGIN = "28P01"
_NOT_ALLOWED = "42501"
_NO_GRANTOR = "no possible grantors"  # PostgreSQL 16 and later; SQLSTATE XX000
_TOO_MANY_CONNECTIONS = "53300"
LOCK_NOT_AVAILABLE = "55P03"

# They come before the settings of the role and of the database, which applications and operators choose.
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
    """The server refused a statement.

    Attributes:
        code: SQLSTATE.
        concurrent: another session changed the same at the same time; it may be tried again.
    """

    def __init__(self, message: str, code: str, *, concurrent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.concurrent = concurrent


class _ProvenConnection(pg8000.native.Connection):  # type: ignore[misc] # pg8000 has no type information
    """Logs in with SCRAM or MD5 only, and only where the server has checked the password.

    A server that asks for the password in clear would get it, and one that lets everybody in would make every
    test of a password succeed. An MD5 proof can be guessed from, so that an administrator gives none.
    """

    user: bytes
    _proven = False
    _scram_only = False

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: object) -> None:  # noqa: N802 - pg8000's name
        kind = int.from_bytes(data[:4])
        if kind == 3:  # noqa: PLR2004 - AuthenticationCleartextPassword
            raise _NoProofError(
                "asks for the password in clear, as it does for IAM, LDAP or PAM logins, whose passwords "
                "are not rotated here"
            )
        if kind == 0 and not self._proven:
            raise _NoProofError(
                "lets this user in without a password; change its pg_hba.conf to scram-sha-256"
            )
        if kind == 5 and self._scram_only:  # noqa: PLR2004 - AuthenticationMD5Password
            raise _NoProofError(
                "asks for an MD5 proof of the administrator's password, from which it could be guessed; set "
                "password_encryption to scram-sha-256 and the password anew"
            )
        self._proven = self._proven or kind in {5, 12}
        user: bytes = self.user
        if kind == 10:  # noqa: PLR2004 - AuthenticationSASL
            # PostgreSQL ignores the name in SCRAM, and not every role name is a valid one there
            self.user = b"-"
        super().handle_AUTHENTICATION_REQUEST(data, context)
        self.user = user


class _ScramConnection(_ProvenConnection):
    """Logs in with SCRAM only."""

    _scram_only = True


class _NoProofError(Exception):
    """The server's way of logging in proves nothing."""


class Session:
    """One connection. Nothing is committed unless `transaction` ends well."""

    def __init__(self, connection: Any, server: str) -> None:  # noqa: ANN401 - pg8000 has no type information
        """Wrap an open pg8000 connection to `server`."""
        self._connection = connection
        self._server = server
        self.version = major_version(connection.parameter_statuses["server_version"])

    def rows(self, sql: str, **parameters: object) -> Sequence[Sequence[Any]]:
        """Run a query; parameters are named `:so` in it."""
        try:
            found: Sequence[Sequence[Any]] = self._connection.run(sql, **parameters) or []
        except pg8000.native.DatabaseError as error:
            raise _refusal(error, self._server, sql) from None
        except (pg8000.native.InterfaceError, OSError) as error:
            raise OperatorError(
                f"The connection to PostgreSQL at {self._server} broke ({type(error).__name__}). The "
                "rotation will be tried again."
            ) from None
        return found

    def value(self, sql: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever the query selects
        """Run a query for one value; None if there is no row."""
        found = self.rows(sql, **parameters)
        return found[0][0] if found else None

    def execute(self, sql: str) -> None:
        """Run a statement; names and values in it are quoted already."""
        self.rows(sql)

    def attempt(self, sql: str) -> str | None:
        """Run a statement that may fail and leave the transaction sound; returns the refusal."""
        self.execute("SAVEPOINT attempt")
        try:
            self.execute(sql)
        except SqlError as error:
            self.execute("ROLLBACK TO SAVEPOINT attempt")
            return str(error)
        self.execute("RELEASE SAVEPOINT attempt")
        return None

    def transact(self, work: Callable[[], Answer]) -> Answer:
        """Do work in a transaction, all or nothing; again if another session changed the same meanwhile."""
        for remaining in reversed(range(_TRIES)):
            self.execute("BEGIN READ WRITE")
            try:
                self._take_turn()
                answer = work()
                self.execute("COMMIT")
            except SqlError as error:
                self.execute("ROLLBACK")
                if not error.concurrent or not remaining:
                    raise
                time.sleep(random.uniform(0.05, 0.3))  # noqa: S311 - not a secret
            except OperatorError:
                with contextlib.suppress(OperatorError):  # the first one says why
                    self.execute("ROLLBACK")
                raise
            else:
                return answer
        raise AssertionError  # the last try returns or raises

    def _take_turn(self) -> None:
        deadline = time.monotonic() + _TURN_SECONDS
        while not self.value(f"SELECT pg_try_advisory_xact_lock({_TURN})") and time.monotonic() < deadline:
            time.sleep(0.05)


def major_version(text: str) -> int:
    """Return the major version of a server_version such as `16.4 (Debian 16.4-1)` or `19beta1`."""
    found = re.match(r"\d+", text)
    if found is None:
        raise OperatorError("The server reports a version without a number: it is not PostgreSQL.")
    return int(found[0])


@contextlib.contextmanager
def session(login: Login, *, as_itself: bool = False, scram_only: bool = False) -> Iterator[Session]:
    """Log in.

    Args:
        login: where, as whom.
        as_itself: undo the user's `ALTER ROLE ... SET role`, for changes to the user itself.
        scram_only: give no other proof of the password.

    Raises:
        LoginRefusedError: wrong user or password.
        LoginBusyError: the password is right, and the user has no connection left.
        OperatorError: unreachable, not trusted, or refused for another reason.
    """
    connection = _connect(login, scram_only=scram_only)
    try:
        opened = Session(connection, login.server)
        if as_itself:
            opened.execute("SET ROLE NONE")
        yield opened
    finally:
        with contextlib.suppress(Exception):  # the connection may be gone; what matters is done or reported
            connection.close()


def works(login: Login) -> bool:
    """Tell whether user and password are right.

    Raises:
        OperatorError: it could not be found out.
    """
    try:
        with session(login) as opened:
            opened.execute("SELECT 1")
    except LoginRefusedError:
        return False
    except LoginBusyError:
        pass  # refused after the password was checked
    return True


def _connect(login: Login, *, scram_only: bool) -> Any:  # noqa: ANN401 - pg8000 has no type information
    where = f"PostgreSQL at {login.server}"
    try:
        connected = socket.create_connection((login.host, login.port), _CONNECT_SECONDS)
    except socket.gaierror:
        raise OperatorError(f"{where}: the host has no address. Correct the key 'host'.") from None
    except OSError as error:
        raise OperatorError(
            f"{where} cannot be reached ({type(error).__name__}). Check the keys 'host' and 'port', that "
            "the server runs, and that its security group lets the function in."
        ) from None
    connected.settimeout(_ANSWER_SECONDS)
    connected.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # or every login waits 40 ms for a late ACK
    try:
        return (_ScramConnection if scram_only else _ProvenConnection)(
            login.username,
            login.host,
            login.database,
            login.port,
            login.password,
            ssl_context=_trust(os.environ.get(CA_PEM_VARIABLE), os.environ.get(CA_FILE_VARIABLE)),
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
            refused = _refusal(error, login.server)
            if refused.code == _INVALID_LOGIN:
                return LoginRefusedError(f"{where} refuses user {login.username!r} with this password.")
            # the limits of a role and a database are checked after the password, that of the server before
            if refused.code == _TOO_MANY_CONNECTIONS and "too many connections for" in str(refused):
                return LoginBusyError(
                    f"{where}: the application uses all connections of {login.username!r}. End some, or "
                    "raise the CONNECTION LIMIT."
                )
            return refused
        case ssl.SSLCertVerificationError():
            text = (
                f"is not trusted: {error.verify_message}. The function trusts the authorities of Amazon "
                f"RDS and those in {CA_PEM_VARIABLE} or {CA_FILE_VARIABLE}; the key 'host' must be a name "
                "in the certificate."
            )
        case _NoProofError():
            text = f"{error}."
        case pg8000.native.InterfaceError() if "refuses SSL" in str(error):
            text = "offers no TLS, and passwords are not sent without. Switch on 'ssl' there."
        case OSError() | pg8000.native.InterfaceError():
            text = f"did not complete the login ({type(error).__name__})."
        case (
            _
        ):  # what scramp raises for a password that cannot be sent, or a server that does not know it itself
            text = f"did not complete the login as {login.username!r} ({type(error).__name__})."
    return OperatorError(f"{where} {text}")


def _refusal(error: Exception, server: str, sql: str = "") -> SqlError:
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    code, message = str(fields.get("C", "")), str(fields.get("M", "no reason given"))
    hint = ""
    if message == _NO_GRANTOR and sql.startswith("GRANT "):
        message = f"{sql}: {message}"  # which names no role; a GRANT holds no password
    if (code == _NOT_ALLOWED and ("role" in message or message == "permission denied")) or (
        message.endswith(_NO_GRANTOR)
    ):
        hint = (
            ". From PostgreSQL 16 on CREATEROLE alone does not suffice for a role that somebody else "
            "made: let its maker or a superuser run GRANT ... TO the administrator WITH ADMIN OPTION"
        )
    concurrent = code in _CONCURRENT or (code == _INTERNAL_ERROR and _TUPLE_UPDATED in message)
    text = f"PostgreSQL at {server} refused: {message} (SQLSTATE {code}){hint}."
    return SqlError(text, code, concurrent=concurrent)


@cache
def _trust(pem: str | None, file: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(Path(__file__).with_name("ca") / "rds.pem")
    try:
        if pem:
            context.load_verify_locations(cadata=pem)
        if file:
            context.load_verify_locations(file)
    except (OSError, ValueError):
        raise OperatorError(
            f"{CA_PEM_VARIABLE if pem else CA_FILE_VARIABLE} in the function's environment holds no "
            "readable PEM certificates."
        ) from None
    return context
