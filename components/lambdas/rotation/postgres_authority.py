"""Open an administrator's session for a secret, and decide what it may change. No other module opens one.

Authority comes from two sources: what the deployment declares (the provisioning request, the function's
environment), and what only an administrator can write: the mark in a role's comment, `aws-secrets:ARN`.
Writing it takes CREATEROLE, and from PostgreSQL 16 on also ADMIN OPTION on the role. Everything else is
written by applications and is only a claim: the secret's JSON, its tags, a role's own settings (x may run
`ALTER ROLE x SET role = ...`), default privileges, memberships, objects and their owners. A claim is checked
against the two sources, or rejected.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from .administrator import enter_as_administrator, secret_name
from .driver import Fields
from .errors import OperatorError, PendingOutdatedError
from .postgres_secret import Login
from .postgres_session import LOCK_NOT_AVAILABLE, Answer, Session, SqlError, session
from .sql import LONGEST_NAME, identifier, literal

_MARK = "aws-secrets:"
# Names that PostgreSQL, Amazon RDS, Azure and Google Cloud SQL reserve.
_RESERVED = re.compile(
    r"pg_.*|postgres|rds_.*|rdsadmin|rdsrepladmin|rdstopmgr|azure_.*|azuresu|cloudsql.*", re.DOTALL
)

_ROLE = """
SELECT r.oid, coalesce(shobj_description(r.oid, 'pg_authid'), ''), rolcanlogin, rolsuper, rolcreaterole,
    rolreplication, rolcreatedb, rolbypassrls
FROM pg_catalog.pg_roles r WHERE rolname = :name
"""
_MARKED = """
SELECT r.rolname::text FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_shdescription d
ON d.objoid = r.oid AND d.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass
WHERE pg_catalog.strpos(d.description, 'aws-secrets:') > 0 ORDER BY 1
"""
_GRANTORS = """
SELECT pg_catalog.pg_get_userbyid(grantor)::text FROM pg_catalog.pg_auth_members
WHERE roleid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :group)
AND member = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :member)
"""
# Sessions with an open transaction that changed roles, their settings or memberships.
_BUSY = """
SELECT DISTINCT l.pid, a.usename::text, coalesce(a.application_name, ''), coalesce(a.state, 'not shown')
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
AND l.relation IN ('pg_catalog.pg_authid'::pg_catalog.regclass,
    'pg_catalog.pg_db_role_setting'::pg_catalog.regclass, 'pg_catalog.pg_auth_members'::pg_catalog.regclass)
