"""Open an administrator's session for a secret, and decide which accounts it may change.

Authority comes from two sources: what the deployment declares (the provisioning request, the function's
environment), and what only an administrator can write: the mark that ties an account to a secret. Writing it
takes CREATE USER, and the server drops it with the account:

- MySQL: the attribute `aws-secrets` of the user, with the secret's ARN.
- MariaDB, which has no attributes: a role without privileges, named after the secret, that the account has
  without ADMIN OPTION.

Everything else is written by applications and is only a claim: the secret's JSON, its tags, a password, what
is in the application's databases. A claim is checked against the two sources, or rejected.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from . import mysql_accounts as accounts
from .administrator import enter_as_administrator, secret_name
from .driver import Fields
from .errors import OperatorError
from .login_secret import Login
from .mysql_accounts import MARK_KEY, State
from .mysql_secret import DIALECTS
from .mysql_session import DENIED, Session, SqlError, session
from .mysql_sql import Account, literal
from .protocol import MARIADB

_PREFIX = "aws-secrets:"
_LONGEST_ROLE = 100  # characters; MariaDB allows 128
_TURN_SECONDS = 15
# Names that MySQL, MariaDB, Amazon RDS, Azure and Google Cloud SQL reserve.
_RESERVED = re.compile(
    r"root|mysql\..*|mariadb\.sys|PUBLIC|event_scheduler|rdsadmin|rdsrepladmin|rdstopmgr|rdsproxy.*|"
    r"rds_.*|aws_.*|azure_superuser|cloudsql.*",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Authority:
    """An administrator's session for one secret.

    Attributes:
        session: the session.
        arn: the secret's ARN.
    """

    session: Session
    arn: str

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other session of the function changes the secret's account.

        Raises:
            OperatorError: another session keeps its turn; the message names it.
        """
        name = literal(lock_name(self.arn))
        if self.session.value(f"SELECT GET_LOCK({name}, {_TURN_SECONDS})") != 1:
            holder = self.session.value(f"SELECT IS_USED_LOCK({name})")
            user = holder and self.session.value(
                f"SELECT USER FROM information_schema.PROCESSLIST WHERE ID = {int(holder)}"  # noqa: S608 - a number
            )
            raise OperatorError(
                f"Secret {self.arn}: connection {holder} of user {user!r} holds the lock {name}. If it is "
                "the administrator's, another rotation is running: rotate again. Otherwise run KILL "
                f"{holder}."
            )
        try:
            yield
        finally:
            with suppress(OperatorError):  # the session's end releases it, too
                self.session.execute(f"DO RELEASE_LOCK({name})")

    def find(self, account: Account) -> State | None:
        """Return an account; None if it does not exist."""
        return accounts.find(self.session, account)

    def ours(self, user: str) -> State:
        """Return the account of a name that has the secret's mark.

        Raises:
            OperatorError: none has it, or several do.
        """
        states = self._states(user)
        marked = [state for state in states if self._belongs(state)]
        if not states:
            raise OperatorError(
                f"Secret {self.arn}: user {user!r} does not exist. Run the provisioning again to create it."
            )
        if len(marked) > 1:
            raise OperatorError(
                f"Secret {self.arn}: the accounts {', '.join(str(state.account) for state in marked)} all "
                "have its mark. Remove the mark from every account except the secret's own."
            )
        if not marked:
            raise self._not_ours(states[0].account)
        self._check_ordinary(marked[0].account)
        return marked[0]

    def claim(self, state: State, *, proven: bool) -> None:
        """Check that an existing account may be taken over for the secret, and give it the mark.

        Args:
            state: the account.
            proven: whether its password is in the secret.

        Raises:
            OperatorError: the account may be in use elsewhere, or has more power than an application's.
        """
        self._check_ordinary(state.account)
        if self._belongs(state):
            return
        if not proven:
            raise self._not_ours(state.account)
        powers = accounts.powers(self.session, state.account)
        if powers:
            raise OperatorError(
                f"Secret {self.arn}: account {str(state.account)!r} cannot be an application's login: it has "
                f"{', '.join(powers)}. Use an account with privileges on its own databases only."
            )
        others = [mark for mark in self._marks(state) if mark != self._mark]
        if others:
            raise OperatorError(
                f"Secret {self.arn}: account {str(state.account)!r} belongs to the secret {others[0]}. "
                "Choose a different username."
            )
        self.mark(state.account)

    def check_new(self, account: Account) -> None:
        """Raise OperatorError for an account that must not be created.

        A second account with the mark would leave it open which of them is rotated.
        """
        self._check_ordinary(account)
        for other in self._states(account.user):
            if self._belongs(other):
                raise OperatorError(
                    f"Secret {self.arn}: its account is {str(other.account)!r}, not {str(account)!r}. To "
                    f"change the host part, have an administrator run RENAME USER {other.account.sql} TO "
                    f"{account.sql}, then provision again."
                )

    def mark(self, account: Account) -> None:
        """Tie an account to the secret."""
        if self.session.kind == MARIADB:
            self.session.execute(f"CREATE ROLE IF NOT EXISTS {literal(self._mark)}")
        try:
            self.session.execute(self._statement(account))
        except SqlError as error:
            if error.code not in DENIED:
                raise
            raise OperatorError(
                f"Secret {self.arn}: {error} Another administrator has created the role {self._mark!r}. Have "
                f"it run {self._statement(account)}"
            ) from None

    @property
    def mark_text(self) -> str:
        """The secret's mark, for an account that is created with it."""
        return self._mark

    @property
    def _mark(self) -> str:
        return mark_for(self.arn, self.session.kind)

    def _marks(self, state: State) -> list[str]:
        if self.session.kind == MARIADB:
            return [role for role in state.owners if role.startswith(_PREFIX)]
        return list(state.owners)

    def _belongs(self, state: State) -> bool:
        """Return whether the mark names this secret, or a deleted one of the same name."""
        if self.session.kind == MARIADB:
            return self._mark in state.owners
        return any(secret_name(mark) == secret_name(self.arn) for mark in state.owners)

    def _states(self, user: str) -> list[State]:
        """Return all accounts of a name."""
        hosts = accounts.hosts_of(self.session, user)
        return [state for host in hosts if (state := self.find(Account(user, host)))]

    def _statement(self, account: Account) -> str:
        """Return the statement that gives an account the mark."""
        if self.session.kind == MARIADB:
            return f"GRANT {literal(self._mark)} TO {account.sql}"
        return f"ALTER USER {account.sql} ATTRIBUTE {literal(json.dumps({MARK_KEY: self._mark}))}"

    def _not_ours(self, account: Account) -> OperatorError:
        create = f"CREATE ROLE {literal(self._mark)}; " if self.session.kind == MARIADB else ""
        return OperatorError(
            f"Secret {self.arn}: account {str(account)!r} exists, but its password is not in the secret, and "
            "it does not have the secret's mark: it may be in use elsewhere. If it belongs to this secret, "
            "write its password into the secret, or have an administrator run: "
            f"{create}{self._statement(account)}"
        )

    def _check_ordinary(self, account: Account) -> None:
        if _RESERVED.fullmatch(account.user) or account.user == self.session.account.user:
            raise OperatorError(
                f"Secret {self.arn}: {account.user!r} cannot be an application's login: the name belongs to "
                "the administrator, the server or RDS. Choose a different username."
            )


