"""How a secret says which driver rotates it.

One function serves many secrets, so the secret itself must say how it wants to be rotated. There are two
places:

- Its JSON has what AWS's own rotation functions look for: engine, host, port, dbname, username, password, and
  masterarn, the ARN of the secret that may change other logins.
- Its tags have what is no connection detail. The JSON is written once and then belongs to rotation and to
  people, so a choice in it could not be changed by the stack file later; a tag can, costs no request
  (DescribeSecret is asked anyway) and reaches no workload as an environment variable. Whoever may tag the
  secret can at most spoil its rotation: lengths have a lower bound, no tag names a role, a grant or a host,
  and none makes a database login's secret into one of random keys, which would destroy its value.

Tags:
    aws-secrets:rotation         postgres | postgres-alternating | random-key
    aws-secrets:rotation-length  characters of a password or alphanumeric key, bytes of any other key
    aws-secrets:rotation-keys    random-key only: the JSON keys to renew, with spaces between
    aws-secrets:rotation-format  random-key only: alphanumeric (default) | hex | base64 | base64url

Without the first tag AWS's convention holds: a secret with masterarn has alternating users, one without a
single user.
"""

from collections.abc import Mapping

from . import store
from .driver import Driver, Fields
from .errors import OperatorError
from .postgres import PostgresDriver
from .postgres_secret import ENGINES
from .random_key import RandomKeyDriver

TAG = "aws-secrets:rotation"
LENGTH_TAG = "aws-secrets:rotation-length"
KEYS_TAG = "aws-secrets:rotation-keys"
FORMAT_TAG = "aws-secrets:rotation-format"

POSTGRES = "postgres"
POSTGRES_ALTERNATING = "postgres-alternating"
RANDOM_KEY = "random-key"

_DEFAULT_LENGTH = {POSTGRES: 40, POSTGRES_ALTERNATING: 40, RANDOM_KEY: 64}
_SHORTEST, _LONGEST = 16, 256


def driver_for(secret: store.Description, fields: Fields) -> Driver:
    """Return the driver that the secret asks for.

    Args:
        secret: its ARN and tags.
        fields: its JSON, for secrets without our tags.

    Raises:
        OperatorError: a tag is missing or wrong; names it and what to write.
    """
    kind = secret.tags.get(TAG) or _by_convention(secret.arn, fields)
    if kind not in _DEFAULT_LENGTH:
        raise OperatorError(
            f"Secret {secret.arn}: tag {TAG} is {kind!r}, none of {', '.join(_DEFAULT_LENGTH)}."
        )
    length = _length(secret.arn, secret.tags, _DEFAULT_LENGTH[kind])
    if kind == RANDOM_KEY:
        _check_not_a_login(secret.arn, fields)
        keys = tuple(secret.tags.get(KEYS_TAG, "").split())
        return RandomKeyDriver(secret.arn, keys, length, secret.tags.get(FORMAT_TAG, "alphanumeric"))
    return PostgresDriver(secret.arn, kind == POSTGRES_ALTERNATING, length, _read_other)


def _check_not_a_login(arn: str, fields: Fields) -> None:
    if fields.get("engine") in ENGINES or {"username", "password", "host"} <= fields.keys():
        raise OperatorError(
            f"Secret {arn} is a database login, and tag {TAG} asks for random keys: its password would no "
            f"longer be the database's. Nothing was changed. Write {POSTGRES_ALTERNATING} or {POSTGRES}."
        )


def _by_convention(arn: str, fields: Fields) -> str:
    if fields.get("engine") in ENGINES:
        return POSTGRES_ALTERNATING if fields.get("masterarn") else POSTGRES
    raise OperatorError(
        f"Secret {arn} does not say how to rotate it: it has neither the tag {TAG} nor the key 'engine' "
        f"with one of {', '.join(ENGINES)}. Write the tag: {', '.join(_DEFAULT_LENGTH)}."
    )


def _length(arn: str, tags: Mapping[str, str], default: int) -> int:
    text = tags.get(LENGTH_TAG, str(default))
    if not text.isascii() or not text.isdecimal() or not _SHORTEST <= int(text) <= _LONGEST:
        raise OperatorError(
            f"Secret {arn}: tag {LENGTH_TAG} is {text!r}; write a number from {_SHORTEST} to {_LONGEST}."
        )
    return int(text)


def _read_other(arn: str) -> Fields:
    return store.read(arn, store.CURRENT)
