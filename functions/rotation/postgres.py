"""Rotates logins of PostgreSQL 13 to 18, Amazon RDS and Aurora: a single user, or two that take turns.

Single user: the password of one role is replaced. Between setSecret and finishSecret, seconds as a rule,
AWSCURRENT names a password that no longer works: PostgreSQL knows one password a role.

Alternating users: AWSCURRENT names one of NAME and NAME_clone (AWS's own naming); a rotation sets the
password of the other one and makes it current. What workloads read works at every moment, and what they have
read goes on working until the rotation after next. Both roles are members of one role that cannot log in, and
act as it (ALTER ROLE ... SET role), so that neither owns what the other needs.

Alternating users need an administrator (key masterarn) that may create roles, and provisioning before the
first rotation. With a single user the administrator is only asked if the password in the secret is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import postgres_roles as roles
from .driver import Fields, Versions
from .errors import LoginBusyError, LoginRefusedError, OperatorError, PendingOutdatedError
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
from .random_key import alphanumeric
from .sql import check_name, identifier

_REQUEST_KEYS = {"Username", "OwnerRole", "Grants", "Schemas", "CreateSchemas", "Connection"}
_CONNECTION_KEYS = {"host", "port", "dbname", "masterarn"}
_SERVER_KEYS = {"host", "port", "masterarn"}


@dataclass(frozen=True)
class _Wanted:
    """What a provisioning request declares.

    Attributes:
        username: the login as declared, the first of the two when users alternate.
        owner: the role that alternating users act as; None for a single user.
        grants: what the login may do.
        server: the request declares where the administrator logs in.
    """

    username: str
    owner: str | None
    grants: Grants
    server: bool


@dataclass(frozen=True)
class PostgresDriver:
    """Rotates one secret.

    Attributes:
        arn: the secret.
        alternating: two users that take turns.
        length: characters of a password.
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
                f"Secret {self.arn}: host, port, dbname or username was changed during a rotation. That "
                "rotation is given up and AWSCURRENT stays as it is; start another one."
            )
        return with_credentials(current, self.arn, then.username, then.password)

    def apply(self, versions: Versions) -> None:
        """Set the pending password, unless it works already."""
        current, pending = read_login(versions.current, self.arn), read_login(versions.pending, self.arn)
        if works(pending):
            return
        if self.alternating:
            self._apply_as_administrator(current, pending)
        else:
            self._apply_as_user(current, pending, versions)

    def verify(self, fields: Fields) -> None:
        """Log in as a workload would."""
        login = read_login(fields, self.arn)
        try:
            with session(login) as opened:
                opened.rows("SELECT current_user::text, current_database()::text")
        except LoginBusyError:
            return  # the password was checked before
        except LoginRefusedError as refused:
            raise OperatorError(
                f"Secret {self.arn}: {refused} If a person changed one of the two, put the right password "
                "into the secret, or run the provisioning again to have it set from the secret."
            ) from None

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Make roles and grants as declared, and the password as the secret says; all of it or nothing.

        Returns:
            {"Roles": [names], "Warnings": [sentences]}.
        """
        current = self._current(read)
        login = read_login(current, self.arn)
        wanted = self._read_request(request, current, login)
        if login.admin_arn is None and "Grants" not in request and not self.alternating and works(login):
            return {"Roles": [wanted.username], "Warnings": []}  # made by somebody else
        need = "Provisioning needs an administrator"
        with administrator(self.arn, login, self.read_secret, need, declared=wanted.server) as admin:
            provisioning = _Provisioning(self, admin, wanted, read)
            warnings = provisioning.run()
        if not provisioning.in_use:
            self.verify(self._current(read))
        owner = [wanted.owner] if wanted.owner else []
        return {"Roles": [*self._names(wanted.username), *owner], "Warnings": warnings}

    def _names(self, username: str) -> tuple[str, ...]:
        return pair_of(username) if self.alternating else (username,)

    def _current(self, read: Callable[[str], Fields | None]) -> Fields:
        current = read("AWSCURRENT")
        if current is None:
            raise OperatorError(f"Secret {self.arn} has no value yet. Give it its first one.")
        return current

    def _apply_as_user(self, current: Login, pending: Login, versions: Versions) -> None:
        """Log in with a password that still works, and change it.

        A person may have written a password into the secret that the database does not know. Then the version
        before it holds the one that the database knows, and the rotation heals the secret.
        """
        earlier = versions.previous()
        candidates = [current, *([read_login(earlier, self.arn)] if earlier else [])]
        for known in candidates:
            if known.username != pending.username or not known.same_database(pending):
                continue
            try:
                with session(known, as_itself=True) as opened:
                    self._set_own_password(opened, pending)
            except LoginRefusedError:
                continue
            return
        if current.admin_arn is None:
            raise OperatorError(
                f"Secret {self.arn}: neither AWSCURRENT nor AWSPREVIOUS logs in as {current.username!r} at "
                f"{current.server}, so the password cannot be changed. Put the right password into the "
                "secret, set the secret's password in the database, or name an administrator's secret "
                "under 'masterarn'."
            )
        with administrator(self.arn, current, self.read_secret, "") as admin:

            def set_password() -> None:
                admin.check_ours(pending.username)
                roles.check_may_log_in(admin.session, pending.username)
                roles.set_password(admin.session, pending.username, pending.password)

            admin.transact(set_password)

    def _set_own_password(self, opened: Session, pending: Login) -> None:
        """Change the password of the connected user.

        Raises:
            PendingOutdatedError: the user is one of two that alternate, and a tag was changed.
        """
        other = find_role(opened, other_of(pending.username))
        me = find_role(opened, pending.username)
        if me and other and me.belongs_to(self.arn) and other.belongs_to(self.arn):
            raise PendingOutdatedError(
                f"Secret {self.arn}: its tags say that it has a single user, and {me.name!r} and "
                f"{other.name!r} carry its mark: they alternate. This rotation is given up. Correct the tag "
                "aws-secrets:rotation (`pulumi up --refresh`); for a single user from now on, drop "
                f"the role {other_of(pair_of(me.name)[0])!r}."
            )
        try:
            opened.transact(lambda: roles.set_password(opened, pending.username, pending.password))
        except SqlError as error:
            if error.code != LOCK_NOT_AVAILABLE:
                raise
            raise OperatorError(
                f"Secret {self.arn}: the application blocks this: an open transaction has changed the role "
                f"{pending.username!r}{holders(opened)}."
            ) from None

    def _apply_as_administrator(self, current: Login, pending: Login) -> None:
        """Set the password of the user that nobody reads about, made again if somebody dropped it."""
        pair = pair_of(current.username)
        need = "Alternating users need an administrator"
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

            admin.transact(set_password)

    def _is_being_rotated(self, login: Login, pending: Fields | None) -> bool:
        """Tell whether a rotation has set its password already, which must not be undone."""
        if pending is None:
            return False
        following = read_login(pending, self.arn)
        return following.username == login.username and following.same_database(login) and works(following)

    def _read_request(self, request: Mapping[str, object], current: Fields, login: Login) -> _Wanted:
        unknown = sorted(request.keys() - _REQUEST_KEYS)
        if unknown:
            raise OperatorError(
                f"Provisioning knows no {', '.join(unknown)}; known are {', '.join(sorted(_REQUEST_KEYS))}."
            )
        declared = request.get("Username", pair_of(login.username)[0] if self.alternating else login.username)
        if not isinstance(declared, str):
            raise OperatorError("Username must be a text.")
        check_name(declared, "Username")
        names = pair_of(declared) if self.alternating else (declared, declared + CLONE_SUFFIX)
        if self.alternating and declared != names[0]:
            raise OperatorError(
                f"Username is {declared!r}: with alternating users that is the name of a second user. "
                f"Declare the first one, {names[0]!r}."
            )
        if login.username not in names:
            raise OperatorError(
                f"Secret {self.arn}: key 'username' is not {declared!r}, which the deployment declares. "
                "Correct one of the two."
            )
        connection = request.get("Connection", {})
        self._check_connection(connection, current)
        server = isinstance(connection, Mapping) and connection.keys() >= _SERVER_KEYS
        grants = read_grants(
            request.get("Grants", []),
            request.get("Schemas", ["public"]),
            request.get("CreateSchemas", False),
        )
        if not self.alternating:
            return _Wanted(login.username, None, grants, server)
        owner = request.get("OwnerRole", f"{declared}_owner")
        if not isinstance(owner, str) or owner in names:
            raise OperatorError("OwnerRole must be a name, and another one than those of the two users.")
        for name, what in ((owner, "OwnerRole"), (names[1], "The name of the second user")):
            check_name(name, what)
        return _Wanted(declared, owner, grants, server)

    def _check_connection(self, declared: object, current: Fields) -> None:
        """A deployment never writes over the secret, so that a changed declaration must not pass unseen."""
        if not isinstance(declared, Mapping) or declared.keys() - _CONNECTION_KEYS:
            raise OperatorError(
                f"Connection must be an object with keys of {', '.join(sorted(_CONNECTION_KEYS))}."
            )
        wrong = [key for key, value in declared.items() if str(current.get(key)) != str(value)]
        if wrong:
            raise OperatorError(
                f"Secret {self.arn}: {', '.join(map(repr, wrong))} in the secret differs from what the "
                "deployment declares. The secret's value is never overwritten by a deployment: write the "
                "declared one into it (aws secretsmanager put-secret-value), or declare what it has."
            )


@dataclass
class _Provisioning:
    """One provisioning request, with the administrator's session for it.

    Attributes:
        in_use: the password in the secret worked before.
    """

    driver: PostgresDriver
    admin: Authority
    wanted: _Wanted
    read: Callable[[str], Fields | None]
    in_use: bool = True

    def run(self) -> list[str]:
        """Make roles and grants as declared; returns warnings.

        All of it or nothing, unless a login that exists owns objects: then those are handed over between two
        transactions, while the login goes on using them as a member of their new owner.
        """
        session = self.admin.session
        names = self.driver._names(self.wanted.username)  # noqa: SLF001 - its other half
        users, owner = names, self.wanted.owner

        def whole() -> tuple[list[str], list[str]]:
            warnings = self._prepare(users)
            owning = [name for name in users if owner and owns_something(session, name)]
            return (warnings, owning) if owning else (warnings + self._finish(users), [])

        warnings, owning = self.admin.transact(whole)
        for name in owning:
            warnings += self._hand_over(name)
        return warnings + (self.admin.transact(lambda: self._finish(users)) if owning else [])

    def _hand_over(self, name: str) -> list[str]:
        assert self.wanted.owner is not None  # noqa: S101 - for the type checker: there is one where objects are handed over
        return [
            *hand_over_objects(self.admin.session, name, self.wanted.owner),
            *(
                f"{name!r} owns objects in database {database!r}, which {self.wanted.owner!r} does not get: "
                "connect there and run REASSIGN OWNED."
                for database in roles.owned_elsewhere(self.admin.session, name)
            ),
        ]

    def _prepare(self, users: Sequence[str]) -> list[str]:
        """Make the roles, with what an existing login may do given to the owner."""
        session, owner = self.admin.session, self.wanted.owner
        # no rotation of ours sets a password as long as the transaction lasts, so what is read now holds
        login = self._login()
        self.in_use = works(login) or self.driver._is_being_rotated(login, self.read("AWSPENDING"))  # noqa: SLF001 - as above
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
        """Let the users act as the owner, and grant what is declared."""
        session, owner = self.admin.session, self.wanted.owner
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
                    f"Sessions of {grantee!r} act as {acted!r} by its own setting (ALTER ROLE ... SET role), "
                    f"so that what is granted to {grantee!r} does not count in them. To end that: ALTER ROLE "
                    f"{identifier(grantee)} RESET role."
                )
        return warnings + apply_grants(session, self.wanted.grants, users, grantee)

    def _untie(self, users: Sequence[str]) -> list[str]:
        """AWS's own function grants the first user to the second one, which then has what the owner has."""
        session = self.admin.session
        statements = [
            f"REVOKE {identifier(group)} FROM {identifier(member)}"
            for group, member in ((users[0], users[1]), (users[1], users[0]))
            if self.admin.is_member(member, group)
        ]
        return [
            f"One of two alternating users is still a member of the other one. Run: {statement}"
            for statement in statements
            if session.attempt(statement)
        ]

    def _login(self) -> Login:
        return read_login(self.driver._current(self.read), self.driver.arn)  # noqa: SLF001 - as above
