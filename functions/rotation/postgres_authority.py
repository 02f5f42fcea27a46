"""What an administrator's session may touch for a secret; no other module opens one.

Authority comes from two places: what the deployment declares (the provisioning request, the function's
environment), and what only an administrator can write: the mark in a role's comment, `aws-secrets:ARN`, which
takes CREATEROLE, and from PostgreSQL 16 on ADMIN OPTION on the role. All else that can be read here is
written by applications and is a claim: the secret's JSON, its tags, a role's own settings (`ALTER ROLE x SET
role = ...` is open to x), default privileges, memberships, objects and their owners. A claim is compared
with the two, or refused.
"""

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from .driver import Fields
from .errors import LoginRefusedError, OperatorError, PendingOutdatedError
from .postgres_secret import Login, read_admin
from .postgres_session import LOCK_NOT_AVAILABLE, Answer, Session, SqlError, session
from .sql import LONGEST_NAME, identifier, literal

SERVERS_VARIABLE = "ADMINISTRATOR_SERVERS"
"""Environment variable: fingerprints of the servers on which each administrator's password may be used."""

_MARK = "aws-secrets:"
_ADMIN_TRIES = 4  # its own rotation may be between its two halves
# Of PostgreSQL itself, Amazon RDS, Azure and Google Cloud SQL.
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
# Sessions with an open transaction that has changed roles, their settings or memberships.
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
    """A role as the catalog has it.

    Attributes:
        name: its name.
        comment: all of it, the marks included.
        can_log_in: LOGIN.
        powers: SUPERUSER, CREATEROLE, REPLICATION, as far as it has them.
        extras: CREATEDB, BYPASSRLS, as far as it has them.
    """

    name: str
    comment: str
    can_log_in: bool
    powers: tuple[str, ...]
    extras: tuple[str, ...]

    def belongs_to(self, arn: str) -> bool:
        """Return whether a mark names this secret, or one of the same name that was deleted since."""
        return any(_secret_name(mark) == _secret_name(arn) for mark in self.marks)

    @property
    def marks(self) -> list[str]:
        """ARNs of the secrets that the role belongs to."""
        return [line.removeprefix(_MARK) for line in self.comment.splitlines() if line.startswith(_MARK)]