AND l.pid <> pg_catalog.pg_backend_pid() ORDER BY 1 LIMIT 5
"""


@dataclass(frozen=True)
class Role:
    """A role as the catalog describes it.

    Attributes:
        name: the role's name.
        comment: its whole comment, including marks.
        can_log_in: whether it has LOGIN.
        powers: which of SUPERUSER, CREATEROLE and REPLICATION it has.
        extras: which of CREATEDB and BYPASSRLS it has.
    """

    name: str
    comment: str
    can_log_in: bool
    powers: tuple[str, ...]
    extras: tuple[str, ...]

    def belongs_to(self, arn: str) -> bool:
        """Return whether a mark names this secret, or a deleted one of the same name."""
        return any(secret_name(mark) == secret_name(arn) for mark in self.marks)

    @property
    def marks(self) -> list[str]:
        """The ARNs of the secrets that the role belongs to."""
        return [line.removeprefix(_MARK) for line in self.comment.splitlines() if line.startswith(_MARK)]


@dataclass(frozen=True)
class Authority:
    """An administrator's session for one secret.

    Attributes:
        session: the session.
        arn: the secret's ARN.
        me: the name of the administrator's role.
    """

    session: Session
    arn: str
    me: str

    def transact(self, work: Callable[[], Answer], *, commit: bool = True) -> Answer:
        """Run `work` on roles in a transaction, which a rehearsal rolls back.

        Raises:
            OperatorError: an application has locked a role; the message names the session.
        """
        try:
            return self.session.transact(work, commit=commit)
        except SqlError as error:
            if error.code != LOCK_NOT_AVAILABLE:
                raise
            raise OperatorError(
                f"Secret {self.arn}: an application's open transaction changed a role and keeps it locked"
                f"{holders(self.session)}."
            ) from None

    def find(self, name: str) -> Role | None:
        """Return a role; None if it does not exist."""
        return find_role(self.session, name)

    def mark(self, name: str) -> None:
        """Add the secret's mark to a role's comment, and keep the rest of the comment."""
        role = self.find(name)
        if role is not None and not role.belongs_to(self.arn):
            lines = [*role.comment.splitlines(), mark_for(self.arn)]
            self.session.execute(f"COMMENT ON ROLE {identifier(name)} IS {literal(chr(10).join(lines))}")

    def check_ours(self, name: str) -> None:
        """Raise OperatorError if a role does not exist or does not have the secret's mark."""
        role = self.find(name)
        if role is None:
            raise OperatorError(
                f"Secret {self.arn}: role {name!r} does not exist. Run the provisioning again to create it."
            )
        if not role.belongs_to(self.arn):
            raise OperatorError(
                f"Secret {self.arn}: role {name!r} exists, but its password is not in the secret, and its "
                "comment does not name the secret: the role may be in use elsewhere. If it belongs to this "
                "secret, write its password into the secret, or have an administrator run: COMMENT ON ROLE "
                f"{identifier(name)} IS '{mark_for(self.arn)}'"
            )

    def claim_users(self, names: Sequence[str], proven: str | None) -> None:
        """Check that existing login roles may be taken over for the secret.

        Args:
            names: the login roles.
            proven: the role whose password is in the secret and works; None if there is none.

        Raises:
            OperatorError: a role may be in use elsewhere, or has more power than an application's login.
        """
        for name in names:
            role = self.find(name)
            if role is None or role.belongs_to(self.arn):
                continue
            if name != proven and not (proven and self._paired(name, proven)):
                self.check_ours(name)
            if role.powers or _RESERVED.fullmatch(name) or name == self.me:
                powers = ", ".join(role.powers) or "its name is reserved"
                raise OperatorError(
                    f"Secret {self.arn}: role {name!r} cannot be an application's login ({powers}). Use a "
                    "role without SUPERUSER, CREATEROLE and REPLICATION."
                )
            if role.marks:
                raise OperatorError(
                    f"Secret {self.arn}: role {name!r} belongs to the secret {role.marks[0]}. Choose a "
                    "different username."
                )

    def _paired(self, name: str, other: str) -> bool:
        """Return whether an administrator made one role a member of the other, as AWS's own function does.

        Up to PostgreSQL 15 a role may grant itself, so a membership that it granted proves nothing.
        """
        return any(
            grantor not in {name, other}
            for group, member in ((name, other), (other, name))
            for (grantor,) in self.session.rows(_GRANTORS, group=group, member=member)
        )

    def claim_owner(self, name: str) -> None:
        """Create the role that alternating users act as, or check the existing one.

        Raises:
            OperatorError: the existing role does not have the secret's mark, or must not be an owner role.
        """
        role = self.find(name)
        if role is None:
            self._check_reserved(name)
            self.session.execute(f"CREATE ROLE {identifier(name)} NOLOGIN")
            self.mark(name)
            return
        if not role.belongs_to(self.arn):
            raise OperatorError(
                f"Secret {self.arn}: the owner role {name!r} exists, but its comment does not name the "
                "secret: the role may be in use elsewhere. Declare a different ownerRole. Or, if the role "
                "belongs to this login, have an administrator run: COMMENT ON ROLE "
                f"{identifier(name)} IS '{mark_for(self.arn)}'"
            )
        self._check_harmless(role)

    def owner_of(self, users: Sequence[str]) -> str:
        """Return the role that both users act as: marked, without LOGIN, and granted to those that exist.

        Raises:
            PendingOutdatedError: no role qualifies; the rotation has to wait for provisioning.
            OperatorError: there are several, or one has an administrator's power.
        """
        present = [name for name in users if self.find(name)]
        owners = []
        for (name,) in self.session.rows(_MARKED):
            role = self.find(name)
            if role is None or name in users or not role.belongs_to(self.arn):
                continue
            if role.powers or _RESERVED.fullmatch(name) or name == self.me:
                self._check_harmless(role)
            if not role.can_log_in and all(self.is_member(user, name) for user in present):
                owners.append(role)
        if not present or not owners:
            raise PendingOutdatedError(
                f"Secret {self.arn}: the users {' and '.join(map(repr, users))} do not exist, or have no "
                "owner role with the secret's mark. This rotation is abandoned; AWSCURRENT is unchanged. Run "
                "the provisioning again, then rotate."
            )
        if len(owners) > 1:
            names = ", ".join(repr(role.name) for role in owners)
            raise OperatorError(
                f"Secret {self.arn}: {names} all have the secret's mark and are granted to its users. "
                "Remove the mark from the comment of every role except the owner role, then rotate again."
            )
        self._check_harmless(owners[0])
        return owners[0].name

    def is_member(self, member: str, group: str) -> bool:
        """Return whether `member` was granted `group` directly."""
        return bool(self.session.rows(_GRANTORS, group=group, member=member))

    def _check_reserved(self, name: str) -> None:
        if _RESERVED.fullmatch(name) or name == self.me:
            raise OperatorError(
                f"Secret {self.arn}: {name!r} cannot be an owner role: the name belongs to the "
                "administrator, PostgreSQL or RDS. Declare a different ownerRole."
            )

    def _check_harmless(self, role: Role) -> None:
        """Raise OperatorError for an owner role that would give the application more power than declared."""
        others = [mark for mark in role.marks if secret_name(mark) != secret_name(self.arn)]
        reasons = [
            *role.powers,
            *(["LOGIN"] if role.can_log_in else []),
            *([f"also marked for {others[0]}"] if others else []),
            *(["reserved"] if _RESERVED.fullmatch(role.name) or role.name == self.me else []),
        ]
        if reasons:
            raise OperatorError(
                f"Secret {self.arn}: role {role.name!r} has the secret's mark, but cannot be its owner role "
                f"({', '.join(reasons)}). If the application's users are members, they have its rights: have "
                f"an administrator REVOKE {identifier(role.name)} from them and remove the line "
                f"{mark_for(self.arn)} from its comment, then run the provisioning again."
            )


