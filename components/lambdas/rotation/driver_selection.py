"""Select the driver that rotates a secret.

One function serves many secrets, so the secret itself must say how to rotate it. It does so in two places:

- Its JSON has the keys that AWS's own rotation functions use: engine, host, port, dbname, username, password,
  and masterarn, the ARN of the secret whose user may change other logins.
- Its tags have everything else. The JSON is written once and then belongs to rotation and to people, so the
  stack file could not change a setting in it later. It can change a tag. Reading a tag costs no request
  (DescribeSecret is called anyway), and no workload receives it as an environment variable. Anybody who may
  tag the secret can at worst break its rotation: lengths have a lower bound, no tag names a role, a grant or
  a host, and none makes a database login a secret of random keys, which would destroy its value. What the tag
  of a cache or an IAM user names must name the secret in its turn (`cache_authority.py`, `smtp.py`).

Tags:
    aws-secrets:rotation         auth-token | cache-user | mariadb | mysql | postgres | postgres-alternating |
                                 postgres-iam | random-key | smtp
    aws-secrets:rotation-cache   auth-token: ARN of the replication group; cache-user: ARN of the user
    aws-secrets:rotation-user    smtp: ARN of the IAM user
    aws-secrets:rotation-length  characters of a password or alphanumeric key, bytes of any other key
    aws-secrets:rotation-keys    random-key only: the JSON keys to regenerate, with spaces between
    aws-secrets:rotation-format  random-key only: alphanumeric (default) | hex | base64 | base64url

Without the first tag, the key engine decides. For PostgreSQL, AWS's convention applies: a secret with
masterarn has alternating users, one without it has a single user.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from . import store
from .cache_authority import target_of
from .cache_secret import CACHE_ENGINES
from .driver import Driver, Fields
from .errors import OperatorError
from .labels import CURRENT
from .mysql_secret import KIND_OF_ENGINE
from .postgres_secret import ENGINES
from .protocol import (
    AUTH_TOKEN,
    CACHE_TAG,
    CACHE_USER,
    DEFAULT_PASSWORD_LENGTH,
    ENGINE,
    FORMAT_TAG,
    HOST,
    KEYS_TAG,
    LENGTH_TAG,
    LOGIN_USERNAME,
    LONGEST_CACHE_LENGTH,
    LONGEST_LENGTH,
    MARIADB,
    MASTER_ARN,
    MYSQL,
    PASSWORD,
    POSTGRES,
    POSTGRES_ALTERNATING,
    POSTGRES_IAM,
    RANDOM_KEY,
    ROTATION_TAG,
    SHORTEST_LENGTH,
    SMTP,
    USER_TAG,
)
from .random_key import RandomKeyDriver

_ENGINES = (*ENGINES, *KIND_OF_ENGINE)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A value of ROTATION_TAG.

    Attributes:
        make: returns the driver for a secret, with the length in its tag.
        length: the length if it has no such tag.
        longest: the greatest length.
    """

    make: Callable[[store.Description, int], Driver]
    length: int = DEFAULT_PASSWORD_LENGTH
    longest: int = LONGEST_LENGTH


def _auth_token(secret: store.Description, length: int) -> Driver:
    from .cache_token import AuthTokenDriver  # noqa: PLC0415 - a cold start loads only its own engine

    target = target_of(secret.arn, secret.tags.get(CACHE_TAG), "replicationgroup")
    return AuthTokenDriver(secret.arn, length, target)


def _cache_user(secret: store.Description, length: int) -> Driver:
    from .cache_user import CacheUserDriver  # noqa: PLC0415 - as above

    return CacheUserDriver(secret.arn, length, target_of(secret.arn, secret.tags.get(CACHE_TAG), "user"))


def _mysql(secret: store.Description, length: int, *, kind: str) -> Driver:
    from .mysql import MysqlDriver  # noqa: PLC0415 - a cold start loads only the client of its own engine

    return MysqlDriver(secret.arn, kind, length, _read_other)


def _postgres(secret: store.Description, length: int, *, alternating: bool) -> Driver:
    from .postgres import PostgresDriver  # noqa: PLC0415 - as above

    return PostgresDriver(secret.arn, alternating, length, _read_other)


