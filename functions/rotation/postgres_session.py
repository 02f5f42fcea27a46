"""Connections to PostgreSQL: over TLS with a verified server or not at all, and with a proven password.

Environment:
    DATABASE_CA_PEM    certificates of the operator's own authorities, as PEM text
    DATABASE_CA_FILE   the same as a file, of a Lambda layer for one

Both add to the authorities of Amazon RDS, which are in the archive (`ca/rds.pem`).
"""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pg8000.native

from .errors import LoginRefusedError, OperatorError
from .postgres_secret import Login

CA_PEM_VARIABLE = "DATABASE_CA_PEM"
CA_FILE_VARIABLE = "DATABASE_CA_FILE"

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 30
_STATEMENT_SECONDS = 25  # less than the wait for an answer, so that the server gives up first and says why
_LOCK_SECONDS = 10

_LOCK = 0x6177732D736563  # "aws-sec": one writer of roles and grants per database at a time
_INVALID_LOGIN = "28P01"
_NOT_ALLOWED = "42501"


class SqlError(OperatorError):
    """The server refused a statement.

    Attributes:
        code: SQLSTATE.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class _ProvenConnection(pg8000.native.Connection):  # type: ignore[misc] # pg8000 has no type information
    """Logs in with SCRAM or MD5 only, and only where the server has checked the password.

    A server that asks for the password in clear would get it, and one that lets everybody in would make every
    test of a password succeed.
    """

    user: bytes
    _proven = False

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
        self._proven = self._proven or kind in {5, 12}
        user: bytes = self.user
        if kind == 10:  # noqa: PLR2004 - AuthenticationSASL
            # PostgreSQL ignores the name in SCRAM, and not every role name is a valid one there
            self.user = b"-"
        super().handle_AUTHENTICATION_REQUEST(data, context)
        self.user = user


class _NoProofError(Exception):
    """The server's way of logging in proves nothing."""


class Session:
    """One connection. Nothing is committed unless `transaction` ends well."""

    def __init__(self, connection: Any, server: str) -> None:  # noqa: ANN401 - pg8000 has no type information
        """Wrap an open pg8000 connection to `server`."""
        self._connection = connection
        self._server = server
        self.version = int(connection.parameter_statuses["server_version"].split(".")[0].split()[0])

    def rows(self, sql: str, **parameters: object) -> Sequence[Sequence[Any]]:
        """Run a query; parameters are named `:so` in it."""
        try:
            found: Sequence[Sequence[Any]] = self._connection.run(sql, **parameters) or []
        except pg8000.native.DatabaseError as error:
            raise _refusal(error, self._server) from None
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

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and one at a time in this database: two that alter one role fail otherwise."""
        self.execute("BEGIN")
        self.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield
        self.execute("COMMIT")


@contextlib.contextmanager
def session(login: Login, *, as_itself: bool = False) -> Iterator[Session]:
    """Log in.

    Args:
        login: where, as whom.
        as_itself: undo the user's `ALTER ROLE ... SET role`, for changes to the user itself.

    Raises:
        LoginRefusedError: wrong user or password.
        OperatorError: unreachable, not trusted, or refused for another reason.
    """
    connection = _connect(login)
    try:
        opened = Session(connection, login.server)
        opened.execute(
            # names are looked up in the catalog only, whatever others put into the schemas of this database
            "SET search_path = pg_catalog; SET client_encoding = 'UTF8';"
            f"SET statement_timeout = '{_STATEMENT_SECONDS}s'; SET lock_timeout = '{_LOCK_SECONDS}s'"
            + ("; SET ROLE NONE" if as_itself else "")
        )
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
    return True


def _connect(login: Login) -> Any:  # noqa: ANN401 - pg8000 has no type information
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
        return _ProvenConnection(
            login.username,
            login.host,
            login.database,
            login.port,
            login.password,
            ssl_context=_trust(os.environ.get(CA_PEM_VARIABLE), os.environ.get(CA_FILE_VARIABLE)),
            sock=connected,
            application_name="aws-secrets-rotation",
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


def _refusal(error: Exception, server: str) -> SqlError:
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    code, message = str(fields.get("C", "")), str(fields.get("M", "no reason given"))
    hint = ""
    if code == _NOT_ALLOWED and "role" in message:
        hint = (
            ". From PostgreSQL 16 on CREATEROLE alone does not suffice for a role that somebody else "
            "made: let its maker or a superuser run GRANT ... TO the administrator WITH ADMIN OPTION"
        )
    return SqlError(f"PostgreSQL at {server} refused: {message} (SQLSTATE {code}){hint}.", code)


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
