"""Connect to MySQL and MariaDB, over TLS with a verified server only.

The protocol has no proof that the server knows the password. Instead, the server must be the one in its
certificate, the account that it names after the login must be the expected one (not an anonymous one, and not
that of `skip-grant-tables`), and the authentication plugin must be one that checks the password.
"""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from . import tls
from .errors import LoginBusyError, LoginRefusedError, OperatorError
from .login_secret import Login
from .mysql_hashes import CACHING_SHA2, NATIVE
from .mysql_sql import Account, parse_account
from .protocol import ENGINE, HOST, MARIADB, MYSQL, PORT

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 30
_LOCK_SECONDS = 5

# They take precedence over the server's settings. No quoting depends on the server's SQL mode.
_SETTINGS = {
    "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "lock_wait_timeout": str(_LOCK_SECONDS),
    "innodb_lock_wait_timeout": str(_LOCK_SECONDS),
    "sql_select_limit": "18446744073709551615",
    "sql_safe_updates": "0",
}
# shorter than the wait for an answer; MariaDB's wait for a backup's lock has no other limit
_SETTINGS_OF = {
    MARIADB: {"max_statement_time": "20"},
    MYSQL: {"max_execution_time": "20000"},
}

OLDEST = {MYSQL: (8, 0, 21), MARIADB: (10, 6, 0)}
"""MySQL 8.0.21 has attributes of users; MariaDB has several passwords of one user from 10.4 on."""

DENIED = frozenset({1044, 1142, 1143, 1227, 1370, 1410, 1698})
LOCK_NOT_AVAILABLE = frozenset({1205, 1213, 1969})
NO_SUCH_OBJECT = frozenset({1046, 1146, 1305, 1630})
NO_SUCH_SESSION = 1094
NOT_THE_OWNER = 1095
NO_SUCH_PROCEDURE = 1305

_READ_ONLY = {1290, 1836, 3100}
_EXPIRED = {1820, 1862}
_WRONG = "rejected the password of user {user}."
_BUSY = (
    "has no connection left for user {user}. Close some in the application, or raise MAX_USER_CONNECTIONS."
)
_LOCKED = "has locked the account of user {user}. To use it again, run ALTER USER ... ACCOUNT UNLOCK."
_NO_DATABASE = (
    "accepted the password of user {user}, but has no database {database} that it may use. Create the "
    "database, or correct the grants."
)
_MESSAGES_BY_CODE = {
    1045: _WRONG,
    1698: _WRONG,
    **dict.fromkeys(_EXPIRED, "rejected user {user}, whose password has expired."),
    1203: _BUSY,
    1226: _BUSY,
    3118: _LOCKED,
    4151: _LOCKED,
    1044: _NO_DATABASE,
    1049: _NO_DATABASE,
}
# all other errors come after the password was checked, or without checking it
_CLASS_BY_CODE: dict[int, type[OperatorError]] = {
    **dict.fromkeys((1045, 1698, *_EXPIRED), LoginRefusedError),
    **dict.fromkeys((1203, 1226), LoginBusyError),
}
_REFUSED_PLUGINS = (
    "mysql_clear_password",
    "mysql_old_password",
    "dialog",
    "sha256_password",
    "client_ed25519",
    "auth_gssapi_client",
    "authentication_ldap_sasl_client",
    "parsec",
)