def _postgres_iam(secret: store.Description, length: int) -> Driver:
    from .postgres_iam import PostgresIamDriver  # noqa: PLC0415 - as above

    del length  # it has no password
    return PostgresIamDriver(secret.arn, _read_other)


def _random_key(secret: store.Description, length: int) -> Driver:
    keys = tuple(secret.tags.get(KEYS_TAG, "").split())
    return RandomKeyDriver(secret.arn, keys, length, secret.tags.get(FORMAT_TAG, "alphanumeric"))


def _smtp(secret: store.Description, length: int) -> Driver:
    from .smtp import driver_of  # noqa: PLC0415 - as above

    del length  # AWS derives the password
    return driver_of(secret.arn, secret.tags.get(USER_TAG))


_KINDS: Mapping[str, _Kind] = {
    AUTH_TOKEN: _Kind(make=_auth_token, longest=LONGEST_CACHE_LENGTH),
    CACHE_USER: _Kind(make=_cache_user, longest=LONGEST_CACHE_LENGTH),
    MARIADB: _Kind(make=partial(_mysql, kind=MARIADB)),
    MYSQL: _Kind(make=partial(_mysql, kind=MYSQL)),
    POSTGRES: _Kind(make=partial(_postgres, alternating=False)),
    POSTGRES_ALTERNATING: _Kind(make=partial(_postgres, alternating=True)),
    POSTGRES_IAM: _Kind(make=_postgres_iam),
    RANDOM_KEY: _Kind(make=_random_key, length=64),
    SMTP: _Kind(make=_smtp),
}


def driver_for(secret: store.Description, fields: Fields) -> Driver:
    """Return the driver for a secret.

    Args:
        secret: the secret's ARN and tags.
        fields: its JSON, which decides if it has no tag.

    Raises:
        OperatorError: a tag is missing or invalid; the message names it and says what to write.
    """
    name = secret.tags.get(ROTATION_TAG) or _by_convention(secret.arn, fields)
    kind = _KINDS.get(name)
    if kind is None:
        raise OperatorError(
            f"Secret {secret.arn}: tag {ROTATION_TAG} is {name!r}. Write one of {', '.join(_KINDS)}."
        )
    length = _length(secret.arn, secret.tags, kind)
    if name == RANDOM_KEY:
        _check_not_a_login(secret.arn, fields)
    return kind.make(secret, length)


def _check_not_a_login(arn: str, fields: Fields) -> None:
    known = (*_ENGINES, *CACHE_ENGINES)
    if fields.get(ENGINE) in known or {LOGIN_USERNAME, PASSWORD, HOST} <= fields.keys():
        raise OperatorError(
            f"Secret {arn}: tag {ROTATION_TAG} is {RANDOM_KEY}, but the secret is a login, whose password "
            "would then differ from the server's. Nothing was changed. Write the tag that the deployment "
            "declares (`pulumi up --refresh`)."
        )


def _by_convention(arn: str, fields: Fields) -> str:
    kind = _by_engine(fields)
    if kind is None:
        raise OperatorError(
            f"Secret {arn}: cannot tell how to rotate it: it has neither the tag {ROTATION_TAG} nor the key "
            f"{ENGINE!r} with one of {', '.join(_ENGINES)}. Set the tag to one of {', '.join(_KINDS)}."
        )
    return kind


def _by_engine(fields: Fields) -> str | None:
    engine = fields.get(ENGINE)
    if engine in ENGINES:
        return POSTGRES_ALTERNATING if fields.get(MASTER_ARN) else POSTGRES
    return KIND_OF_ENGINE.get(engine) if isinstance(engine, str) else None


def _length(arn: str, tags: Mapping[str, str], kind: _Kind) -> int:
    text = tags.get(LENGTH_TAG, str(kind.length))
    if not text.isascii() or not text.isdecimal() or not SHORTEST_LENGTH <= int(text) <= kind.longest:
        raise OperatorError(
            f"Secret {arn}: tag {LENGTH_TAG} is {text!r}. Write a number from {SHORTEST_LENGTH} to "
            f"{kind.longest}."
        )
    return int(text)


def _read_other(arn: str) -> Fields:
    return store.read(arn, CURRENT)
