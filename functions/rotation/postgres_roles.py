"""Roles: passwords, memberships, settings, and the pair of users that act as one owner."""

import re
from collections.abc import Iterator, Sequence

from .errors import OperatorError
from .postgres_authority import Authority, find_role
from .postgres_session import Session
from .sql import identifier, literal, scram_verifier

_ADMIN_OPTION_VERSION = 16  # from here on a grant says whether it inherits and may be acted as
_OF_EACH_ROLE = {"role", "session_authorization"}
_LIST_SETTINGS = {
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
}


def check_may_log_in(session: Session, name: str) -> None:
    """Raise OperatorError for a role that somebody has locked: that is not undone."""
    locked = session.rows(
        "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false) FROM pg_roles WHERE rolname = :name",
        name=name,
    )
    if locked and (not locked[0][0] or locked[0][1]):
        raise OperatorError(
            f"Role {name!r} was locked (NOLOGIN or VALID UNTIL). Unlock it with ALTER ROLE if it is to be "
            "used again."
        )


def ensure_login(session: Session, name: str) -> None:
    """Create the role if there is none. A login without a password lets nobody in."""
    if find_role(session, name) is None:
        session.execute(f"CREATE ROLE {identifier(name)} LOGIN")


def set_password(session: Session, name: str, password: str) -> None:
    """Set a role's password by its verifier."""
    session.execute(f"ALTER ROLE {identifier(name)} PASSWORD {literal(scram_verifier(password))}")


def ensure_member(session: Session, member: str, group: str) -> None:
    """Let `member` use the privileges of `group` and act as it."""
    if not _may_act_as(session, member, group) or not session.rows(
        "SELECT 1 FROM pg_catalog.pg_auth_members WHERE roleid = (SELECT oid FROM pg_catalog.pg_roles "
        "WHERE rolname = :group) AND member = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :member)",
        group=group,
        member=member,
    ):
        session.execute(_grant(session, member, group))


def try_to_act_as(session: Session, role: str) -> str | None:
    """Let the connected administrator use the privileges of `role`; returns the server's refusal, if any.

    From PostgreSQL 16 on whoever creates a role may grant it to itself, but does not have its privileges at
    once.
    """
    me = session.value("SELECT current_user::text")
    if _may_act_as(session, me, role):
        return None
    return session.attempt(_grant(session, me, role))


def acts_as(session: Session, login: str) -> str | None:
    """Return the role that sessions of `login` start in, by ALTER ROLE ... SET role."""
    return dict(_settings(session, login)).get(("role", False))


def ensure_pair(authority: Authority, pair: Sequence[str], owner: str) -> None:
    """Make two users members of one owner, with the secret's mark; what is missing is created.

    Args:
        authority: the administrator's, in a transaction.
        pair: both users, checked to be the secret's.
        owner: the role that both act as, checked too.
    """
    for login in pair:
        ensure_login(authority.session, login)
        ensure_member(authority.session, login, owner)
        authority.mark(login)


def let_act_as(session: Session, pair: Sequence[str], active: str, owner: str) -> None:
    """Let two users act as one owner, and give the other one the settings of the active one.

    Args:
        session: the administrator's, in a transaction.
        pair: both users.
        active: the one of the pair whose settings (search_path and the like) the other one gets.
        owner: the role that both act as, whatever either has set for itself.
    """
    for login in pair:
        if acts_as(session, login) != owner:
            session.execute(f"ALTER ROLE {identifier(login)} SET role = {literal(owner)}")
        _drop_local_role(session, login)
    copy_settings(session, active, next(login for login in pair if login != active))


def _drop_local_role(session: Session, login: str) -> None:
    """A setting for this database alone comes before the one of the role."""
    if ("role", True) in dict(_settings(session, login)):
        database = identifier(session.value("SELECT current_database()::text"))
        session.execute(f"ALTER ROLE {identifier(login)} IN DATABASE {database} RESET role")


def copy_limits(session: Session, source: str, target: str) -> None:
    """Give `target` the connection limit and the end of validity of `source`."""
    found = session.rows(
        "SELECT rolconnlimit, rolvaliduntil::text FROM pg_catalog.pg_roles WHERE rolname = :source",
        source=source,
    )
    for limit, until in found:
        session.execute(f"ALTER ROLE {identifier(target)} CONNECTION LIMIT {int(limit)}")
        if until is not None:
            session.execute(f"ALTER ROLE {identifier(target)} VALID UNTIL {literal(until)}")


def owned_elsewhere(session: Session, role: str) -> list[str]:
    """Return the other databases in which the role owns something."""
    return [
        row[0]
        for row in session.rows(
            "SELECT DISTINCT datname::text FROM pg_shdepend JOIN pg_database d ON d.oid = dbid WHERE "
            "refclassid = 'pg_authid'::regclass AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = "
            ":role) AND deptype = 'o' AND datname <> current_database() ORDER BY 1",
            role=role,
        )
    ]


def copy_settings(session: Session, source: str, target: str) -> None:
    """Give `target` the settings of `source`; what the administrator may not set stays as it is."""
    wanted, present = dict(_settings(session, source)), dict(_settings(session, target))
    database = identifier(session.value("SELECT current_database()::text"))
    for (name, local), value in sorted(wanted.items()):
        if name not in _OF_EACH_ROLE and present.get((name, local)) != value:
            place = f"ALTER ROLE {identifier(target)}" + (f" IN DATABASE {database}" if local else "")
            session.attempt(f"{place} SET {_parameter(name)} TO {_setting(name, value)}")
    for name, local in sorted(present.keys() - wanted.keys()):
        if name not in _OF_EACH_ROLE:
            place = f"ALTER ROLE {identifier(target)}" + (f" IN DATABASE {database}" if local else "")
            session.attempt(f"{place} RESET {_parameter(name)}")


def _may_act_as(session: Session, member: str, group: str) -> bool:
    """Tell whether `member` has the privileges of `group`, and where that differs, may act as it."""
    kinds = ["USAGE", *(["SET"] if session.version >= _ADMIN_OPTION_VERSION else [])]
    question = "SELECT pg_has_role(:member::name, :group::name, :kind)"
    return all(session.value(question, member=member, group=group, kind=kind) for kind in kinds)


def _grant(session: Session, member: str, group: str) -> str:
    options = " WITH INHERIT TRUE, SET TRUE" if session.version >= _ADMIN_OPTION_VERSION else ""
    return f"GRANT {identifier(group)} TO {identifier(member)}{options}"


def _settings(session: Session, role: str) -> Iterator[tuple[tuple[str, bool], str]]:
    """Yield ((name, whether for this database only), value) of ALTER ROLE ... SET."""
    for local, setting in session.rows(
        "SELECT setdatabase <> 0, setting FROM pg_db_role_setting, unnest(setconfig) AS setting "
        "WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = :role) "
        "AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
        role=role,
    ):
        name, _, value = setting.partition("=")
        yield (name, local), value


def _parameter(name: str) -> str:
    """Quote a setting's name; an extension's has a dot between two names."""
    return ".".join(identifier(part) for part in name.split("."))


def _setting(name: str, value: str) -> str:
    """Write a stored value as SQL. A list is stored with its elements quoted as identifiers."""
    if name not in _LIST_SETTINGS:
        return literal(value)
    elements = re.findall(r'"(?:[^"]|"")*"|[^,\s][^,]*', value)
    return ", ".join(
        literal(element[1:-1].replace('""', '"') if element.startswith('"') else element.strip())
        for element in elements
    ) or literal("")
