"""Tags that tell the rotation function how to rotate a secret (lambdas/rotation/protocol.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import pulumi

from .checks import ArgumentError, check_choice, check_number, check_strings
from .lambdas.rotation import protocol

KeyFormat: TypeAlias = Literal["alphanumeric", "hex", "base64", "base64url"]


@dataclass(frozen=True, kw_only=True)
class RenewedKeys:
    """The JSON keys of a secret that our rotation function replaces with new random values.

    Attributes:
        keys: the keys, without spaces.
        length: characters of an alphanumeric value, bytes of any other; 16 to 256. Default: 64.
        format: alphanumeric, hex, base64 or base64url. Default: alphanumeric.

    Raises:
        ArgumentError: no keys, or the function accepts no such length or format.
    """

    keys: Sequence[str]
    length: int = 64
    format: KeyFormat = "alphanumeric"

    def __post_init__(self) -> None:
        check_strings("RenewedKeys", "keys", self.keys)
        if not self.keys or any(len(key.split()) != 1 for key in self.keys):
            raise ArgumentError("RenewedKeys: keys needs at least one key, and no key may have spaces")
        check_number("RenewedKeys", "length", self.length, protocol.SHORTEST_LENGTH, protocol.LONGEST_LENGTH)
        check_choice("RenewedKeys", "format", self.format, get_args(KeyFormat))

    @property
    def tags(self) -> dict[str, str]:
        """The secret's tags that tell the function."""
        return of_random_keys(self.keys, self.length, self.format)


def of_cache(password_length: int, arn: pulumi.Input[str], *, token: bool) -> dict[str, pulumi.Input[str]]:
    """Return the tags of a cache's login: a user, or an AUTH token; `arn` is that of the user or group."""
    return {
        protocol.ROTATION_TAG: protocol.AUTH_TOKEN if token else protocol.CACHE_USER,
        protocol.LENGTH_TAG: str(password_length),
        protocol.CACHE_TAG: arn,
    }


def of_login(password_length: int, *, alternating: bool) -> dict[str, str]:
    """Return the tags of a PostgreSQL login."""
    return {
        protocol.ROTATION_TAG: protocol.POSTGRES_ALTERNATING if alternating else protocol.POSTGRES,
        protocol.LENGTH_TAG: str(password_length),
    }


def of_iam_login() -> dict[str, str]:
    """Return the tags of a PostgreSQL login without a password."""
    return {protocol.ROTATION_TAG: protocol.POSTGRES_IAM}


def of_mysql_login(engine: str, password_length: int) -> dict[str, str]:
    """Return the tags of a login of MySQL, Aurora MySQL or MariaDB."""
    return {
        protocol.ROTATION_TAG: protocol.MARIADB if engine == "mariadb" else protocol.MYSQL,
        protocol.LENGTH_TAG: str(password_length),
    }


def of_random_keys(keys: Sequence[str], length: int, format_: str) -> dict[str, str]:
    """Return the tags of a secret whose keys get new random values."""
    return {
        protocol.ROTATION_TAG: protocol.RANDOM_KEY,
        protocol.KEYS_TAG: " ".join(keys),
        protocol.LENGTH_TAG: str(length),
        protocol.FORMAT_TAG: format_,
    }


def of_smtp(user_arn: str) -> dict[str, str]:
    """Return the tags of SMTP credentials; `user_arn` is that of their IAM user."""
    return {protocol.ROTATION_TAG: protocol.SMTP, protocol.USER_TAG: user_arn}
