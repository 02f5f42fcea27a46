"""The JSON of a cache's secret: where to log in, and REDIS_URL, which combines it.

Keys: engine, host, port, username, password, REDIS_URL, and REDIS_READER_URL if the cache has a reader. An
AUTH token has no username. Any other key belongs to the operator and is preserved. A password that is missing
or empty has not been provisioned yet.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from .driver import Fields
from .errors import OperatorError
from .protocol import CACHE_READER_URL, CACHE_URL, ENGINE, HOST, LOGIN_USERNAME, PASSWORD, PORT

CACHE_ENGINES = ("redis", "valkey")
DEFAULT_PORT = 6379
_LAST_PORT = 65_535

# Sources: ElastiCache User Guide, "Authenticating with the Valkey and Redis OSS AUTH command" and "Role-Based
# Access Control (RBAC)"; MemoryDB Developer Guide, "Authenticating users with Access Control Lists".
_ACCEPTED_TOKEN = re.compile(r"[A-Za-z0-9!&#$^<>-]{16,128}")
_ACCEPTED_PASSWORD = re.compile(r"""[!#-+.0-?A-~-]{16,128}""")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class CacheLogin:
    """Where and how to log in. Its `repr` does not contain the password.

    Attributes:
        host: DNS name of the cache's endpoint, as in its certificate.
        port: TCP port.
        username: the user; None for an AUTH token.
        password: the password or token in plain text; empty if there is none yet.
    """

    host: str
    port: int
    username: str | None
    password: str = field(repr=False)

    @property
    def server(self) -> str:
        """The server as messages name it."""
        return f"{self.host}:{self.port}"

    @property
    def who(self) -> str:
        """The login as messages name it."""
        return "the AUTH token" if self.username is None else f"user {self.username!r}"

    def same_cache(self, other: "CacheLogin") -> bool:
        """Return whether both are the same user at the same endpoint."""
        mine, theirs = ((x.host.casefold(), x.port, x.username) for x in (self, other))
        return mine == theirs


def read_cache_login(fields: Fields, arn: str, *, token: bool) -> CacheLogin:
    """Check a secret's JSON and return the login.

    Args:
        fields: the JSON.
        arn: the secret's ARN, for messages.
        token: whether the password is an AUTH token, which has no user.

    Raises:
        OperatorError: a key is missing or invalid; the message names the key, never its value.
    """
    if fields.get(ENGINE) not in CACHE_ENGINES:
        raise OperatorError(f"Secret {arn}: key {ENGINE!r} must be one of {', '.join(CACHE_ENGINES)}.")
    if token and fields.get(LOGIN_USERNAME):
        raise OperatorError(
            f"Secret {arn}: an AUTH token has no user, but the secret has the key {LOGIN_USERNAME!r}. "
            "Remove it."
        )
    password = fields.get(PASSWORD, "")
    if not isinstance(password, str):
        raise OperatorError(f"Secret {arn}: key {PASSWORD!r} is not a string.")
    return CacheLogin(
        host=_text(fields, HOST, arn),
        port=_port(fields.get(PORT, DEFAULT_PORT), arn),
        username=None if token else _text(fields, LOGIN_USERNAME, arn),
        password=password,
    )


def is_acceptable(login: CacheLogin) -> bool:
    """Return whether AWS accepts the password or token."""
    accepted = _ACCEPTED_TOKEN if login.username is None else _ACCEPTED_PASSWORD
    return accepted.fullmatch(login.password) is not None


def with_password(fields: Fields, arn: str, password: str, *, token: bool) -> Fields:
    """Return the JSON with the password, and a REDIS_URL with it.

    In an existing URL only user and password are replaced: an operator may have added options, or the number
    of a database. A URL with another user is not this login's, and stays.

    Raises:
        OperatorError: a URL exists and is not one.
    """
    changed = {**fields, PASSWORD: password}
    login = read_cache_login(changed, arn, token=token)
    changed[CACHE_URL] = _with_login(fields.get(CACHE_URL), login, arn, CACHE_URL)
    if CACHE_READER_URL in fields:
        changed[CACHE_READER_URL] = _with_login(fields[CACHE_READER_URL], login, arn, CACHE_READER_URL)
    return changed


def _with_login(existing: object, login: CacheLogin, arn: str, key: str) -> object:
    place = f"[{login.host}]" if ":" in login.host else login.host
    url = existing or f"rediss://{place}:{login.port}"
    known = _URL.fullmatch(url) if isinstance(url, str) else None
    if known is None:
        raise OperatorError(
            f"Secret {arn}: key {key!r} is not a valid URL, so the password cannot be replaced in it. Write "
            "rediss://HOST:PORT, or remove the key to have it generated."
        )
    scheme, authority, rest = known.groups()
    credentials, _, server = authority.rpartition("@")
    user = unquote(credentials.partition(":")[0])
    if user and user != login.username:
        return existing
    return f"{scheme}{quote(login.username or '', safe='')}:{quote(login.password, safe='')}@{server}{rest}"


def _text(fields: Fields, key: str, arn: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise OperatorError(
            f"Secret {arn}: key {key!r} is missing, empty or not a string. Put it into the secret's JSON."
        )
    return value


def _port(value: object, arn: str) -> int:
    text = str(value)
    if (
        isinstance(value, bool)
        or not text.isascii()
        or not text.isdecimal()
        or not 0 < int(text) <= _LAST_PORT
    ):
        raise OperatorError(f"Secret {arn}: key {PORT!r} must be a number from 1 to {_LAST_PORT}.")
    return int(text)
