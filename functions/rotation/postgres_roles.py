"""Roles: who exists, whose they are, and the pair of users that act as one owner.

A role that a secret may change carries the secret's name in its comment. Without that, whoever may edit a
secret could write another user's name into it and be handed that user's password at the next rotation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import OperatorError
from .postgres_session import Session
from .sql import identifier, literal, scram_verifier

_MARK = "aws-secrets:"
_ADMIN_OPTION_VERSION = 16  # from here on a grant says whether it inherits and may be acted as
_LIST_SETTINGS = {
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
}


@dataclass(frozen=True)
class Role:
    """What the catalog says about a role."""

    name: str
    comment: str

    def belongs_to(self, arn: str) -> bool:
        """Tell whether the comment names this secret, or one of the same name that was deleted since."""
        return any(line.startswith(_MARK) and _name(line) == _name(arn) for line in self.comment.splitlines())


def find_role(session: Session, name: str) -> Role | None:
    """Look a role up."""
    found = session.rows(
        "SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = :name",
        name=name,
    )
    return Role(name, found[0][0]) if found else None


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


def mark(session: Session, role: Role, arn: str) -> None:
    """Write the secret into the role's comment, below what others wrote there."""
    if not role.belongs_to(arn):
        lines = [*role.comment.splitlines(), f"{_MARK}{arn}"]
        session.execute(f"COMMENT ON ROLE {identifier(role.name)} IS {literal(chr(10).join(lines))}")


def mark_for(arn: str) -> str:
    """Return the line that `mark` writes."""
    return f"{_MARK}{arn}"


def ensure_role(session: Session, name: str, *, login: bool) -> Role:
    """Create the role if there is none. A login without a password lets nobody in."""
    role = find_role(session, name)
    if role is None:
        session.execute(f"CREATE ROLE {identifier(name)} {'LOGIN' if login else 'NOLOGIN'}")
        role = Role(name, "")
    return role


def set_password(session: Session, name: str, password: str) -> None:
    """Set a role's password by its verifier."""
    session.execute(f"ALTER ROLE {identifier(name)} PASSWORD {literal(scram_verifier(password))}")


def is_member(session: Session, member: str, group: str) -> bool:
    """Tell whether `member` was granted `group`, if there is one."""
    return find_role(session, group) is not None and bool(
        session.value("SELECT pg_has_role(:member::name, :group::name, 'MEMBER')", member=member, group=group)
    )


def ensure_member(session: Session, member: str, group: str) -> None:
    """Let `member` use the privileges of `group` and act as it."""
    if not _may_act_as(session, member, group):
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


def ensure_pair(session: Session, pair: tuple[str, str], active: str, owner: str, arn: str) -> None:
    """Make two users that act as one owner, and share what either has made.

    Args:
        session: the administrator's, in a transaction.
        pair: both users; what is missing is created, without a password.
        active: the one of the pair whose settings (search_path and the like) the other one gets.
        owner: the role that both act as.
        arn: the secret that all three belong to.
    """
    mark(session, ensure_role(session, owner, login=False), arn)
    for login in pair:
        role = ensure_role(session, login, login=True)
        ensure_member(session, login, owner)
        if acts_as(session, login) != owner:
            session.execute(f"ALTER ROLE {identifier(login)} SET role = {literal(owner)}")
        _hand_over_objects(session, login, owner)
        mark(session, role, arn)
    copy_settings(session, active, next(login for login in pair if login != active))


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
        if name != "role" and present.get((name, local)) != value:
            place = f"ALTER ROLE {identifier(target)}" + (f" IN DATABASE {database}" if local else "")
            session.attempt(f"{place} SET {_parameter(name)} TO {_setting(name, value)}")
    for name, local in sorted(present.keys() - wanted.keys()):
        if name != "role":
            place = f"ALTER ROLE {identifier(target)}" + (f" IN DATABASE {database}" if local else "")
            session.attempt(f"{place} RESET {_parameter(name)}")


def _hand_over_objects(session: Session, login: str, owner: str) -> None:
    """Objects that the login made as itself: before it acted as the owner, or after RESET or DISCARD ALL."""
    owns = session.value(
        "SELECT true FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND deptype = 'o' "
        "AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = :login) "
        "AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) LIMIT 1",
        login=login,
    )
    if owns:
        for role in (login, owner):
            refusal = try_to_act_as(session, role)
            if refusal:
                raise OperatorError(refusal)
        session.execute(f"REASSIGN OWNED BY {identifier(login)} TO {identifier(owner)}")


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


def _name(arn: str) -> str:
    """Return the ARN without the six random characters, which differ when a secret is made again."""
    return re.sub(r"-[A-Za-z0-9]{6}$", "", arn.removeprefix(_MARK))
