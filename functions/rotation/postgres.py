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

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from . import postgres_roles as roles
from .driver import Fields, Versions
from .errors import LoginRefusedError, OperatorError, PendingOutdatedError
from .postgres_grants import Grants, apply_grants, read_grants
from .postgres_handover import hand_over_privileges
from .postgres_secret import (
    CLONE_SUFFIX,
    Login,
    other_of,
    pair_of,
    read_admin,
    read_login,
    with_credentials,
)
from .postgres_session import Session, session, works
from .random_key import alphanumeric
from .sql import check_name

_REQUEST_KEYS = {"Username", "OwnerRole", "Grants", "Schemas", "Connection"}
_CONNECTION_KEYS = {"host", "port", "dbname", "masterarn"}
_ADMIN_TRIES = 4  # its own rotation may be between its two halves


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
        declared, owner, grants = self._read_request(request, current, login)
        if login.admin_arn is None and "Grants" not in request and not self.alternating and works(login):
            return {"Roles": [declared], "Warnings": []}  # made by somebody else
        with self._administrator(login, "Provisioning needs an administrator") as admin, admin.transaction():
            # no rotation sets a password as long as the transaction lasts, so what is read now holds
            login = read_login(self._current(read), self.arn)
            names = pair_of(declared) if self.alternating else (login.username,)
            in_use = works(login) or self._is_being_rotated(login, read("AWSPENDING"))
            self._claim(
                admin, [name for name in names if not in_use or name != login.username], names[0], owner
            )
            if not in_use:
                roles.check_may_log_in(admin, login.username)
                roles.ensure_role(admin, login.username, login=True)
                roles.set_password(admin, login.username, login.password)
            warnings = self._share(admin, login, names, owner) if owner else []
            for name in names:
                roles.mark(admin, roles.ensure_role(admin, name, login=True), self.arn)
            grantee = owner or roles.acts_as(admin, login.username) or login.username
            warnings += apply_grants(admin, grants, names, grantee)
        if not in_use:
            self.verify(self._current(read))
        return {"Roles": [*names, *([owner] if owner else [])], "Warnings": warnings}

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
                with session(known, as_itself=True) as opened, opened.transaction():
                    roles.set_password(opened, pending.username, pending.password)
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
        with self._administrator(current, "") as admin, admin.transaction():
            self._check_ours(admin, pending.username)
            roles.check_may_log_in(admin, pending.username)
            roles.set_password(admin, pending.username, pending.password)

    def _apply_as_administrator(self, current: Login, pending: Login) -> None:
        """Set the password of the user that nobody reads about, made again if somebody dropped it."""
        pair = pair_of(current.username)
        with (
            self._administrator(current, "Alternating users need an administrator") as admin,
            admin.transaction(),
        ):
            present = [name for name in pair if roles.find_role(admin, name)]
            for name in present:
                self._check_ours(admin, name)
            owner = next((role for role in (roles.acts_as(admin, name) for name in present) if role), None)
            if owner is None:
                raise OperatorError(
                    f"Secret {self.arn}: the users {' and '.join(map(repr, pair))} do not exist at "
                    f"{current.server}, or do not act as one owner. Run the provisioning again."
                )
            roles.check_may_log_in(admin, pending.username)
            active = current.username if current.username in present else pending.username
            roles.ensure_pair(admin, pair, active, owner, self.arn)
            roles.set_password(admin, pending.username, pending.password)

    def _is_being_rotated(self, login: Login, pending: Fields | None) -> bool:
        """Tell whether a rotation has set its password already, which must not be undone."""
        if pending is None:
            return False
        following = read_login(pending, self.arn)
        return following.username == login.username and following.same_database(login) and works(following)

    def _claim(self, admin: Session, names: Sequence[str], first: str, owner: str | None) -> None:
        """Refuse roles that may be somebody else's.

        Ours are: marked roles, and a second user that is a member of the first or of the owner, as AWS's own
        function for alternating users makes it.
        """
        for name in names:
            groups = [first, *([owner] if owner else [])]
            if roles.find_role(admin, name) is None:
                continue
            if name != first and any(roles.is_member(admin, name, group) for group in groups):
                continue
            self._check_ours(admin, name)

    def _check_ours(self, admin: Session, name: str) -> None:
        role = roles.find_role(admin, name)
        if role is None:
            raise OperatorError(
                f"Secret {self.arn}: role {name!r} does not exist. Run the provisioning again to make it."
            )
        if not role.belongs_to(self.arn):
            raise OperatorError(
                f"Secret {self.arn}: role {name!r} exists, its password is not in the secret, and its "
                "comment does not name the secret: somebody else may be using it. If it is this secret's, "
                "write its password into the secret, or let an administrator run: COMMENT ON ROLE ... IS "
                f"'{roles.mark_for(self.arn)}'"
            )

    def _share(self, admin: Session, login: Login, names: tuple[str, ...], owner: str) -> list[str]:
        """Turn a login, new or old, into the pair."""
        warnings = []
        roles.ensure_role(admin, owner, login=False)
        for name in names:
            if roles.find_role(admin, name) and roles.acts_as(admin, name) != owner:
                warnings += hand_over_privileges(admin, name, owner)
                warnings += [
                    f"{name!r} owns objects in database {database!r}, which {owner!r} does not get: "
                    "connect there and run REASSIGN OWNED."
                    for database in roles.owned_elsewhere(admin, name)
                ]
        base, clone = pair_of(names[0])
        roles.ensure_pair(admin, (base, clone), login.username, owner, self.arn)
        return warnings

    def _read_request(
        self, request: Mapping[str, object], current: Fields, login: Login
    ) -> tuple[str, str | None, Grants]:
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
        self._check_connection(request.get("Connection", {}), current)
        grants = read_grants(request.get("Grants", []), request.get("Schemas", ["public"]))
        if not self.alternating:
            return login.username, None, grants
        owner = request.get("OwnerRole", f"{declared}_owner")
        if not isinstance(owner, str) or owner in names:
            raise OperatorError("OwnerRole must be a name, and another one than those of the two users.")
        for name, what in ((owner, "OwnerRole"), (names[1], "The name of the second user")):
            check_name(name, what)
        return declared, owner, grants

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

    @contextmanager
    def _administrator(self, login: Login, need: str) -> Iterator[Session]:
        if login.admin_arn is None:
            raise OperatorError(
                f"Secret {self.arn}: {need}: key 'masterarn' with the ARN of its secret is missing."
            )
        with ExitStack() as stack:
            yield self._enter_as_administrator(stack, login, login.admin_arn)

    def _enter_as_administrator(self, stack: ExitStack, login: Login, admin_arn: str) -> Session:
        for remaining in reversed(range(_ADMIN_TRIES)):
            admin = read_admin(self.read_secret(admin_arn), admin_arn, login)
            try:
                return stack.enter_context(session(admin))
            except LoginRefusedError as refused:
                if not remaining:
                    raise OperatorError(f"Administrator secret {admin_arn}: {refused}") from None
            time.sleep(1)
        raise AssertionError  # the last try returns or raises
