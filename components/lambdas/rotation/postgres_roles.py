"""Change roles: passwords, memberships, settings, and the two alternating users of one owner."""

import re
from collections.abc import Iterator, Sequence

from .errors import OperatorError
from .postgres_authority import Authority, find_role
from .postgres_session import Session, SqlError
from .sql import identifier, literal, scram_verifier

_ADMIN_OPTION_VERSION = 16  # the first with the INHERIT and SET options of a membership
_NOT_COPIED = {"role", "session_authorization"}
_LIST_SETTINGS = {
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
}


def check_may_log_in(session: Session, name: str) -> None:
    """Raise OperatorError if somebody has locked the role, which must not be undone here."""
    locked = session.rows(
        "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false) FROM pg_roles WHERE rolname = :name",
        name=name,
    )
    if locked and (not locked[0][0] or locked[0][1]):
        raise OperatorError(
            f"Role {name!r} is locked (NOLOGIN or VALID UNTIL). To use it again, unlock it with ALTER ROLE."
        )


def check_may_connect(session: Session, name: str) -> None:
    """Raise OperatorError if a role may not connect to the session's database."""
    database = session.value("SELECT current_database()::text")
    if not session.value(
        "SELECT has_database_privilege(:name::name, :database, 'CONNECT')", name=name, database=database
    ):
        raise OperatorError(
            f"Role {name!r} may not connect to database {database!r}. Have its owner run: GRANT CONNECT ON "
            f"DATABASE {identifier(database)} TO {identifier(name)}"
        )


def check_schema(session: Session, name: str) -> None:
    """Raise OperatorError if a schema does not exist, or sessions of the connected login may not use it."""
    usable = session.value(
        "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = :name",
        name=name,
    )
    if usable:
        return
    database, me = session.rows("SELECT current_database()::text, current_user::text")[0]
    if usable is None:
        raise OperatorError(
            f"Schema {name!r} does not exist in database {database!r}. Create it, or correct the login's "
            "schemas in the stack file."
        )
    raise OperatorError(
        f"Role {me!r} may not use schema {name!r} of database {database!r}. Have its owner run: GRANT USAGE "
        f"ON SCHEMA {identifier(name)} TO {identifier(me)}"
    )


def ensure_login(session: Session, name: str) -> None:
    """Create the role if it does not exist. Nobody can log in until it has a password."""
    if find_role(session, name) is None:
        session.execute(f"CREATE ROLE {identifier(name)} LOGIN")


def set_password(session: Session, name: str, password: str) -> None:
    """Set a role's password; the server receives only its verifier."""
    session.execute(f"ALTER ROLE {identifier(name)} PASSWORD {literal(scram_verifier(password))}")


def ensure_member(session: Session, member: str, group: str) -> None:
    """Make `member` a member of `group` that has its privileges and may act as it."""
    if not _may_act_as(session, member, group) or not session.rows(
        "SELECT 1 FROM pg_catalog.pg_auth_members WHERE roleid = (SELECT oid FROM pg_catalog.pg_roles "
        "WHERE rolname = :group) AND member = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :member)",
        group=group,
        member=member,
    ):
        session.execute(_grant(session, member, group))


def try_to_act_as(session: Session, role: str) -> str | None:
    """Let the connected administrator use the privileges of `role`; return the error, None on success.

    From PostgreSQL 16 on, the creator of a role may grant it to itself, but does not have its privileges
    before that.
    """
    me = session.value("SELECT current_user::text")
    if _may_act_as(session, me, role):
        return None
    return session.attempt(_grant(session, me, role))


def end_sessions(session: Session, names: Sequence[str]) -> int:
    """End all sessions of login roles but this one; return how many.

    Raises:
        OperatorError: the connected role may not end them.
    """
    for name in names:
        if not session.value("SELECT pg_has_role('pg_signal_backend', 'USAGE')"):
            try_to_act_as(session, name)
    try:
        ended = session.value(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE usename = ANY(:names) AND pid <> pg_backend_pid()",
            names=list(names),
        )
    except SqlError as error:
        raise OperatorError(
            f"{error} To end the sessions, have a superuser run: GRANT pg_signal_backend TO "
            f"{identifier(session.value('SELECT current_user::text'))}"
        ) from None
    return int(ended)


def sessions_of(session: Session, name: str) -> list[tuple[str, str]]:
    """Return host and application of a role's sessions, in any database of the server.

    Everybody sees that a session exists, and its application; the host only with pg_read_all_stats. Then it
    is empty.
    """
    rows = session.rows(
        "SELECT DISTINCT coalesce(host(client_addr), CASE WHEN backend_type <> '' THEN 'local' ELSE '' END), "
        "coalesce(application_name, '') FROM pg_stat_activity WHERE usesysid = (SELECT oid FROM pg_roles "
        "WHERE rolname = :name) AND coalesce(backend_type, '') IN ('', 'client backend', 'walsender')",
        name=name,
    )
    return [(str(host), str(application)) for host, application in rows]


