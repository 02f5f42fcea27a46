"""The JSON of a database login's secret: AWS's standard keys, and DATABASE_URL, which combines them.

Keys: engine, host, port, username, password, dbname, masterarn, DATABASE_URL, and DATABASE_READER_URL if the
login has a reader. Any other key belongs to the operator and is preserved.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from .driver import Fields
from .errors import OperatorError
from .protocol import (
    CONNECTION,
    CONNECTION_KEYS,
    DATABASE,
    ENGINE,
    HOST,
    LOGIN_USERNAME,
    MASTER_ARN,
    PASSWORD,
    PORT,
    READER_URL,
    URL,
)

_URL = re.compile(r"((?:jdbc:)?[a-z][a-z0-9+.-]*://)([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_USER_PARAMETERS, _PASSWORD_PARAMETERS = {"user", "username"}, {"password"}


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where and how to log in. Its `repr` does not contain the password.

    Attributes:
        host: DNS name of the server, as in its certificate.
        port: TCP port.
        database: name of the database (key dbname).
        username: the login role.
        password: the password in plain text.
        admin_arn: ARN of the administrator's secret (key masterarn); None if there is none.
    """

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    admin_arn: str | None

    @property
    def server(self) -> str:
        """The server as messages name it."""
        return f"{self.host}:{self.port}"

    def same_database(self, other: "Login") -> bool:
        """Return whether both connect to the same database."""
        mine, theirs = ((x.host.casefold(), x.port, x.database) for x in (self, other))
        return mine == theirs


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The differences between the secrets of one kind of database and those of others.

    Attributes:
        product: the product's name in messages.
        engines: values of the key engine.
        port: the port if the secret has none.
        database: the database if the secret has none; None if it must have one.
        scheme: the scheme of a new URL.
        query: the query of a new URL, with its question mark.
        check_username: raises OperatorError for an invalid name; its second argument begins the message.
        check_database: the same for the name of a database.
    """

    product: str
    engines: tuple[str, ...]
    port: int
    database: str | None
    scheme: str
    query: str
    check_username: Callable[[str, str], None]
    check_database: Callable[[str, str], None]


def read_login(fields: Fields, arn: str, dialect: Dialect) -> Login:
    """Check a secret's JSON and return the login.

    Raises:
        OperatorError: a key is missing or invalid; the message names the key, never its value.
    """
    engine = fields.get(ENGINE)
    if engine not in dialect.engines:
        raise OperatorError(f"Secret {arn}: key {ENGINE!r} must be one of {', '.join(dialect.engines)}.")
    absent = DATABASE not in fields and dialect.database is not None
    database = str(dialect.database) if absent else _text(fields, DATABASE, arn)
    username = _text(fields, LOGIN_USERNAME, arn)
    dialect.check_username(username, f"Secret {arn}: key {LOGIN_USERNAME!r}")
    dialect.check_database(database, f"Secret {arn}: key {DATABASE!r}")
    return Login(
        host=_text(fields, HOST, arn),
        port=_port(fields.get(PORT, dialect.port), arn),
        database=database,
        username=username,
        password=_password(fields, arn, dialect.product),
        admin_arn=_text(fields, MASTER_ARN, arn) if fields.get(MASTER_ARN) else None,
    )


def read_admin(fields: Fields, arn: str, login: Login, product: str) -> Login:
    """Check the administrator's secret and return its login.

    A secret that RDS manages contains only a user name and a password.

    Raises:
        OperatorError: a key is missing or invalid, or the secret is for a server other than `login`'s, which
            must not receive this administrator's password.
    """
    host = fields.get(HOST, login.host)
    port = _port(fields.get(PORT, login.port), arn)
    if not isinstance(host, str) or host.casefold() != login.host.casefold() or port != login.port:
        raise OperatorError(
            f"Administrator secret {arn} (key {MASTER_ARN!r}) is for a server other than {login.server}. Its "
            f"keys {HOST!r} and {PORT!r} must be the same as the login's."
        )
    return Login(
        host=login.host,
        port=login.port,
        database=login.database,
        username=_text(fields, LOGIN_USERNAME, arn),
        password=_password(fields, arn, product),
        admin_arn=None,
    )


def with_credentials(fields: Fields, arn: str, username: str, password: str, dialect: Dialect) -> Fields:
    """Return the JSON with the given user and password, and a DATABASE_URL with both.

    In an existing DATABASE_URL, only user and password are replaced: an operator may have pointed it at a
    connection pool, added options, or written it for JDBC.

    Raises:
        OperatorError: DATABASE_URL exists and is not a URL.
    """
    changed = {**fields, LOGIN_USERNAME: username, PASSWORD: password}
    login = read_login(changed, arn, dialect)
    changed[URL] = database_url(login, dialect, fields.get(URL))
    reader = fields.get(READER_URL)
    # a URL of a different user is not the login's, and keeps its password
    if _user_of(reader) in {fields.get(LOGIN_USERNAME), username}:
        changed[READER_URL] = database_url(login, dialect, reader)
    return changed


def check_declared(arn: str, declared: object, current: Fields, login: Login) -> None:
    """Check the key Connection of a provisioning request against the secret's JSON, and `login` read from it.

    AWS's own rotation functions take a secret without port and dbname, so for them the defaults count.

    Raises:
        OperatorError: it is invalid, or the secret differs: a deployment never overwrites the secret's value.
    """
    if not isinstance(declared, Mapping) or declared.keys() - set(CONNECTION_KEYS):
        raise OperatorError(
            f"{CONNECTION} must be an object with only the keys {', '.join(sorted(CONNECTION_KEYS))}."
        )
    known = {PORT: login.port, DATABASE: login.database, **current}
    different = [key for key, value in declared.items() if str(known.get(key)) != str(value)]
    if different:
        raise OperatorError(
            f"Secret {arn}: the deployment declares other values for "
            f"{', '.join(map(repr, different))} than the secret has, and never overwrites the secret. "
            "Write the declared values into it (aws secretsmanager put-secret-value), or declare what it "
            "has."
        )


def _user_of(url: object) -> str | None:
    known = _URL.fullmatch(url) if isinstance(url, str) else None
    credentials, at, _ = known[2].rpartition("@") if known else ("", "", "")
    return unquote(credentials.partition(":")[0]) if at else None


def database_url(login: Login, dialect: Dialect, existing: object = None) -> str:
    """Return SCHEME://user:password@host:port/dbname and the dialect's query, every part percent-encoded.

    Args:
        login: the login.
        dialect: the kind of database.
        existing: a URL whose user and password are to be replaced; anything but a string counts as none.

    Raises:
        OperatorError: `existing` is not a URL.
    """
    credentials = f"{quote(login.username, safe='')}:{quote(login.password, safe='')}@"
    if isinstance(existing, str):
        known = _URL.fullmatch(existing)
        if known is None:
            raise OperatorError(
                f"Key {URL} is not a valid URL, so user and password cannot be replaced in it. Write "
                f"{dialect.scheme}://USER:PASSWORD@HOST:PORT/DATABASE, or remove the key to have it "
                "generated."
            )
        scheme, authority, path, query, fragment = known.groups()
        new_query, in_query = _with_parameters(query, login)
        _, at, place = authority.rpartition("@")
        # JDBC takes user and password as parameters, or separately from the URL
        own = credentials if at or not (in_query or scheme.startswith("jdbc:")) else ""
        return f"{scheme}{own}{place}{path}{'' if query is None else f'?{new_query}'}{fragment or ''}"
    host = f"[{login.host}]" if ":" in login.host else login.host
    name = quote(login.database, safe="")
    return f"{dialect.scheme}://{credentials}{host}:{login.port}/{name}{dialect.query}"


def _with_parameters(query: str | None, login: Login) -> tuple[str, bool]:
    """Return a URL's parameters with user and password replaced, and whether either was among them."""
    parts, found = [], False
    for part in (query or "").split("&"):
        name, equals, _ = part.partition("=")
        known = unquote(name).lower()
        value = (
            login.username
            if known in _USER_PARAMETERS
            else login.password
            if known in _PASSWORD_PARAMETERS
            else None
        )
        found = found or value is not None
        parts.append(part if value is None or not equals else f"{name}={quote(value, safe='')}")
    return "&".join(parts), found


def _text(fields: Fields, key: str, arn: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise OperatorError(
            f"Secret {arn}: key {key!r} is missing, empty or not a string. Put it into the secret's JSON."
        )
    return value


def _password(fields: Fields, arn: str, product: str) -> str:
    password = _text(fields, PASSWORD, arn)
    if "\0" in password:
        raise OperatorError(
            f"Secret {arn}: key {PASSWORD!r} contains a NUL character, which {product} does not allow."
        )
    if any("\ud800" <= character <= "\udfff" for character in password):
        raise OperatorError(
            f"Secret {arn}: key {PASSWORD!r} contains half of a character (an unpaired surrogate), which no "
            "client can send. Choose another password."
        )
    return password


def _port(value: object, arn: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdecimal() or not 0 < int(text) <= 65535:  # noqa: PLR2004 - the last TCP port
        raise OperatorError(f"Secret {arn}: key {PORT!r} must be a number from 1 to 65535.")
    return int(text)
