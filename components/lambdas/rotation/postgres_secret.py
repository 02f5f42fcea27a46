"""The JSON of a PostgreSQL login's secret, and the names of two alternating users."""

from . import login_secret
from .driver import Fields
from .login_secret import Dialect, Login
from .sql import check_name

__all__ = ["Login"]

ENGINES = ("postgres", "aurora-postgresql")
CLONE_SUFFIX = "_clone"

_DIALECT = Dialect(
    product="PostgreSQL",
    engines=ENGINES,
    port=5432,
    database="postgres",
    scheme="postgres",
    query="?sslmode=verify-full",
    check_username=check_name,
    check_database=check_name,
)


def read_login(fields: Fields, arn: str) -> Login:
    """Check a secret's JSON and return the login; see `login_secret.read_login`."""
    return login_secret.read_login(fields, arn, _DIALECT)


def with_credentials(fields: Fields, arn: str, username: str, password: str) -> Fields:
    """Return the JSON with user, password and URLs replaced; see `login_secret.with_credentials`."""
    return login_secret.with_credentials(fields, arn, username, password, _DIALECT)


def database_url(login: Login, existing: object = None) -> str:
    """Return the login's URL, or `existing` with its user and password; see `login_secret.database_url`."""
    return login_secret.database_url(login, _DIALECT, existing)


def pair_of(username: str) -> tuple[str, str]:
    """Return both names of alternating users, given either; the declared one is the first."""
    base = username.removesuffix(CLONE_SUFFIX)
    return base, base + CLONE_SUFFIX


def other_of(username: str) -> str:
    """Return the other one of two alternating users."""
    base, clone = pair_of(username)
    return base if username == clone else clone
