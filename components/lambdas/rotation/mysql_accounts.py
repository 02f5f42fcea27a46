"""Read accounts of MySQL and MariaDB, and change which two passwords each accepts.

Both keep two verifiers for one account. MariaDB has a list of authentication methods, which one statement
replaces. MySQL has a primary and a secondary password: RETAIN CURRENT PASSWORD makes the primary one
secondary, and what was secondary is lost.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import OperatorError
from .mysql_hashes import CACHING_SHA2, NATIVE, Verifier, caching_sha2, native
from .mysql_session import Session
from .mysql_sql import Account, literal
from .protocol import MARIADB

MARK_KEY = "aws-secrets"
"""MySQL: the key of a user's attributes that ties the user to a secret."""

_ABSENT_HOST = "rehearsal.invalid"
_MAKE = {NATIVE: native, CACHING_SHA2: caching_sha2}

# Privileges on everything with which nobody becomes an administrator. What is not listed may write the tables
# in which privileges are stored, read files, or act as others.
_HARMLESS = {
    "USAGE",
    "SELECT",
    "SHOW DATABASES",
    "SHOW VIEW",
    "SHOW_ROUTINE",
    "SHOW CREATE ROUTINE",
    "PROCESS",
    "REPLICATION CLIENT",
    "BINLOG MONITOR",
    "LOCK TABLES",
    "CREATE TEMPORARY TABLES",
}


@dataclass(frozen=True)
class State:
    """An account as the server stores it.

    Attributes:
        account: the account.
        verifiers: those of its passwords; MySQL's primary, or MariaDB's first, comes first.
        locked: whether it has ACCOUNT LOCK.
        owners: the marks of the secrets that it belongs to, as `mysql_authority` writes them.
    """

    account: Account
    verifiers: tuple[Verifier, ...]
    locked: bool
    owners: tuple[str, ...]

    def knows(self, password: str) -> bool:
        """Return whether the password is one of the account's."""
        return any(verifier.matches(password) for verifier in self.verifiers)


def find(session: Session, account: Account) -> State | None:
    """Return an account; None if it does not exist."""
    where = f"WHERE User = {literal(account.user)} AND Host = {literal(account.host)}"
    if session.kind == MARIADB:
        rows = session.rows(f"SELECT Priv FROM mysql.global_priv {where}")  # noqa: S608 - quoted
        return _of_mariadb(session, account, json.loads(rows[0][0]), where) if rows else None
    rows = session.rows(
        f"SELECT plugin, authentication_string, account_locked, User_attributes FROM mysql.user {where}"  # noqa: S608 - quoted
    )
    return _of_mysql(account, rows[0]) if rows else None


def _of_mariadb(session: Session, account: Account, stored: Mapping[str, object], where: str) -> State:
    first = Verifier(str(stored.get("plugin", "")), str(stored.get("authentication_string", "")))
    others = stored.get("auth_or")
    verifiers = [first]
    if isinstance(others, list):
        # the account's first method is an empty object in the list, in its place
        verifiers = [
            Verifier(str(one.get("plugin")), str(one.get("authentication_string", ""))) if one else first
            for one in others
        ]
    # who has created a role has it with ADMIN OPTION: it ties nothing to a secret
    roles = session.rows(f"SELECT Role FROM mysql.roles_mapping {where} AND Admin_option = 'N'")  # noqa: S608 - quoted
    return State(
        account, tuple(verifiers), stored.get("account_locked") is True, tuple(str(row[0]) for row in roles)
    )


def _of_mysql(account: Account, row: Sequence[object]) -> State:
    plugin, stored, locked, text = row
    attributes = json.loads(str(text)) if text else {}
    verifiers = [Verifier(str(plugin), str(stored or ""))]
    if attributes.get("additional_password"):
        verifiers.append(Verifier(str(plugin), str(attributes["additional_password"])))
    mark = attributes.get("metadata", {}).get(MARK_KEY)
    return State(account, tuple(verifiers), locked == "Y", (mark,) if isinstance(mark, str) else ())


def hosts_of(session: Session, user: str) -> list[str]:
    """Return the host parts of all accounts of one name."""
    rows = session.rows(f"SELECT Host FROM mysql.user WHERE User = {literal(user)} ORDER BY Host")  # noqa: S608 - quoted
    return [str(row[0]) for row in rows if row[0]]  # MariaDB's roles have no host


