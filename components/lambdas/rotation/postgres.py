"""Rotate logins of PostgreSQL 13 to 18, Amazon RDS and Aurora: a single user, or two alternating users.

Single user: the password of one role is replaced. Between setSecret and finishSecret, usually for seconds,
AWSCURRENT has a password that no longer works, because a PostgreSQL role has only one.

Alternating users: AWSCURRENT names one of NAME and NAME_clone (AWS's own naming). A rotation sets the
password of the other user and makes it current. The current value works at every moment, and a value that a
workload has read works until the rotation after next. Both roles are members of an owner role that cannot log
in, and act as it (ALTER ROLE ... SET role), so that neither owns what the other needs.

Alternating users need an administrator (key masterarn) that may create roles, and provisioning before the
first rotation. With a single user, the administrator is only needed if the password in the secret is wrong.
"""

import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from . import postgres_roles as roles
from .driver import Fields, Holder, Part, Rehearsal, Renewed, Versions
from .errors import (
    LoginBusyError,
    LoginRefusedError,
    OperatorError,
    PendingOutdatedError,
    ValueRefusedError,
)
from .labels import CURRENT, PENDING
from .login_secret import check_declared
from .postgres_authority import Authority, administrator, find_role, holders
from .postgres_grants import Grants, apply_grants, read_grants
from .postgres_handover import hand_over_objects, hand_over_privileges, owns_something
from .postgres_secret import (
    CLONE_SUFFIX,
    Login,
    other_of,
    pair_of,
    read_login,
    with_credentials,
)
from .postgres_session import LOCK_NOT_AVAILABLE, Session, SqlError, session, works
from .protocol import (
    CONNECTION,
    CREATE_SCHEMAS,
    GRANTS,
    HOST,
    LOGIN_USERNAME,
    MASTER_ARN,
    OWNER_ROLE,
    PORT,
    ROLES,
    ROTATION_TAG,
    SCHEMAS,
    USERNAME,
    WARNINGS,
)
from .random_key import alphanumeric
from .rehearsal_steps import RECREATE, SET, TEST
from .rehearsal_steps import SCHEMAS as SCHEMAS_STEP
from .sql import check_name, identifier, literal

_REQUEST_KEYS = {USERNAME, OWNER_ROLE, GRANTS, SCHEMAS, CREATE_SCHEMAS, CONNECTION}
_SERVER_KEYS = {HOST, PORT, MASTER_ARN}


@dataclass(frozen=True)
class _Declaration:
    """A checked provisioning request.

    Attributes:
        username: the declared login; with alternating users, the first of the two.
        owner: the role that alternating users act as; None for a single user.
        grants: what the login may do.
        server: whether the request declares where the administrator logs in.
    """

    username: str
    owner: str | None
    grants: Grants
    server: bool


