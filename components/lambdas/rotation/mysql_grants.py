"""Grant a MySQL or MariaDB login one of three levels of privileges, or run the operator's own statements.

    read-only    read tables and views
    read-write   read-only, and insert, update, delete
    owner        read-write, and create, change and drop everything in the database

A level is granted on the whole database, so that it covers what is created later.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import OperatorError
from .mysql_session import LOCK_NOT_AVAILABLE, NO_SUCH_OBJECT, Session, SqlError
from .mysql_sql import Account, identifier, literal, pattern
from .protocol import GRANTS, MYSQL

_READ = ("SELECT", "SHOW VIEW")
_WRITE = (*_READ, "DELETE", "INSERT", "UPDATE")
# what Amazon RDS gives its administrator, so that it can grant it
_OWN = (
    *_WRITE,
    "ALTER",
    "ALTER ROUTINE",
    "CREATE",
    "CREATE ROUTINE",
    "CREATE TEMPORARY TABLES",
    "CREATE VIEW",
    "DROP",
    "EVENT",
    "EXECUTE",
    "INDEX",
    "LOCK TABLES",
    "REFERENCES",
    "TRIGGER",
)
_LEVELS: Mapping[str, tuple[str, ...]] = {"read-only": _READ, "read-write": _WRITE, "owner": _OWN}

_SHOWN = 80  # characters of a statement in a message
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}(\s*\.\s*\*)?|[{}]")
_GRANTING = re.compile(r"\s*(GRANT|REVOKE)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Grants:
    """Declared privileges.

    Attributes:
        level: read-only, read-write or owner; None with the operator's own statements.
        statements: SQL templates with {login} for the quoted account and {database} for the quoted database.
    """

    level: str | None
    statements: tuple[str, ...]


def read_grants(grants: object) -> Grants:
    """Check the request's key Grants.

    Raises:
        OperatorError: it is invalid; the message says what to write.
    """
    if isinstance(grants, str) and grants in _LEVELS:
        return Grants(level=grants, statements=())
    if isinstance(grants, list) and all(isinstance(text, str) for text in grants):
        for template in grants:
            _render(template, Account("login", "%"), "database", "database")
        return Grants(level=None, statements=tuple(grants))
    raise OperatorError(f"{GRANTS} must be one of {', '.join(_LEVELS)}, or a list of SQL statements.")


def apply_grants(session: Session, grants: Grants, account: Account, database: str) -> list[str]:
    """Grant the declared privileges on a database, and revoke those of higher levels.

    Returns:
        Warnings about privileges that remain, in sentences.

    Raises:
        OperatorError: the database does not exist, or a statement failed.
    """
    _check_exists(session, database)
    on = _on(session, database)
    warnings = []
    if grants.level:
        _apply_level(session, _LEVELS[grants.level], account, on)
        warnings = list(_surplus(session, grants.level, account, database, on))
    for index, template in enumerate(grants.statements):
        _run_own(
            session,
            _render(template, account, database, on),
            f"grantStatements[{index}] ({_shortened(template)})",
        )
    return warnings


def _on(session: Session, database: str) -> str:
    """Return a database's name as grants on the whole database store it: a pattern, or a name.

    MySQL with partial_revokes takes a pattern as a name, so that it matches nothing.
    """
    if session.kind == MYSQL and session.value("SELECT @@GLOBAL.partial_revokes"):
        return database
    return pattern(database)


def _check_exists(session: Session, database: str) -> None:
    present = session.value(
        f"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {literal(database)}"  # noqa: S608 - quoted
    )
    if present is None:
        raise OperatorError(
            f"The server has no database {database!r}. Correct the database's name, or create it: CREATE "
            f"DATABASE {identifier(database)}"
        )


def _apply_level(session: Session, declared: Sequence[str], account: Account, on: str) -> None:
    """Of the grants on a database, only the one with the most specific pattern counts: without wildcards."""
    rows = session.rows(
        "SELECT PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.SCHEMA_PRIVILEGES "  # noqa: S608 - quoted
        f"WHERE GRANTEE = {literal(account.grantee)} AND TABLE_SCHEMA = {literal(on)}"
    )
    present = {str(name) for name, _ in rows} - {"USAGE"}
    if missing := [name for name in declared if name not in present]:
        session.execute(f"GRANT {', '.join(missing)} ON {identifier_of(on)}.* TO {account.sql}")
    surplus = sorted(present - set(declared))
    if any(grantable == "YES" for _, grantable in rows):
        surplus.append("GRANT OPTION")
    if surplus:
        session.execute(f"REVOKE {', '.join(surplus)} ON {identifier_of(on)}.* FROM {account.sql}")


def _surplus(session: Session, level: str, account: Account, database: str, on: str) -> Iterator[str]:
    """Yield warnings about privileges that a level neither grants nor revokes: somebody else granted them."""
    grantee = f"GRANTEE = {literal(account.grantee)}"
    rows = session.rows(
        f"SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE {grantee} ORDER BY 1"  # noqa: S608 - quoted
    )
    names = [str(name) for (name,) in rows if name not in {"USAGE", *_LEVELS[level]}]
    if names:
        yield (
            f"{str(account)!r} has more than {level}: {', '.join(names)} on *.*, which somebody else "
            "granted. To change that, run REVOKE."
        )
    if session.kind == MYSQL and on != pattern(database):
        return  # names are no patterns
    others = session.rows(
        "SELECT DISTINCT TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES "  # noqa: S608 - quoted
        f"WHERE {grantee} AND {literal(database)} LIKE TABLE_SCHEMA "
        f"AND TABLE_SCHEMA <> {literal(on)} ORDER BY 1"
    )
    for (other,) in others:
        yield (
            f"{str(account)!r} has privileges on all databases that match {other!r}, in which _ and % stand "
            f"for other characters, too. If it needs {database!r} only, run REVOKE ALL PRIVILEGES ON "
            f"{identifier_of(str(other))}.* FROM {account.sql}"
        )


def identifier_of(name_pattern: str) -> str:
    """Quote the pattern of a database's name, which may be longer than a name."""
    return "`" + name_pattern.replace("`", "``") + "`"


def _run_own(session: Session, statement: str, place: str) -> None:
    try:
        session.execute(statement)
    except SqlError as error:
        if error.code in LOCK_NOT_AVAILABLE:
            raise
        if error.code not in NO_SUCH_OBJECT:
            raise OperatorError(f"{place} failed: {error}") from None
        raise OperatorError(
            f"{place} names an object that does not exist, or without its database: {error} Write "
            "{database}.name: no database is selected, so that no application's code runs as the "
            "administrator."
        ) from None


def _shortened(template: str) -> str:
    text = " ".join(template.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _render(template: str, account: Account, database: str, on: str) -> str:
    """Replace the placeholders of a template.

    In GRANT and REVOKE, `{database}.*` is what `_on` returns, because it may be a pattern.
    """
    if "\0" in template:
        raise OperatorError(f"A statement in {GRANTS} contains a NUL character. Remove it.")
    granting = _GRANTING.match(template) is not None

    def replace(found: re.Match[str]) -> str:
        text, name, whole = found[0], found[1], found[2] or ""
        if text in {"{{", "}}"}:
            return text[0]
        if name == "login":
            return account.sql + whole
        if name == "database":
            return (identifier_of(on) if granting and whole else identifier(database)) + whole
        raise OperatorError(
            f"{GRANTS}: the statement {_shortened(template)!r} has {text!r}, which is not {{login}} or "
            "{database}. Write {{ and }} for braces."
        )

    return _PLACEHOLDER.sub(replace, template)