def powers(session: Session, account: Account) -> list[str]:
    """Return the privileges of an account with which it could become an administrator."""
    grantee = literal(account.grantee)
    rows = session.rows(
        "SELECT PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES "  # noqa: S608 - quoted
        f"WHERE GRANTEE = {grantee} ORDER BY 1"
    )
    found = [str(name) for name, _ in rows if name not in _HARMLESS]
    if any(grantable == "YES" for _, grantable in rows):
        found.append("GRANT OPTION")
    system = session.rows(
        "SELECT DISTINCT PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES "  # noqa: S608 - quoted
        f"WHERE GRANTEE = {grantee} AND 'mysql' LIKE TABLE_SCHEMA AND PRIVILEGE_TYPE <> 'SELECT' ORDER BY 1"
    )
    return found + [f"{name} on mysql.*" for (name,) in system]


def create(session: Session, account: Account, password: str, mark: str) -> None:
    """Create an account with a password; on MySQL, with its mark at the same time."""
    if session.kind == MARIADB:
        session.execute(f"CREATE USER IF NOT EXISTS {account.sql} IDENTIFIED VIA {_using(native(password))}")
        return
    attribute = literal(json.dumps({MARK_KEY: mark}))
    session.execute(
        f"CREATE USER IF NOT EXISTS {account.sql} {_with(caching_sha2(password))} ATTRIBUTE {attribute}"
    )


def set_password(session: Session, state: State, password: str, keep: Sequence[str]) -> None:
    """Give an account a new password, and let one that it has stay valid.

    Args:
        session: an administrator's session, or the account's own.
        state: the account, as read in this session's turn.
        password: the new password.
        keep: passwords in the order of preference. The first that the account has stays valid; if it has
            none of them, its newest password does.

    Raises:
        OperatorError: the account does not log in with a password, or with a plugin that is not used here.
    """
    _check_plugins(session, state)
    present = [verifier for verifier in state.verifiers if verifier.stored]
    kept = next((one for known in keep for one in present if one.matches(known)), None)
    kept = kept or next(iter(present), None)
    if session.kind == MARIADB:
        _set_on_mariadb(session, state.account, password, kept)
    else:
        _set_on_mysql(session, state, password, kept)


def rehearse_password(session: Session, state: State, password: str) -> None:
    """Run the statement of `set_password` for an account that does not exist, so that nothing changes.

    The server checks the privileges, and whether it can be written to, before it looks for the account.

    Raises:
        OperatorError: as `set_password`.
    """
    _check_plugins(session, state)
    absent = Account(f"rehearsal-{secrets.token_hex(8)}", _ABSENT_HOST).sql
    if session.kind == MARIADB:
        methods = " OR ".join(_using(native(one)) for one in (password, secrets.token_hex(16)))
        session.execute(f"ALTER USER IF EXISTS {absent} IDENTIFIED VIA {methods}")
        return
    new = _MAKE[state.verifiers[0].plugin](password)
    session.execute(f"ALTER USER IF EXISTS {absent} {_with(new)} RETAIN CURRENT PASSWORD")


def _set_on_mariadb(session: Session, account: Account, password: str, kept: Verifier | None) -> None:
    new = native(password)
    methods = [new] if kept is None or kept == new else [new, kept]
    session.execute(f"ALTER USER {account.sql} IDENTIFIED VIA {' OR '.join(map(_using, methods))}")


def _set_on_mysql(session: Session, state: State, password: str, kept: Verifier | None) -> None:
    primary = state.verifiers[0]
    if primary.matches(password):
        return
    retain = ""
    if kept is not None:
        if kept != primary:
            # an abandoned rotation made it secondary, and RETAIN would push it out
            session.execute(f"ALTER USER {state.account.sql} {_with(kept)}")
        retain = " RETAIN CURRENT PASSWORD"
    new = _MAKE[primary.plugin](password)
    session.execute(f"ALTER USER {state.account.sql} {_with(new)}{retain}")


def _check_plugins(session: Session, state: State) -> None:
    allowed = {NATIVE} if session.kind == MARIADB else {NATIVE, CACHING_SHA2}
    others = sorted({one.plugin for one in state.verifiers} - allowed)
    if others:
        right = NATIVE if session.kind == MARIADB else CACHING_SHA2
        raise OperatorError(
            f"Account {str(state.account)!r} logs in with {', '.join(others)}, which is not rotated here. "
            f"Let it use {right}: ALTER USER {state.account.sql} IDENTIFIED "
            f"{'VIA' if session.kind == MARIADB else 'WITH'} {right} ..."
        )


def _using(verifier: Verifier) -> str:
    return f"{verifier.plugin} USING {literal(verifier.stored)}"


def _with(verifier: Verifier) -> str:
    """Return the clause of MySQL; hexadecimal, because MySQL's own salts have control characters."""
    return f"IDENTIFIED WITH {verifier.plugin} AS 0x{verifier.stored.encode().hex()}"
