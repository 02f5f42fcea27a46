"""Rotate logins of MySQL, MariaDB, Amazon RDS and Aurora: one user with two valid passwords.

A rotation gives the user a new password and keeps the one in AWSCURRENT valid; what was valid before that
ends. So the current value works at every moment, and a value that a workload has read works until the
rotation after next.

Both products need an administrator for that (key masterarn), because a user may not keep its own old
password; without one, the login must be an administrator itself. Statements contain verifiers
(`mysql_hashes`), never passwords.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from . import login_secret
from . import mysql_accounts as accounts
from . import mysql_clients as clients
from .driver import Fields, Holder, Part, Rehearsal, Renewed, Versions
from .errors import (
    LoginBusyError,
    LoginRefusedError,
    OperatorError,
    PendingOutdatedError,
    ValueRefusedError,
)
from .labels import CURRENT, PENDING
from .login_secret import Dialect, Login, check_declared
from .mysql_authority import Authority, administrator
from .mysql_grants import Grants, apply_grants, read_grants
from .mysql_secret import DIALECTS
from .mysql_session import (
    DENIED,
    LOCK_NOT_AVAILABLE,
    NO_SUCH_PROCEDURE,
    NO_SUCH_SESSION,
    NOT_THE_OWNER,
    Session,
    SqlError,
    session,
    works,
)
from .mysql_sql import Account, check_host, literal
from .protocol import (
    CONNECTION,
    GRANTS,
    HOST,
    LOGIN_USERNAME,
    MASTER_ARN,
    PORT,
    ROLES,
    USER_HOST,
    USERNAME,
    WARNINGS,
)
from .random_key import alphanumeric
from .rehearsal_steps import SET, TEST

_REQUEST_KEYS = {USERNAME, GRANTS, USER_HOST, CONNECTION}
_SERVER_KEYS = {HOST, PORT, MASTER_ARN}
_ANYWHERE = "%"


@dataclass(frozen=True)
class _Declaration:
    """A checked provisioning request.

    Attributes:
        account: the declared account.
        grants: what it may do.
        server: whether the request declares where the administrator logs in.
    """

    account: Account
    grants: Grants
    server: bool


@dataclass(frozen=True)
class MysqlDriver:
    """The driver for one secret.

    Attributes:
        arn: the secret's ARN.
        kind: MYSQL or MARIADB of `protocol.py`.
        length: number of characters of a password.
        read_secret: reads the AWSCURRENT value of another secret, the administrator's.
    """

    arn: str
    kind: str
    length: int
    read_secret: Callable[[str], Fields]

    def next_fields(self, current: Fields) -> Fields:
        """Return `current` with a new password, letters and digits only."""
        return self._with(current, self._login(current).username, alphanumeric(self.length))

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with the password of `pending`."""
        now, then = self._login(current), self._login(pending)
        if then.username != now.username or not now.same_database(then):
            raise PendingOutdatedError(
                f"Secret {self.arn}: host, port, dbname or username was changed during a rotation, which is "
                "abandoned; AWSCURRENT is unchanged. Rotate again."
            )
        return self._with(current, then.username, then.password)

    def apply(self, versions: Versions) -> None:
        """Add the pending password to the account, unless it already works."""
        if not works(self._login(versions.pending), self.kind):
            self._apply(versions, commit=True)

    def verify(self, fields: Fields) -> None:
        """Log in as a workload would."""
        try:
            with session(self._login(fields), self.kind, in_database=True) as opened:
                opened.execute("SELECT 1")
        except LoginBusyError:
            return  # the server checks the password first
        except LoginRefusedError as refused:
            raise ValueRefusedError(
                f"Secret {self.arn}: {refused} If somebody changed the secret or the user, put the right "
                "password into the secret, or run the provisioning again to set it from the secret. If there "
                "are several accounts of this name, the server uses the one with the most specific host part."
            ) from None

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Create the declared account and its grants, with the secret's password.

        Every statement takes effect at once; another run completes what is missing.

        Returns:
            {"Roles": [account], "Warnings": [sentences]}.
        """
        current = self._current(read)
        login = self._login(current)
        declaration = self._read_request(request, current, login)
        account = declaration.account
        if login.admin_arn is None and GRANTS not in request and works(login, self.kind):
            return {ROLES: [str(account)], WARNINGS: []}  # somebody else created the account
        need = "provisioning needs an administrator"
        with administrator(
            self.arn, login, self.kind, self.read_secret, need, declared=declaration.server
        ) as admin:
            with admin.turn():
                in_use = self._ensure(admin, account, read)
            warnings = apply_grants(admin.session, declaration.grants, account, login.database)
            warnings += self._namesakes(admin.session, account)
        if not in_use:
            self.verify(self._current(read))
        return {ROLES: [str(account)], WARNINGS: warnings}

    def end_sessions(self, current: Fields) -> int:
        """End the sessions of the account."""
        login = self._login(current)
        if login.admin_arn is None:
            with session(login, self.kind) as opened:
                return _end_sessions(opened, login.username)
        with administrator(self.arn, login, self.kind, self.read_secret, "") as admin:
            account = admin.ours(login.username).account
            others = [host for host in accounts.hosts_of(admin.session, account.user) if host != account.host]
            if others:
                names = ", ".join(str(Account(account.user, host)) for host in others)
                raise OperatorError(
                    f"Secret {self.arn}: the accounts {names} "
                    f"have the same name as {str(account)!r}, and the server does not say whose sessions are "
                    "whose. End them by hand: SHOW PROCESSLIST, then KILL."
                )
            return _end_sessions(admin.session, account.user)

    def bookmark(self, current: Fields, known: str) -> str:
        """Return the number that the server's next connection exceeds, with the server's start."""
        with self._observer(self._login(current)) as (opened, _):
            return clients.bookmark(opened, known)

    def watch(self, current: Fields, renewed: Renewed) -> Generator[Sequence[Holder]]:
        """Yield the sessions of the account that began before the current password became current.

        Sessions that began later may have used either password: the server does not show which.
        """
        if renewed.is_first:  # there is no other password
            while True:
                yield []
        with self._observer(self._login(current)) as (opened, user):
            while True:
                yield clients.holders(opened, user, renewed.bookmark)

    @contextmanager
    def _observer(self, login: Login) -> Iterator[tuple[Session, str]]:
        """Log in to see sessions; yield the session, and the user whose sessions count."""
        if login.admin_arn is None:
            with session(login, self.kind) as opened:
                yield opened, login.username
            return
        with administrator(self.arn, login, self.kind, self.read_secret, "") as admin:
            clients.check_sees_all(admin.session)
            # the secret's value names the user: it may be another's
            yield admin.session, admin.ours(login.username).account.user

    def rehearse(
        self, current: Fields, previous: Callable[[], Fields | None], schemas: Sequence[str]
    ) -> Rehearsal:
        """Return the parts; the statement of setSecret names an account that does not exist."""
        del schemas
        versions = Versions(current=current, pending=self.next_fields(current), previous=previous)
        gap = (
            "testSecret: a login with the new password, which the account does not get; the login with the "
            "current one was tried instead"
        )
        parts = [
            Part(step=TEST, run=partial(self.verify, current)),
            Part(step=SET, run=partial(self._apply, versions, commit=False)),
        ]
        return Rehearsal(pending=versions.pending, parts=parts, gaps=[gap])

    @property
    def _dialect(self) -> Dialect:
        return DIALECTS[self.kind]

    def _login(self, fields: Fields) -> Login:
        return login_secret.read_login(fields, self.arn, self._dialect)

    def _with(self, fields: Fields, username: str, password: str) -> Fields:
        return login_secret.with_credentials(fields, self.arn, username, password, self._dialect)

    def _current(self, read: Callable[[str], Fields | None]) -> Fields:
        current = read(CURRENT)
        if current is None:
            raise OperatorError(
                f"Secret {self.arn}: no version has the label {CURRENT}. Put an initial value into it."
            )
        return current

    def _previous(self, versions: Versions) -> list[Login]:
        """Return the login of AWSPREVIOUS, if it is one."""
        previous = versions.previous()
        with suppress(OperatorError):  # of another database, or filled in by hand since
            return [self._login(previous)] if previous else []
        return []

    def _apply(self, versions: Versions, *, commit: bool) -> None:
        """Add the pending password to the account; a rehearsal stops before the account changes."""
        current, pending = self._login(versions.current), self._login(versions.pending)
        known = [current, *self._previous(versions)]
        mine = [one for one in known if one.username == pending.username and one.same_database(pending)]
        if current.admin_arn is None:
            self._apply_as_user(mine, pending, commit=commit)
            return
        with administrator(self.arn, current, self.kind, self.read_secret, "") as admin, admin.turn():
            self._set(admin.session, admin.ours(pending.username), pending.password, mine, commit=commit)

    def _apply_as_user(self, known: list[Login], pending: Login, *, commit: bool) -> None:
        """Log in with a password that still works, and change it.

        If somebody wrote a password into the secret that the database does not know, the previous version has
        the one that works, and the rotation repairs the secret.
        """
        for login in known:
            try:
                with session(login, self.kind) as opened, Authority(opened, self.arn).turn():
                    self._set_own(opened, pending, known, commit=commit)
            except LoginRefusedError:
                continue
            return
        raise OperatorError(
            f"Secret {self.arn}: the passwords of AWSCURRENT and AWSPREVIOUS do not work for user "
            f"{pending.username!r} at {pending.server}, so the rotation cannot set a new one. Put the right "
            f"password into the secret, or set the key {MASTER_ARN!r} to the ARN of an administrator's "
            "secret."
        )

    def _set_own(self, opened: Session, pending: Login, known: list[Login], *, commit: bool) -> None:
        try:
            state = accounts.find(opened, opened.account)
            if state is not None:
                self._set(opened, state, pending.password, known, commit=commit)
        except SqlError as error:
            if error.code not in DENIED:
                raise
            raise OperatorError(
                f"Secret {self.arn}: user {pending.username!r} may not keep its old password when it sets a "
                "new one, so its sessions would fail at each rotation. Set the key "
                f"{MASTER_ARN!r} to the ARN of an administrator's secret."
            ) from None

    def _set(
        self,
        opened: Session,
        state: accounts.State,
        password: str,
        known: list[Login],
        *,
        commit: bool = True,
    ) -> None:
        """Set the password of an account, and keep the first known one that it has.

        With `commit` False, only try whether the server would.
        """
        if state.locked:
            raise OperatorError(
                f"Account {str(state.account)!r} is locked. To use it again, run ALTER USER "
                f"{state.account.sql} ACCOUNT UNLOCK"
            )
        keep = [login.password for login in known if login.password != password]
        try:
            if commit:
                accounts.set_password(opened, state, password, keep)
            else:
                accounts.rehearse_password(opened, state, password)
        except SqlError as error:
            if error.code not in LOCK_NOT_AVAILABLE:
                raise
            raise OperatorError(
                f"Secret {self.arn}: another session keeps the tables of accounts locked, such as a backup "
                f"with FLUSH TABLES WITH READ LOCK ({error}). End it, or rotate again later."
            ) from None

    def _ensure(self, admin: Authority, account: Account, read: Callable[[str], Fields | None]) -> bool:
        """Create the account, or take it over; return whether the secret's password already worked.

        In its turn, no rotation of ours changes the account, so what is read now stays valid.
        """
        login = self._login(self._current(read))
        state = admin.find(account)
        in_use = state is not None and (
            state.knows(login.password) or self._is_being_rotated(state, login, read(PENDING))
        )
        if state is None:
            admin.check_new(account)
            accounts.create(admin.session, account, login.password, admin.mark_text)
            state = admin.find(account)
        if state is None:
            raise OperatorError(f"Secret {self.arn}: account {str(account)!r} disappeared. Provision again.")
        admin.claim(state, proven=in_use or state.knows(login.password))
        if not in_use and not state.knows(login.password):
            self._set(admin.session, state, login.password, [])
        return in_use

    def _is_being_rotated(self, state: accounts.State, login: Login, pending: Fields | None) -> bool:
        """Return whether a rotation has already set its password, which must not be undone."""
        if pending is None:
            return False
        new = self._login(pending)
        return new.username == login.username and new.same_database(login) and state.knows(new.password)

    def _namesakes(self, opened: Session, account: Account) -> list[str]:
        """Return a warning about accounts that the server may choose instead."""
        others = [Account(account.user, host) for host in accounts.hosts_of(opened, account.user)]
        others += [Account("", host) for host in accounts.hosts_of(opened, "")]
        names = [str(one) for one in others if one != account]
        if not names:
            return []
        warning = (
            f"There are more accounts that match the user {account.user!r}: {', '.join(map(repr, names))}. "
            "For clients from their hosts the server chooses the one with the most specific host part, whose "
            "password is not in the secret. Drop those that are not needed."
        )
        return [warning]

    def _read_request(self, request: Mapping[str, object], current: Fields, login: Login) -> _Declaration:
        unknown = sorted(request.keys() - _REQUEST_KEYS)
        if unknown:
            raise OperatorError(
                f"The provisioning event has unknown keys: {', '.join(unknown)}. Use "
                f"{', '.join(sorted(_REQUEST_KEYS))}."
            )
        declared = request.get(USERNAME, login.username)
        if declared != login.username:
            raise OperatorError(
                f"Secret {self.arn}: key {LOGIN_USERNAME!r} is not {declared!r}, which the deployment "
                "declares. Correct one of them."
            )
        connection = request.get(CONNECTION, {})
        check_declared(self.arn, connection, current, login)
        server = isinstance(connection, Mapping) and connection.keys() >= _SERVER_KEYS
        host = check_host(request.get(USER_HOST, _ANYWHERE), USER_HOST)
        return _Declaration(Account(login.username, host), read_grants(request.get(GRANTS, [])), server)


def _end_sessions(opened: Session, user: str) -> int:
    """End all sessions of a user but this one; return how many.

    Raises:
        OperatorError: the connected user may not end them.
    """
    rows = opened.rows(
        f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = {literal(user)} "  # noqa: S608 - quoted
        "AND ID <> CONNECTION_ID()"
    )
    return sum(_kill(opened, int(number)) for (number,) in rows)


def _kill(opened: Session, number: int) -> bool:
    """End a session; return False if it has ended by itself."""
    for statement in (f"KILL {number}", f"CALL mysql.rds_kill({number})"):
        try:
            opened.execute(statement)
        except SqlError as error:
            if error.code == NO_SUCH_SESSION:
                return False
            if error.code in {NOT_THE_OWNER, *DENIED}:
                continue
            if error.code == NO_SUCH_PROCEDURE:
                break
            raise
        return True
    raise OperatorError(
        f"{str(opened.account)!r} may not end sessions of others. Have a superuser GRANT CONNECTION_ADMIN "
        "(MySQL) or CONNECTION ADMIN (MariaDB) ON *.* to it."
    )