@dataclass(frozen=True)
class PostgresDriver:
    """The driver for one secret.

    Attributes:
        arn: the secret's ARN.
        alternating: whether two users alternate.
        length: number of characters of a password.
        read_secret: reads the AWSCURRENT value of another secret, the administrator's.
    """

    arn: str
    alternating: bool
    length: int
    read_secret: Callable[[str], Fields]

    def next_fields(self, current: Fields) -> Fields:
        """Return `current` with the next user and a new password, letters and digits only."""
        username = read_login(current, self.arn).username
        if self.alternating:
            username = other_of(username)
            check_name(username, f"Secret {self.arn}: the name of the second user")
        return with_credentials(current, self.arn, username, alphanumeric(self.length))

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with user and password of `pending`."""
        now, then = read_login(current, self.arn), read_login(pending, self.arn)
        finished = (now.username, now.password) == (then.username, then.password)
        expected = now.username if finished or not self.alternating else other_of(now.username)
        if then.username != expected or not now.same_database(then):
            raise PendingOutdatedError(
                f"Secret {self.arn}: host, port, dbname or username was changed during a rotation, which is "
                "abandoned; AWSCURRENT is unchanged. Rotate again."
            )
        return with_credentials(current, self.arn, then.username, then.password)

    def apply(self, versions: Versions) -> None:
        """Set the pending password, unless it already works."""
        current, pending = read_login(versions.current, self.arn), read_login(versions.pending, self.arn)
        if not works(pending):
            self._apply(current, pending, versions, commit=True)

    def verify(self, fields: Fields) -> None:
        """Log in as a workload would."""
        login = read_login(fields, self.arn)
        try:
            with session(login) as opened:
                opened.rows("SELECT current_user::text, current_database()::text")
        except LoginBusyError:
            return  # the server checks the password first
        except LoginRefusedError as refused:
            raise ValueRefusedError(
                f"Secret {self.arn}: {refused} If somebody changed the secret or the role, put the right "
                "password into the secret, or run the provisioning again to set it from the secret."
            ) from None

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Create the declared roles and grants, with the secret's password; all or nothing.

        Returns:
            {"Roles": [names], "Warnings": [sentences]}.
        """
        current = self._current(read)
        login = read_login(current, self.arn)
        declaration = self._read_request(request, current, login)
        if login.admin_arn is None and GRANTS not in request and not self.alternating and works(login):
            return {ROLES: [declaration.username], WARNINGS: []}  # somebody else created the role
        need = "provisioning needs an administrator"
        with administrator(self.arn, login, self.read_secret, need, declared=declaration.server) as admin:
            provisioning = _Provisioning(self, admin, declaration, read)
            warnings = provisioning.run()
        if not provisioning.in_use:
            self.verify(self._current(read))
        owner = [declaration.owner] if declaration.owner else []
        return {ROLES: [*self._names(declaration.username), *owner], WARNINGS: warnings}

    def end_sessions(self, current: Fields) -> int:
        """End the sessions of the login, of both users if they alternate."""
        login = read_login(current, self.arn)
        names = self._names(login.username)
        if login.admin_arn is None:
            with session(login, as_itself=True) as opened:
                return roles.end_sessions(opened, names)
        with administrator(self.arn, login, self.read_secret, "") as admin:
            present = [name for name in names if admin.find(name)]
            for name in present:
                admin.check_ours(name)  # the secret's value names the user, and an application may write it
            return roles.end_sessions(admin.session, present)

    def rehearse(
        self, current: Fields, previous: Callable[[], Fields | None], schemas: Sequence[str]
    ) -> Rehearsal:
        """Return the parts; what they change in the database is rolled back."""
        versions = Versions(current=current, pending=self.next_fields(current), previous=previous)
        now, pending = read_login(current, self.arn), read_login(versions.pending, self.arn)
        parts = [
            Part(step=TEST, run=partial(self.verify, current)),
            Part(step=SET, run=partial(self._apply, now, pending, versions, commit=False)),
        ]
        if self.alternating:
            parts.append(Part(step=RECREATE, run=partial(self._rehearse_recreation, now), needs=SET))
        if schemas:
            parts.append(Part(step=SCHEMAS_STEP, run=partial(_check_schemas, now, schemas), needs=TEST))
        gap = (
            f"testSecret: a login of {pending.username!r} with the new password, which is never committed; "
            f"the login of {now.username!r} with the current one was tried instead"
        )
        return Rehearsal(pending=versions.pending, parts=parts, gaps=[gap])

    def bookmark(self, current: Fields, known: str) -> str:
        """Return nothing: the two users tell the sessions apart."""
        del current, known
        return ""

    def watch(self, current: Fields, renewed: Renewed) -> Generator[Sequence[Holder]]:
        """Yield the sessions of the inactive user, which the next rotation gives a new password.

        They are exactly the clients that have not read the current value, whenever it became current.
        """
        del renewed
        if not self.alternating:
            raise OperatorError(
                f"Secret {self.arn}: a single user has one password, which everybody uses until it changes. "
                "Remove whileOldPasswordIsUsed, or declare users: alternating."
            )
        login = read_login(current, self.arn)
        inactive = other_of(login.username)
        need = "alternating users need an administrator"
        with administrator(self.arn, login, self.read_secret, need) as admin:
            if admin.find(inactive):
                admin.check_ours(inactive)  # the secret's value names the user: it may be another's
            while True:
                yield [
                    Holder(user=inactive, host=host, application=application)
                    for host, application in roles.sessions_of(admin.session, inactive)
                ]

    def _names(self, username: str) -> tuple[str, ...]:
        return pair_of(username) if self.alternating else (username,)

    def _current(self, read: Callable[[str], Fields | None]) -> Fields:
        current = read(CURRENT)
        if current is None:
            raise OperatorError(
                f"Secret {self.arn}: no version has the label {CURRENT}. Put an initial value into it."
            )
        return current

    def _apply(self, current: Login, pending: Login, versions: Versions, *, commit: bool) -> None:
        """Set the pending password; a rehearsal does the same and rolls it back."""
        if self.alternating:
            self._apply_as_administrator(current, pending, commit=commit)
        else:
            self._apply_as_user(current, pending, versions, commit=commit)

    def _apply_as_user(self, current: Login, pending: Login, versions: Versions, *, commit: bool) -> None:
        """Log in with a password that still works, and change it.

        If somebody wrote a password into the secret that the database does not know, the previous version has
        the one that works, and the rotation repairs the secret.
        """
        previous = versions.previous()
        candidates = [current, *([read_login(previous, self.arn)] if previous else [])]
        for known in candidates:
            if known.username != pending.username or not known.same_database(pending):
                continue
            try:
                with session(known, as_itself=True) as opened:
                    self._set_own_password(opened, pending, commit=commit)
            except LoginRefusedError:
                continue
            return
        if current.admin_arn is None:
            raise OperatorError(
                f"Secret {self.arn}: the passwords of AWSCURRENT and AWSPREVIOUS do not work for user "
                f"{current.username!r} at {current.server}, so the rotation cannot set a new one. Put the "
                "right password into the secret, set the secret's password in the database, or set the key "
                f"{MASTER_ARN!r} to the ARN of an administrator's secret."
            )
        with administrator(self.arn, current, self.read_secret, "") as admin:

            def set_password() -> None:
                admin.check_ours(pending.username)
                roles.check_may_log_in(admin.session, pending.username)
                roles.set_password(admin.session, pending.username, pending.password)

            admin.transact(set_password, commit=commit)

    def _set_own_password(self, opened: Session, pending: Login, *, commit: bool) -> None:
        """Change the password of the connected user.

        Raises:
            PendingOutdatedError: the user is one of two alternating ones, but the tag declares a single user.
        """
        other = find_role(opened, other_of(pending.username))
        me = find_role(opened, pending.username)
        if me and other and me.belongs_to(self.arn) and other.belongs_to(self.arn):
            raise PendingOutdatedError(
                f"Secret {self.arn}: its tags declare a single user, but both {me.name!r} and {other.name!r} "
                "have its mark, so they alternate. This rotation is abandoned. Correct the tag "
                f"{ROTATION_TAG} (`pulumi up --refresh`). To have a single user from now on, drop "
                f"the role {other_of(pair_of(me.name)[0])!r}."
            )
        try:
            opened.transact(
                lambda: roles.set_password(opened, pending.username, pending.password), commit=commit
            )
        except SqlError as error:
            if error.code != LOCK_NOT_AVAILABLE:
                raise
            raise OperatorError(
                f"Secret {self.arn}: an application's open transaction changed the role {pending.username!r} "
                f"and keeps it locked{holders(opened)}."
            ) from None

    def _apply_as_administrator(self, current: Login, pending: Login, *, commit: bool) -> None:
        """Set the password of the inactive user; recreate the user if somebody dropped it."""
        pair = pair_of(current.username)
        need = "alternating users need an administrator"
        with administrator(self.arn, current, self.read_secret, need) as admin:

            def set_password() -> None:
                present = [name for name in pair if admin.find(name)]
                for name in present:
                    admin.check_ours(name)
                owner = admin.owner_of(pair)
                roles.check_may_log_in(admin.session, pending.username)
                active = current.username if current.username in present else pending.username
                roles.ensure_pair(admin, pair, owner)
                roles.let_act_as(admin.session, pair, active, owner)
                roles.set_password(admin.session, pending.username, pending.password)
                if not commit:  # a rotation logs in, which shows it
                    roles.check_may_connect(admin.session, pending.username)

            admin.transact(set_password, commit=commit)

    def _rehearse_recreation(self, current: Login) -> None:
        """Create a user as for a dropped one, with a name of its own, and roll it back."""
        pair, shadow = pair_of(current.username), f"aws_secrets_rehearsal_{secrets.token_hex(8)}"
        with administrator(self.arn, current, self.read_secret, "") as admin:

            def create() -> None:
                for name in pair:
                    if admin.find(name):
                        admin.check_ours(name)
                owner = admin.owner_of(pair)
                roles.ensure_login(admin.session, shadow)
                roles.ensure_member(admin.session, shadow, owner)
                admin.mark(shadow)
                admin.session.execute(f"ALTER ROLE {identifier(shadow)} SET role = {literal(owner)}")
                roles.set_password(admin.session, shadow, alphanumeric(self.length))

            admin.transact(create, commit=False)

    def _is_being_rotated(self, login: Login, pending: Fields | None) -> bool:
        """Return whether a rotation has already set its password, which must not be undone."""
        if pending is None:
            return False
        new = read_login(pending, self.arn)
        return new.username == login.username and new.same_database(login) and works(new)

    def _read_request(self, request: Mapping[str, object], current: Fields, login: Login) -> _Declaration:
        unknown = sorted(request.keys() - _REQUEST_KEYS)
        if unknown:
            raise OperatorError(
                f"The provisioning event has unknown keys: {', '.join(unknown)}. Use "
                f"{', '.join(sorted(_REQUEST_KEYS))}."
            )
        declared = request.get(USERNAME, pair_of(login.username)[0] if self.alternating else login.username)
        if not isinstance(declared, str):
            raise OperatorError(f"{USERNAME} must be a string.")
        check_name(declared, USERNAME)
        names = pair_of(declared) if self.alternating else (declared, declared + CLONE_SUFFIX)
        if self.alternating and declared != names[0]:
            raise OperatorError(
                f"{USERNAME} is {declared!r}, which names the second of two alternating users. Declare the "
                f"first one, {names[0]!r}."
            )
        if login.username not in names:
            raise OperatorError(
                f"Secret {self.arn}: key {LOGIN_USERNAME!r} is not {declared!r}, which the deployment "
                "declares. Correct one of them."
            )
        connection = request.get(CONNECTION, {})
        check_declared(self.arn, connection, current, login)
        server = isinstance(connection, Mapping) and connection.keys() >= _SERVER_KEYS
        grants = read_grants(
            request.get(GRANTS, []),
            request.get(SCHEMAS, ["public"]),
            request.get(CREATE_SCHEMAS, False),
        )
        if not self.alternating:
            return _Declaration(login.username, None, grants, server)
        owner = request.get(OWNER_ROLE, f"{declared}_owner")
        if not isinstance(owner, str) or owner in names:
            raise OperatorError(f"{OWNER_ROLE} must be a name other than those of the two users.")
        for name, what in ((owner, OWNER_ROLE), (names[1], "The name of the second user")):
            check_name(name, what)
        return _Declaration(declared, owner, grants, server)