def acts_as(session: Session, login: str) -> str | None:
    """Return the role that sessions of `login` act as (ALTER ROLE ... SET role); None if it is not set."""
    return dict(_settings(session, login)).get(("role", False))


def ensure_pair(authority: Authority, pair: Sequence[str], owner: str) -> None:
    """Make two users members of one owner, with the secret's mark; create them if they do not exist.

    Args:
        authority: the administrator's session, in a transaction.
        pair: both users, which have been checked to belong to the secret.
        owner: the role that both act as, which has been checked too.
    """
    for login in pair:
        ensure_login(authority.session, login)
        ensure_member(authority.session, login, owner)
        authority.mark(login)


def let_act_as(session: Session, pair: Sequence[str], active: str, owner: str) -> None:
    """Let two users act as one owner, and copy the settings of the active user to the inactive one.

    Args:
        session: the administrator's session, in a transaction.
        pair: both users.
        active: the user whose settings, such as search_path, are copied.
        owner: the role that both act as, regardless of what either has set for itself.
    """
    for login in pair:
        if acts_as(session, login) != owner:
            session.execute(f"ALTER ROLE {identifier(login)} SET role = {literal(owner)}")
        _drop_local_role(session, login)
    copy_settings(session, active, next(login for login in pair if login != active))


def _drop_local_role(session: Session, login: str) -> None:
    """Remove a login's `role` setting for this database, which takes precedence over the role's own."""
    if ("role", True) in dict(_settings(session, login)):
        database = identifier(session.value("SELECT current_database()::text"))
        session.execute(f"ALTER ROLE {identifier(login)} IN DATABASE {database} RESET role")


def copy_limits(session: Session, source: str, target: str) -> None:
    """Copy the connection limit and VALID UNTIL of `source` to `target`."""
    rows = session.rows(
        "SELECT rolconnlimit, rolvaliduntil::text FROM pg_catalog.pg_roles WHERE rolname = :source",
        source=source,
    )
    for limit, until in rows:
        session.execute(f"ALTER ROLE {identifier(target)} CONNECTION LIMIT {int(limit)}")
        if until is not None:
            session.execute(f"ALTER ROLE {identifier(target)} VALID UNTIL {literal(until)}")


def owned_elsewhere(session: Session, role: str) -> list[str]:
    """Return the other databases in which the role owns objects."""
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
    """Copy the settings of `source` to `target`, except those that the administrator may not set."""
    expected, present = dict(_settings(session, source)), dict(_settings(session, target))
    database = identifier(session.value("SELECT current_database()::text"))
    for (name, local), value in sorted(expected.items()):
        if name not in _NOT_COPIED and present.get((name, local)) != value:
            place = f"ALTER ROLE {identifier(target)}" + (f" IN DATABASE {database}" if local else "")
            session.attempt(f"{place} SET {_parameter(name)} TO {_setting(name, value)}")
    for name, local in sorted(present.keys() - expected.keys()):
        if name not in _NOT_COPIED:
            place = f"ALTER ROLE {identifier(target)}" + (f" IN DATABASE {database}" if local else "")
            session.attempt(f"{place} RESET {_parameter(name)}")


def _may_act_as(session: Session, member: str, group: str) -> bool:
    """Return whether `member` has the privileges of `group` and may act as it."""
    kinds = ["USAGE", *(["SET"] if session.version >= _ADMIN_OPTION_VERSION else [])]
    question = "SELECT pg_has_role(:member::name, :group::name, :kind)"
    return all(session.value(question, member=member, group=group, kind=kind) for kind in kinds)


def _grant(session: Session, member: str, group: str) -> str:
    options = " WITH INHERIT TRUE, SET TRUE" if session.version >= _ADMIN_OPTION_VERSION else ""
    return f"GRANT {identifier(group)} TO {identifier(member)}{options}"


def _settings(session: Session, role: str) -> Iterator[tuple[tuple[str, bool], str]]:
    """Yield ((name, whether it is for this database only), value) of each ALTER ROLE ... SET."""
    for local, setting in session.rows(
        "SELECT setdatabase <> 0, setting FROM pg_db_role_setting, unnest(setconfig) AS setting "
        "WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = :role) "
        "AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
        role=role,
    ):
        name, _, value = setting.partition("=")
        yield (name, local), value


def _parameter(name: str) -> str:
    """Quote a setting's name; the name of an extension's setting has a dot in it."""
    return ".".join(identifier(part) for part in name.split("."))


def _setting(name: str, value: str) -> str:
    """Return a stored value as SQL. A list is stored with its elements quoted as identifiers."""
    if name not in _LIST_SETTINGS:
        return literal(value)
    elements = re.findall(r'"(?:[^"]|"")*"|[^,\s][^,]*', value)
    return ", ".join(
        literal(element[1:-1].replace('""', '"') if element.startswith('"') else element.strip())
        for element in elements
    ) or literal("")