def holders(session: Session) -> str:
    """Return which sessions hold roles locked and how to end them, as the end of a sentence."""
    sessions = "; ".join(
        f"PID {pid}, user {name!r}, {program!r}, {state}" for pid, name, program, state in session.rows(_BUSY)
    )
    remedy = "End the transaction in the application, or run SELECT pg_terminate_backend(PID)"
    return f" ({sessions}). {remedy}" if sessions else f". {remedy}"


def find_role(session: Session, name: str) -> Role | None:
    """Return a role; None if it does not exist."""
    if len(name.encode()) > LONGEST_NAME:  # the server would look for the truncated name
        return None
    rows = session.rows(_ROLE, name=name)
    if not rows:
        return None
    _, comment, can_log_in, *attributes = rows[0]
    powers = zip(("SUPERUSER", "CREATEROLE", "REPLICATION"), attributes[:3], strict=True)
    extras = zip(("CREATEDB", "BYPASSRLS"), attributes[3:], strict=True)
    return Role(
        name,
        comment,
        can_log_in,
        tuple(power for power, has in powers if has),
        tuple(extra for extra, has in extras if has),
    )


def mark_for(arn: str) -> str:
    """Return the mark of a secret: the line in a role's comment that ties the role to it."""
    return f"{_MARK}{arn}"


@contextmanager
def administrator(
    arn: str, login: Login, read_secret: Callable[[str], Fields], need: str, *, declared: bool = False
) -> Iterator[Authority]:
    """Log in as the administrator that the login's secret names, on a server declared for that administrator.

    Args:
        arn: ARN of the login's secret.
        login: the login.
        read_secret: reads the AWSCURRENT value of another secret.
        need: why an administrator is needed, for the message if there is none.
        declared: whether the deployment has just declared host, port and masterarn, equal to the login's.

    Raises:
        OperatorError: there is no administrator, or the server is not one of its declared servers.
    """
    with ExitStack() as stack:
        opened = enter_as_administrator(
            stack,
            arn,
            login,
            read_secret,
            partial(session, scram_only=True),
            product="PostgreSQL",
            need=need,
            declared=declared,
        )
        yield Authority(opened, arn, str(opened.value("SELECT current_user::text")))