@dataclass(frozen=True)
class Authority:
    """An administrator's session for one secret.

    Attributes:
        session: the administrator's.
        arn: the secret.
        me: the administrator's role.
    """

    session: Session
    arn: str
    me: str

    def transact(self, work: Callable[[], Answer]) -> Answer:
        """Do work on roles in a transaction; a lock that an application holds is told with its holder."""
        try:
            return self.session.transact(work)
        except SqlError as error:
            if error.code != LOCK_NOT_AVAILABLE:
                raise
            raise OperatorError(
                f"Secret {self.arn}: the application blocks this: an open transaction has changed a role and "
                f"keeps it locked{holders(self.session)}."
            ) from None

    def find(self, name: str) -> Role | None:
        """Look a role up."""
        return find_role(self.session, name)

    def mark(self, name: str) -> None:
        """Write the secret into a role's comment, below what others wrote there."""
        role = self.find(name)
        if role is not None and not role.belongs_to(self.arn):
            lines = [*role.comment.splitlines(), mark_for(self.arn)]
            self.session.execute(f"COMMENT ON ROLE {identifier(name)} IS {literal(chr(10).join(lines))}")

    def check_ours(self, name: str) -> None:
        """Raise OperatorError for a role that is not there, or does not carry the secret's mark."""
        role = self.find(name)
        if role is None:
            raise OperatorError(
                f"Secret {self.arn}: role {name!r} does not exist. Run the provisioning again to make it."
            )
        if not role.belongs_to(self.arn):
            raise OperatorError(
                f"Secret {self.arn}: role {name!r} exists, its password is not in the secret, and its "
                "comment does not name the secret: somebody else may be using it. If it is this secret's, "
                "write its password into the secret, or let an administrator run: COMMENT ON ROLE "
                f"{identifier(name)} IS '{mark_for(self.arn)}'"
            )

    def claim_users(self, names: Sequence[str], proven: str | None) -> None:
        """Refuse login roles that exist and may be somebody else's, or are more than an application's.

        Args:
            names: the login roles.
            proven: the one whose password is in the secret and works; None without.
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
                    f"Secret {self.arn}: {name!r} is not an application's login ({powers}), and is not taken "
                    "over. Use a role without SUPERUSER, CREATEROLE and REPLICATION."
                )
            if role.marks:
                raise OperatorError(
                    f"Secret {self.arn}: role {name!r} belongs to the secret {role.marks[0]}. Choose another "
                    "username."
                )

    def _paired(self, name: str, other: str) -> bool:
        """Return whether an administrator made one a member of the other, as AWS's own function does.

        Up to PostgreSQL 15 a role may grant itself: such a membership says nothing.
        """
        return any(
            grantor not in {name, other}
            for group, member in ((name, other), (other, name))
            for (grantor,) in self.session.rows(_GRANTORS, group=group, member=member)
        )

    def claim_owner(self, name: str) -> None:
        """Make the role that alternating users act as; refuse one that exists and is not ours."""
        role = self.find(name)
        if role is None:
            self._check_reserved(name)
            self.session.execute(f"CREATE ROLE {identifier(name)} NOLOGIN")
            self.mark(name)
            return
        if not role.belongs_to(self.arn):
            raise OperatorError(
                f"Secret {self.arn}: the owner role {name!r} exists, and its comment does not name the "
                "secret: it may be somebody else's. Declare another ownerRole; or, if it is the login's, let "
                f"an administrator run: COMMENT ON ROLE {identifier(name)} IS '{mark_for(self.arn)}'"
            )
        self._check_harmless(role)

    def owner_of(self, users: Sequence[str]) -> str:
        """Return the role that both users act as: marked, without LOGIN, and granted to those that exist.

        Raises:
            PendingOutdatedError: there is none; a rotation cannot go on before provisioning.
            OperatorError: there are several, or one that is an administrator's.
        """
        present = [name for name in users if self.find(name)]
        found = []
        for (name,) in self.session.rows(_MARKED):
            role = self.find(name)
            if role is None or name in users or not role.belongs_to(self.arn):
                continue
            if role.powers or _RESERVED.fullmatch(name) or name == self.me:
                self._check_harmless(role)
            if not role.can_log_in and all(self.is_member(user, name) for user in present):
                found.append(role)
        if not present or not found:
            raise PendingOutdatedError(
                f"Secret {self.arn}: the users {' and '.join(map(repr, users))} do not exist, or have no "
                "owner role with the secret's mark. This rotation is given up, AWSCURRENT stays as it is. "
                "Run the provisioning again, then rotate."
            )
        if len(found) > 1:
            names = ", ".join(repr(role.name) for role in found)
            raise OperatorError(
                f"Secret {self.arn}: {names} all carry the secret's mark and are granted to its users. "
                "Remove the mark from the comment of those that are not the owner role, then rotate again."
            )
        self._check_harmless(found[0])
        return found[0].name

    def is_member(self, member: str, group: str) -> bool:
        """Return whether `member` was granted `group` itself."""
        return bool(self.session.rows(_GRANTORS, group=group, member=member))

    def _check_reserved(self, name: str) -> None:
        if _RESERVED.fullmatch(name) or name == self.me:
            raise OperatorError(
                f"Secret {self.arn}: {name!r} cannot be an owner role: it is the administrator's, "
                "PostgreSQL's or RDS's. Declare another ownerRole."
            )

    def _check_harmless(self, role: Role) -> None:
        """Raise OperatorError for an owner role that would make the application more than it is declared."""
        others = [mark for mark in role.marks if _secret_name(mark) != _secret_name(self.arn)]
        reasons = [
            *role.powers,
            *(["LOGIN"] if role.can_log_in else []),
            *([f"also marked for {others[0]}"] if others else []),
            *(["reserved"] if _RESERVED.fullmatch(role.name) or role.name == self.me else []),
        ]
        if reasons:
            raise OperatorError(
                f"Secret {self.arn}: role {role.name!r} carries the secret's mark, but cannot be its owner "
                f"({', '.join(reasons)}). If the application's users are members, they have its rights: let "
                f"an administrator REVOKE {identifier(role.name)} from them, remove the line "
                f"{mark_for(self.arn)} from its comment, and run the provisioning again."
            )


def holders(session: Session) -> str:
    """Return who holds roles locked, and how to end that, as the end of a sentence."""
    found = session.rows(_BUSY)
    listed = "; ".join(
        f"PID {pid}, user {name!r}, {program!r}, {state}" for pid, name, program, state in found
    )
    ending = "End it: SELECT pg_terminate_backend(PID), or end the application's transaction"
    return f" ({listed}). {ending}" if listed else f". {ending}"


def find_role(session: Session, name: str) -> Role | None:
    """Look a role up."""
    if len(name.encode()) > LONGEST_NAME:  # the server would look for what is left of it
        return None
    found = session.rows(_ROLE, name=name)
    if not found:
        return None
    _, comment, can_log_in, *attributes = found[0]
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
    """Return the line in a role's comment that makes it a secret's."""
    return f"{_MARK}{arn}"


def fingerprint(admin_arn: str, host: str, port: int) -> str:
    """Return what the environment holds for a server on which an administrator's password may be used."""
    digest = hashlib.sha256(f"{admin_arn}\n{host.casefold()}:{port}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:12]).decode()


@contextmanager
def administrator(
    arn: str, login: Login, read_secret: Callable[[str], Fields], need: str, *, declared: bool = False
) -> Iterator[Authority]:
    """Log in as the administrator whose secret the login's names, on a server that is known to be its.

    Args:
        arn: the login's secret.
        login: what it holds.
        read_secret: reads the AWSCURRENT value of another secret.
        need: what the administrator is for, in a message for the operator.
        declared: the deployment has just declared host, port and masterarn, and they are the login's.

    Raises:
        OperatorError: there is no administrator, or the server is not known to be its.
    """
    if login.admin_arn is None:
        raise OperatorError(f"Secret {arn}: {need}: key 'masterarn' with the ARN of its secret is missing.")
    with ExitStack() as stack:
        opened = _enter(stack, login, login.admin_arn, read_secret, declared=declared)
        yield Authority(opened, arn, str(opened.value("SELECT current_user::text")))


def _enter(
    stack: ExitStack, login: Login, admin_arn: str, read_secret: Callable[[str], Fields], *, declared: bool
) -> Session:
    for remaining in reversed(range(_ADMIN_TRIES)):
        fields = read_secret(admin_arn)
        admin = read_admin(fields, admin_arn, login)
        if not declared and not {"host", "port"} <= fields.keys():
            _check_server(admin_arn, login)
        try:
            return stack.enter_context(session(admin, scram_only=True))
        except LoginRefusedError as refused:
            if not remaining:
                raise OperatorError(f"Administrator secret {admin_arn}: {refused}") from None
        time.sleep(1)
    raise AssertionError  # the last try returns or raises


def _check_server(admin_arn: str, login: Login) -> None:
    """A login's secret is no authority on where an administrator's password may go."""
    known = os.environ.get(SERVERS_VARIABLE, "").split()
    if fingerprint(admin_arn, login.host, login.port) not in known:
        raise OperatorError(
            f"Administrator secret {admin_arn} names no host and port, and the deployment does not declare "
            f"{login.server} for it: its password is not used there. If the login's secret has the "
            "wrong host or port, correct it; if the server has moved, run `pulumi up`."
        )


def _secret_name(arn: str) -> str:
    """Return the ARN without the six random characters, which differ when a secret is made again."""
    return re.sub(r"-[A-Za-z0-9]{6}$", "", arn)
