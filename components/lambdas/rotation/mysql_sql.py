"""Quote what goes into the SQL text of MySQL and MariaDB, with the SQL mode that `mysql_session` sets."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .errors import OperatorError

LONGEST_USER = {"MySQL": 32, "MariaDB": 80}  # characters
_LONGEST_DATABASE = 64
_LONGEST_HOST = 60
_LAST_OF_UTF8MB3 = 0xFFFF
_HOST = re.compile(r"[A-Za-z0-9._:%/-]+")


@dataclass(frozen=True)
class Account:
    """A user and the hosts from which it logs in, as MySQL distinguishes accounts.

    Attributes:
        user: the user's name.
        host: a host name or address, in which % stands for any characters.
    """

    user: str
    host: str

    def __str__(self) -> str:
        """Return the account as messages and reports name it."""
        return f"{self.user}@{self.host}"

    @property
    def sql(self) -> str:
        """The account in a statement."""
        return f"{literal(self.user)}@{literal(self.host)}"

    @property
    def grantee(self) -> str:
        """The account in the column GRANTEE of information_schema, which is not escaped."""
        return f"'{self.user}'@'{self.host}'"


def parse_account(text: str) -> Account:
    """Return the account that CURRENT_USER() names."""
    user, _, host = text.rpartition("@")
    return Account(user, host)


def check_username(name: str, what: str, *, product: str) -> None:
    """Raise OperatorError for a user name that the server would truncate or change; `what` begins it."""
    _check_name(name, what, LONGEST_USER[product])


def username_check(product: str) -> Callable[[str, str], None]:
    """Return `check_username` for MySQL or MariaDB."""
    return partial(check_username, product=product)


def check_database(name: str, what: str) -> None:
    """Raise OperatorError if `name` is not a valid name of a database; the message begins with `what`."""
    _check_name(name, what, _LONGEST_DATABASE)


def _check_name(name: str, what: str, longest: int) -> None:
    if not name or "\0" in name or name.endswith(" "):
        raise OperatorError(
            f"{what} is not a valid MySQL name: it is empty, contains a NUL character or ends with a space."
        )
    if len(name) > longest:
        raise OperatorError(
            f"{what} is {name!r}, which has {len(name)} characters. At most {longest} are allowed."
        )
    if any(ord(character) > _LAST_OF_UTF8MB3 or "\ud800" <= character <= "\udfff" for character in name):
        # the server stores a question mark instead, and so would change a different account
        raise OperatorError(
            f"{what} is {name!r}. MySQL allows no characters beyond U+FFFF and no unpaired surrogates in "
            "names."
        )


def check_host(host: object, what: str) -> str:
    """Return the host part of an account as the server stores it.

    Raises:
        OperatorError: it is not valid; the message begins with `what`.
    """
    if not isinstance(host, str) or not _HOST.fullmatch(host) or len(host) > _LONGEST_HOST:
        raise OperatorError(
            f"{what} must be the host part of a MySQL account, such as % or 10.0.%, with at most "
            f"{_LONGEST_HOST} characters."
        )
    return host.lower()


def identifier(name: str) -> str:
    """Quote the name of a database."""
    check_database(name, "A name")
    return "`" + name.replace("`", "``") + "`"


def pattern(database: str) -> str:
    """Return a database's name as the server stores it in a grant on the whole database.

    In `GRANT ... ON name.*` the name is a pattern: without backslashes, a grant on `shop_a` is one on
    `shopXa` too.
    """
    return re.sub(r"([_%\\])", r"\\\1", database)


def literal(text: str) -> str:
    """Quote a string, for a connection in utf8mb4 without NO_BACKSLASH_ESCAPES."""
    if "\0" in text:
        raise OperatorError("A string for MySQL contains a NUL character, which is not supported here.")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
