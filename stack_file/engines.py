"""Names and ports of the database engines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EngineName = Literal["postgres", "mysql", "mariadb"]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A database engine.

    Attributes:
        title: its name in messages.
        port: its TCP port if the stack file names none.
        rds_engines: what RDS calls it.
        longest_user, longest_database: limits of names, in characters, or in bytes if `in_bytes`.
        reserved_users: users that an application cannot have.
        reserved_prefix: how other such users begin; empty for none.
        admin_database: the database that an administrator can always log in to.
    """

    title: str
    port: int
    rds_engines: tuple[str, ...]
    longest_user: int
    longest_database: int
    in_bytes: bool
    reserved_users: frozenset[str]
    reserved_prefix: str
    admin_database: str

    def length(self, name: str) -> int:
        """Return the length of a name in the engine's unit."""
        return len(name.encode()) if self.in_bytes else len(name)

    @property
    def unit(self) -> str:
        """The unit of `length`."""
        return "bytes" if self.in_bytes else "characters"


# Sources: PostgreSQL 18, "Lexical Structure" (NAMEDATALEN) and CREATE ROLE; MySQL 8.4 Reference Manual,
# "Identifier Length Limits" and "Reserved Accounts"; MariaDB, "Identifier Names".
ENGINES: Mapping[EngineName, Engine] = {
    "postgres": Engine(
        title="PostgreSQL",
        port=5432,
        rds_engines=("postgres", "aurora-postgresql"),
        longest_user=63,
        longest_database=63,
        in_bytes=True,
        reserved_users=frozenset({"public", "none", "rdsadmin"}),
        reserved_prefix="pg_",
        admin_database="postgres",
    ),
    "mysql": Engine(
        title="MySQL",
        port=3306,
        rds_engines=("mysql", "aurora-mysql"),
        longest_user=32,
        longest_database=64,
        in_bytes=False,
        reserved_users=frozenset({"root", "rdsadmin"}),
        reserved_prefix="mysql.",
        admin_database="mysql",
    ),
    "mariadb": Engine(
        title="MariaDB",
        port=3306,
        rds_engines=("mariadb",),
        longest_user=80,
        longest_database=64,
        in_bytes=False,
        reserved_users=frozenset({"root", "rdsadmin", "PUBLIC"}),
        reserved_prefix="mariadb.",
        admin_database="mysql",
    ),
}