class SqlError(OperatorError):
    """The server rejected a statement.

    Attributes:
        code: the server's error number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class _MethodError(Exception):
    """The server requests an authentication method that is not used here."""


class _Refused:
    """The handler of an authentication plugin that is not used: it sends nothing."""

    def __init__(self, _: object) -> None:
        pass

    def authenticate(self, _: object) -> NoReturn:
        raise _MethodError


class _VerifiedConnection(Connection):  # type: ignore[misc] # PyMySQL has no type information
    """A connection that answers only the two authentication plugins that check a password.

    Without this class, PyMySQL would send the password itself to a server whose default is sha256_password.
    """

    _auth_plugin_name: str

    def _get_server_information(self) -> None:
        super()._get_server_information()
        if not self.server_capabilities & CLIENT.PLUGIN_AUTH:
            raise _MethodError
        if self._auth_plugin_name not in {NATIVE, CACHING_SHA2}:
            self._auth_plugin_name = NATIVE  # the server then requests the account's own


class Session:
    """A connection to MySQL or MariaDB. Each statement takes effect at once.

    Attributes:
        account: the account that the server chose for the login.
        kind: whose server it is, MYSQL or MARIADB of `protocol.py`.
    """

    def __init__(self, connection: Any, server: str) -> None:  # noqa: ANN401 - PyMySQL has no type information
        """Wrap an open connection to `server`."""
        self._connection = connection
        self._server = server
        self.account = Account("", "")
        self.kind = MYSQL

    def rows(self, sql: str) -> Sequence[Sequence[Any]]:
        """Run a statement whose names and values are already quoted, and return its rows."""
        try:
            cursor = self._connection.cursor()
            cursor.execute(sql)
            rows: Sequence[Sequence[Any]] = cursor.fetchall()
        except (pymysql.err.Error, RuntimeError, OSError) as error:
            raise _statement_problem(error, self._server) from None
        return rows

    def value(self, sql: str) -> Any:  # noqa: ANN401 - whatever the query selects
        """Run a query and return its single value; None if there is no row."""
        rows = self.rows(sql)
        return rows[0][0] if rows else None

    def execute(self, sql: str) -> None:
        """Run a statement whose names and values are already quoted."""
        self.rows(sql)


@contextlib.contextmanager
def session(login: Login, kind: str, *, in_database: bool = False) -> Iterator[Session]:
    """Log in, and log out at the end.

    Args:
        login: where and how to log in.
        kind: the expected product, MYSQL or MARIADB.
        in_database: use the login's database as a workload does. By default no database is used, so that
            no unqualified name refers to what an application has created.

    Raises:
        LoginRefusedError: wrong user or password, or an expired password.
        LoginBusyError: the password is right, but the user has no connection left.
        OperatorError: the server is unreachable, not trusted, another product, or rejects the login for
            another reason.
    """
    connection = _connect(login, in_database=in_database)
    try:
        opened = Session(connection, login.server)
        _check_server(opened, login, kind)
        chosen = {**_SETTINGS, **_SETTINGS_OF[kind]}
        settings = ", ".join(f"{name} = {value}" for name, value in chosen.items())
        opened.execute(f"SET SESSION {settings}")
        yield opened
    finally:
        with contextlib.suppress(Exception):  # the connection may be lost; the result is known by now
            connection.close()


def works(login: Login, kind: str) -> bool:
    """Return whether user and password are right.

    Raises:
        OperatorError: the server could not be reached, or rejected the login for another reason.
    """
    try:
        with session(login, kind):
            return True
    except LoginRefusedError:
        return False
    except LoginBusyError:
        return True  # the server checks the password first


def _check_server(opened: Session, login: Login, kind: str) -> None:
    """Raise OperatorError if the server is another product, too old, or chose a different account."""
    version, account = map(str, opened.rows("SELECT VERSION(), CURRENT_USER()")[0])
    opened.kind = MARIADB if "mariadb" in version.lower() else MYSQL
    opened.account = parse_account(account)
    where = f"The server at {login.server}"
    if opened.kind != kind:
        right = "mariadb" if opened.kind == MARIADB else "mysql or aurora-mysql"
        raise OperatorError(
            f"{where} is {version!r}, which the secret does not say. Correct the key {ENGINE!r} to {right}, "
            "and the declaration of the login."
        )
    release = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if release < OLDEST[kind]:
        needed = ".".join(map(str, OLDEST[kind]))
        raise OperatorError(
            f"{where} is version {version!r}, which is not supported. Upgrade it to {needed} or later."
        )
    if opened.account.user != login.username:
        raise OperatorError(
            f"{where} chose the account {account!r} for user {login.username!r}, so nothing proves the "
            "password. Drop anonymous accounts, and do not run the server with skip-grant-tables."
        )


def _connect(login: Login, *, in_database: bool) -> Any:  # noqa: ANN401 - PyMySQL has no type information
    where = f"MySQL at {login.server}"
    try:
        connected = socket.create_connection((login.host, login.port), _CONNECT_SECONDS)
    except socket.gaierror:
        raise OperatorError(f"{where}: the host name does not resolve. Correct the key {HOST!r}.") from None
    except OSError as error:
        raise OperatorError(
            f"{where} is unreachable ({type(error).__name__}). Check the keys {HOST!r} and {PORT!r}, that "
            "the server is running, and that its security group allows the function."
        ) from None
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _VerifiedConnection(
            host=login.host,
            port=login.port,
            user=login.username,
            password=login.password.encode(),
            database=login.database if in_database else None,
            charset="utf8mb4",
            autocommit=True,
            local_infile=False,
            read_timeout=_ANSWER_SECONDS,
            write_timeout=_ANSWER_SECONDS,
            ssl=tls.context(),
            auth_plugin_map=dict.fromkeys(_REFUSED_PLUGINS, _Refused),
            program_name="aws-secrets-rotation",
            defer_connect=True,
        )
        connection.connect(connected)
    except BaseException as error:
        connected.close()
        if isinstance(error, Exception):
            raise _connection_problem(error, where, login) from None
        raise
    return connection


def _connection_problem(error: Exception, where: str, login: Login) -> OperatorError:
    cause = getattr(error, "original_exception", error)
    user = repr(login.username)
    text = _MESSAGES_BY_CODE.get(_code(error))
    match cause:
        case OperatorError():
            return cause
        case ssl.SSLCertVerificationError():
            text = tls.explanation(cause)
        case _MethodError():
            # also MySQL's answer for an account that does not exist, depending on its name
            return LoginRefusedError(
                f"{where} requests an authentication method for user {user} that is not used here: it would "
                "need the password itself, or some clients do not know it. If the account exists, let it use "
                f"{CACHING_SHA2} on MySQL, {NATIVE} on MariaDB."
            )
        case pymysql.err.Error() if text is not None:
            text = text.format(user=user, database=repr(login.database))
        case pymysql.err.Error() if _is_from_server(_code(error)):
            return _sql_error(error, login.server)
        case pymysql.err.Error() if "SSL is required" in str(error):
            text = (
                "does not support TLS, without which no password is sent. Configure a certificate on the "
                "server."
            )
        case _:
            text = f"did not complete the login ({type(cause).__name__})."
    return _CLASS_BY_CODE.get(_code(error), OperatorError)(f"{where} {text}")


def _statement_problem(error: Exception, server: str) -> OperatorError:
    code = _code(error)
    if code in _EXPIRED:
        return LoginRefusedError(f"MySQL at {server}: the password has expired.")
    if isinstance(error, pymysql.err.Error) and _is_from_server(code):
        return _sql_error(error, server)
    return OperatorError(
        f"The connection to MySQL at {server} was lost ({type(error).__name__}). Secrets Manager retries a "
        "rotation; run a deployment again."
    )


def _code(error: Exception) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _is_from_server(code: int) -> bool:
    """Return whether the server sent an error; the client's own numbers are from 2000 to 2999."""
    return code >= 1000 and not 2000 <= code < 3000  # noqa: PLR2004 - explained above


def _sql_error(error: Exception, server: str) -> SqlError:
    code = _code(error)
    message = str(error.args[1]) if len(error.args) > 1 else "no reason given"
    hint = ""
    if code in _READ_ONLY and "read" in message.lower():
        hint = f" If it is a replica or a reader, correct the key {HOST!r} to the writer."
    return SqlError(f"MySQL at {server} reported: {message} (error {code}).{hint}", code)
