"""The JSON of a PostgreSQL login's secret: AWS's standard keys, and DATABASE_URL which has them all.

Keys: engine, host, port, username, password, dbname, masterarn, DATABASE_URL, and DATABASE_READER_URL if the
login has a reader. What else is there belongs to the operator and is left alone.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from .driver import Fields
from .errors import OperatorError
from .sql import check_name

ENGINES = ("postgres", "aurora-postgresql")
URL_KEY = "DATABASE_URL"
READER_URL_KEY = "DATABASE_READER_URL"
DEFAULT_PORT = 5432
DEFAULT_DATABASE = "postgres"
CLONE_SUFFIX = "_clone"

_URL = re.compile(r"((?:jdbc:)?[a-z][a-z0-9+.-]*://)([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_USER_PARAMETERS, _PASSWORD_PARAMETERS = {"user", "username"}, {"password"}


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to log in. Printing it shows no password.

    Attributes:
        host: DNS name of the server, the one in its certificate.
        port: TCP port.
        database: key dbname.
        username: the login role.
        password: in clear.
        admin_arn: key masterarn, the secret of the role that may change others; None without.
    """

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    admin_arn: str | None

    @property
    def server(self) -> str:
        """The server for messages."""
        return f"{self.host}:{self.port}"

    def same_database(self, other: "Login") -> bool:
        """Tell whether both lead to the same database."""
        mine, theirs = ((x.host.casefold(), x.port, x.database) for x in (self, other))
        return mine == theirs


def read_login(fields: Fields, arn: str) -> Login:
    """Check a secret's JSON.

    Raises:
        OperatorError: a key is missing or wrong; names the key, never a value.
    """
    engine = fields.get("engine")
    if engine not in ENGINES:
        raise OperatorError(f"Secret {arn}: key 'engine' must be one of {', '.join(ENGINES)}.")
    database = _text(fields, "dbname", arn) if "dbname" in fields else DEFAULT_DATABASE
    username = _text(fields, "username", arn)
    check_name(username, f"Secret {arn}: key 'username'")
    check_name(database, f"Secret {arn}: key 'dbname'")
    return Login(
        host=_text(fields, "host", arn),
        port=_port(fields.get("port", DEFAULT_PORT), arn),
        database=database,
        username=username,
        password=_password(fields, arn),
        admin_arn=_text(fields, "masterarn", arn) if fields.get("masterarn") else None,
    )


def read_admin(fields: Fields, arn: str, login: Login) -> Login:
    """Check the administrator's secret; one that RDS manages holds a user name and a password only.

    Raises:
        OperatorError: a key is missing or wrong, or the secret is for another server, where the password of
            this one's administrator does not belong.
    """
    host = fields.get("host", login.host)
    port = _port(fields.get("port", login.port), arn)
    if not isinstance(host, str) or host.casefold() != login.host.casefold() or port != login.port:
        raise OperatorError(
            f"Administrator secret {arn} (key 'masterarn') is for another server than {login.server}: its "
            "keys 'host' and 'port' must be the same as the login's."
        )
    return Login(
        host=login.host,
        port=login.port,
        database=login.database,
        username=_text(fields, "username", arn),
        password=_password(fields, arn),
        admin_arn=None,
    )


def with_credentials(fields: Fields, arn: str, username: str, password: str) -> Fields:
    """Return the JSON with another user and password, and a DATABASE_URL that has them.

    Of a DATABASE_URL that is there only user and password are replaced: an operator may have sent it through
    a connection pool, added options, or written it for JDBC.

    Raises:
        OperatorError: DATABASE_URL is there and is not a URL.
    """
    changed = {**fields, "username": username, "password": password}
    login = read_login(changed, arn)
    changed[URL_KEY] = database_url(login, fields.get(URL_KEY))
    reader = fields.get(READER_URL_KEY)
    # one of another user is not the login's: its password stays
    if _user_of(reader) in {fields.get("username"), username}:
        changed[READER_URL_KEY] = database_url(login, reader)
    return changed


def _user_of(url: object) -> str | None:
    known = _URL.fullmatch(url) if isinstance(url, str) else None
    credentials, at, _ = known[2].rpartition("@") if known else ("", "", "")
    return unquote(credentials.partition(":")[0]) if at else None


def database_url(login: Login, existing: object = None) -> str:
    """Return postgres://user:password@host:port/dbname?sslmode=verify-full, every part percent-encoded."""
    credentials = f"{quote(login.username, safe='')}:{quote(login.password, safe='')}@"
    if isinstance(existing, str):
        known = _URL.fullmatch(existing)
        if known is None:
            raise OperatorError(
                f"Key {URL_KEY} is not a URL, so that user and password cannot be renewed in it. Write "
                "postgres://USER:PASSWORD@HOST:PORT/DATABASE, or remove the key to have it made."
            )
        scheme, authority, path, query, fragment = known.groups()
        renewed, in_query = _with_parameters(query, login)
        _, at, place = authority.rpartition("@")
        # JDBC takes user and password as parameters, or beside the URL
        own = credentials if at or not (in_query or scheme.startswith("jdbc:")) else ""
        return f"{scheme}{own}{place}{path}{'' if query is None else f'?{renewed}'}{fragment or ''}"
    host = f"[{login.host}]" if ":" in login.host else login.host
    return f"postgres://{credentials}{host}:{login.port}/{quote(login.database, safe='')}?sslmode=verify-full"


def _with_parameters(query: str | None, login: Login) -> tuple[str, bool]:
    """Return a URL's parameters with user and password renewed, and whether any of the two is there."""
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


def pair_of(username: str) -> tuple[str, str]:
    """Return both names of alternating users, the declared one first, whichever of the two is given."""
    base = username.removesuffix(CLONE_SUFFIX)
    return base, base + CLONE_SUFFIX


def other_of(username: str) -> str:
    """Return the user whose turn is next."""
    base, clone = pair_of(username)
    return base if username == clone else clone


def _text(fields: Fields, key: str, arn: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise OperatorError(
            f"Secret {arn}: key {key!r} is missing or is not a text. Put it into the secret's JSON."
        )
    return value


def _password(fields: Fields, arn: str) -> str:
    password = _text(fields, "password", arn)
    if "\0" in password:
        raise OperatorError(
            f"Secret {arn}: key 'password' holds a NUL character, which no PostgreSQL password may."
        )
    return password


def _port(value: object, arn: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdecimal() or not 0 < int(text) <= 65535:  # noqa: PLR2004 - the last TCP port
        raise OperatorError(f"Secret {arn}: key 'port' must be a number from 1 to 65535.")
    return int(text)