def _check_schemas(login: Login, schemas: Sequence[str]) -> None:
    with session(login) as opened:
        for name in schemas:
            roles.check_schema(opened, name)


@dataclass
class _Provisioning:
    """A provisioning request and the administrator's session for it.

    Attributes:
        in_use: whether the password in the secret already worked.
    """

    driver: PostgresDriver
    admin: Authority
    declaration: _Declaration
    read: Callable[[str], Fields | None]
    in_use: bool = True

    def run(self) -> list[str]:
        """Create the declared roles and grants; return warnings.

        It is all or nothing, unless an existing login owns objects. Those are handed over between two
        transactions, while the login keeps using them as a member of their new owner.
        """
        session = self.admin.session
        names = self.driver._names(self.declaration.username)  # noqa: SLF001 - its other half
        users, owner = names, self.declaration.owner

        def whole() -> tuple[list[str], list[str]]:
            warnings = self._prepare(users)
            owning = [name for name in users if owner and owns_something(session, name)]
            return (warnings, owning) if owning else (warnings + self._finish(users), [])

        warnings, owning = self.admin.transact(whole)
        for name in owning:
            warnings += self._hand_over(name)
        return warnings + (self.admin.transact(lambda: self._finish(users)) if owning else [])

    def _hand_over(self, name: str) -> list[str]:
        owner = self.declaration.owner
        assert owner is not None  # noqa: S101 - for the type checker: only an owner role takes objects over
        return [
            *hand_over_objects(self.admin.session, name, owner),
            *(
                f"{name!r} owns objects in database {database!r}, which were not handed over. Connect there "
                f"and run REASSIGN OWNED BY {identifier(name)} TO {identifier(owner)}."
                for database in roles.owned_elsewhere(self.admin.session, name)
            ),
        ]

    def _prepare(self, users: Sequence[str]) -> list[str]:
        """Create the roles, and give the privileges of an existing login to the owner; return warnings."""
        session, owner = self.admin.session, self.declaration.owner
        # until the end of this transaction, no rotation of ours sets a password, so what is read now stays
        # valid
        login = self._login()
        self.in_use = works(login) or self.driver._is_being_rotated(login, self.read(PENDING))  # noqa: SLF001 - as above
        self.admin.claim_users(users, login.username if self.in_use else None)
        if not self.in_use:
            roles.check_may_log_in(session, login.username)
            roles.ensure_login(session, login.username)
            roles.set_password(session, login.username, login.password)
        if owner is None:
            for name in users:
                self.admin.mark(name)
            return []
        self.admin.claim_owner(owner)
        new = [name for name in users if self.admin.find(name) is None]
        joining = [name for name in users if name not in new and not self.admin.is_member(name, owner)]
        warnings = []
        for name in joining:
            warnings += hand_over_privileges(session, name, owner, users)
        roles.ensure_pair(self.admin, users, owner)
        for name in new:
            roles.copy_limits(session, login.username, name)
        return warnings

    def _finish(self, users: Sequence[str]) -> list[str]:
        """Let the users act as the owner, and apply the declared grants; return warnings."""
        session, owner = self.admin.session, self.declaration.owner
        login = self._login()
        warnings = []
        if owner:
            roles.let_act_as(session, users, login.username, owner)
            warnings += self._untie(users)
            grantee = owner
        else:
            grantee = login.username
            acted = roles.acts_as(session, grantee)
            if acted is not None and acted != grantee:
                warnings.append(
                    f"Sessions of {grantee!r} act as {acted!r}, because of its own setting (ALTER ROLE ... "
                    f"SET role), so the grants to {grantee!r} have no effect in them. To change that, run: "
                    f"ALTER ROLE {identifier(grantee)} RESET role."
                )
        return warnings + apply_grants(session, self.declaration.grants, users, grantee)

    def _untie(self, users: Sequence[str]) -> list[str]:
        """Revoke one user from the other, as AWS's own function grants it: the owner role replaces that."""
        session = self.admin.session
        statements = [
            f"REVOKE {identifier(group)} FROM {identifier(member)}"
            for group, member in ((users[0], users[1]), (users[1], users[0]))
            if self.admin.is_member(member, group)
        ]
        return [
            f"One of the two alternating users is still a member of the other. Run: {statement}"
            for statement in statements
            if session.attempt(statement)
        ]

    def _login(self) -> Login:
        return read_login(self.driver._current(self.read), self.driver.arn)  # noqa: SLF001 - as above