def lock_name(arn: str) -> str:
    """Return the name of the lock with which sessions of the function take turns on a secret's account.

    Any session of the server may take it, and so delay a rotation.
    """
    return f"{_PREFIX}{hashlib.sha256(secret_name(arn).encode()).hexdigest()[:40]}"


def mark_for(arn: str, kind: str) -> str:
    """Return the mark of a secret: the value of a user's attribute on MySQL, the name of a role on MariaDB.

    A role's name has no room for a long ARN, so it has the parts that differ, and a digest if they are long.
    """
    if kind != MARIADB:
        return arn
    _, _, _, region, account, _, name = secret_name(arn).split(":", 6)
    mark = f"{_PREFIX}{region}:{account}:{name}"
    if len(mark) <= _LONGEST_ROLE:
        return mark
    digest = hashlib.sha256(mark.encode()).hexdigest()[:24]
    return f"{mark[: _LONGEST_ROLE - len(digest) - 1]}#{digest}"


@contextmanager
def administrator(  # noqa: PLR0913 - all are needed
    arn: str,
    login: Login,
    kind: str,
    read_secret: Callable[[str], Fields],
    need: str,
    *,
    declared: bool = False,
) -> Iterator[Authority]:
    """Log in as the administrator that the login's secret names; see `enter_as_administrator`."""
    with ExitStack() as stack:
        opened = enter_as_administrator(
            stack,
            arn,
            login,
            read_secret,
            partial(session, kind=kind),
            product=DIALECTS[kind].product,
            need=need,
            declared=declared,
        )
        yield Authority(opened, arn)
