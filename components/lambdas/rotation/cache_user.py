"""Rotate the passwords of ElastiCache and MemoryDB users (RBAC), which may have two at a time.

A rotation sets the new password and the current one. AWS stores hashes and never says which passwords are
set, so both are always set together; what a workload has read works until the rotation after next. While AWS
applies a change, some servers of a cache have it and others do not: a login proves nothing before the user is
active again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from . import cache_authority, cache_aws, cache_session
from .cache import CacheDriver
from .cache_aws import Target, User
from .cache_secret import CacheLogin
from .driver import Fields, Versions
from .errors import OperatorError
from .protocol import ACCESS_STRING, CACHE, CONNECTION, ENGINE, LOGIN_USERNAME, OWNER_TAG, USER_GROUP

_PASSWORD, _IAM = "password", "iam"
_ACTIVE = "active"
_REQUEST_KEYS = {ACCESS_STRING, CACHE, CONNECTION, USER_GROUP}
_GROUPS = {"elasticache": "usergroup", "memorydb": "acl"}
_HINT = (
    "Check that the user is in a user group (MemoryDB: an ACL) of this cache, and that its access string "
    "begins with 'on'."
)


@dataclass(frozen=True)
class _Declaration:
    """The declared properties of the user; None where the provisioning request has none.

    Attributes:
        access: its access string.
        group: the user group or ACL that it belongs to.
    """

    access: str | None
    group: Target | None


@dataclass(frozen=True)
class CacheUserDriver(CacheDriver):
    """The driver for the secret of one user."""

    token: ClassVar[bool] = False

    def apply(self, versions: Versions) -> None:
        """Set the pending and the current password, unless the pending one already works."""
        pending = self.login(versions.pending)
        user = self._changeable(pending)
        if self._works(user, pending):
            return
        kept = self.in_use(pending, versions) if user.authentication == _PASSWORD else None
        # if no known password works, the secret's is set as well: it is what workloads have
        self._set(pending, kept or self.settable(versions.current))

    def check_changeable(self, pending: CacheLogin) -> None:
        """Check that the user exists, is active, is the login's, and belongs to the secret."""
        self._changeable(pending)

    def _changeable(self, pending: CacheLogin) -> User:
        user = self._active()
        self._check_user(user, pending)
        cache_authority.check_ours(self.target, self.arn)
        return user

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Make the password in the secret work; generate it if the secret has none.

        A user that does not exist is created if its access string is declared.

        Returns:
            {"Roles": [user name], "Warnings": [sentences]}.
        """
        current = self.current(read)
        self.check_request(request, _REQUEST_KEYS, current)
        declared = self._declaration(request)
        user = cache_aws.find_user(self.target)
        if user is None:
            self._create(current, declared)
        first = self.first_version(current)
        login = self.login(first.fields if first else current)
        user = self._active()
        self._check_user(user, login)
        works = self._works(user, login)
        if not cache_authority.is_ours(self.target, self.arn):
            self._check_free(user, works=works)
            cache_authority.claim(self.target, self.arn)
        if declared.group and declared.group.name not in user.groups:
            cache_aws.add_to_group(self.target, declared.group)
            user = self._active()
            works = self._works(user, login)
        if not works or declared.access not in {None, user.access}:
            self._set(login, self.working(login, *self.others(read)), declared.access)
        if first:
            first.make_current()
        assert login.username is not None  # noqa: S101 - for the type checker: only a token has none
        return self.report(login.username)

    def _declaration(self, request: Mapping[str, object]) -> _Declaration:
        access, arn = request.get(ACCESS_STRING), request.get(USER_GROUP)
        if access is not None and (not isinstance(access, str) or not access.strip()):
            raise OperatorError(f"{ACCESS_STRING} must be a string that is not empty.")
        group = cache_aws.parse_arn(arn)
        if arn is not None and (group is None or group.kind != _GROUPS[self.target.service]):
            raise OperatorError(f"{USER_GROUP} must be the ARN of a user group, at MemoryDB of an ACL.")
        return _Declaration(access, group)

    def _create(self, current: Fields, declared: _Declaration) -> None:
        """Create the user with the secret's password; generate it first if there is none."""
        if declared.access is None:
            raise OperatorError(
                f"Secret {self.arn}: {self.target.arn} does not exist. Create the user, or declare its "
                "access string to have it created."
            )
        first = self.first_version(current)
        login = self.login(first.fields if first else current)
        assert login.username is not None  # noqa: S101 - for the type checker: only a token has none
        cache_aws.create_user(
            self.target,
            username=login.username,
            engine=str(current[ENGINE]),
            password=login.password,
            access=declared.access,
            tags={OWNER_TAG: cache_authority.secret_name(self.arn)},
        )

    def _active(self) -> User:
        def look() -> User:
            user = cache_aws.find_user(self.target)
            if user is None:
                raise OperatorError(f"Secret {self.arn}: {self.target.arn} does not exist. Create the user.")
            return user

        return cache_aws.wait(look, lambda user: user.status == _ACTIVE, self.target.arn)

    def _check_user(self, user: User, login: CacheLogin) -> None:
        if user.username != login.username:
            raise OperatorError(
                f"Secret {self.arn}: key {LOGIN_USERNAME!r} is {login.username!r}, but {self.target.arn} is "
                f"the user {user.username!r}. Correct one of them."
            )
        if user.authentication == _IAM:
            raise OperatorError(
                f"Secret {self.arn}: {self.target.arn} logs in with IAM and has no password. Declare another "
                "user, or change its authentication to a password first."
            )

    def _works(self, user: User, login: CacheLogin) -> bool:
        # a user that needs no password can log in with any
        return user.authentication == _PASSWORD and cache_session.works(login)

    def _check_free(self, user: User, *, works: bool) -> None:
        """Raise OperatorError if setting the password would end one that others may use."""
        if user.authentication == _PASSWORD and user.passwords and not works:
            raise OperatorError(
                f"Secret {self.arn}: {self.target.arn} has passwords, and the one in the secret is not "
                "among them. They would stop working. Write the password in use into the secret (key "
                "'password') and provision again: it keeps working. Or, if nobody uses them, "
                f"{cache_authority.how_to_claim(self.target, self.arn)}"
            )

    def _set(self, login: CacheLogin, kept: CacheLogin | None, access: str | None = None) -> None:
        passwords = [login.password]
        if kept and kept.password != login.password:
            passwords.append(kept.password)
        cache_aws.set_passwords(self.target, passwords, access)
        self._active()
        self.prove(login, _HINT)
