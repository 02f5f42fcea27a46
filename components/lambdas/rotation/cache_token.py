"""Rotate the AUTH token of an ElastiCache replication group, which has two at a time.

AWS has two ways to change tokens. SET leaves only the one that was added last. ROTATE adds one and keeps the
newest of the others; on a replication group without a token it also keeps access without one, so the first
token is SET.

A rotation makes the current token the newest, then does ROTATE with the new one, which drops any other. What
a workload has read works until the rotation after next. SET is the documented way to make a token the only
one; AWS rejects it where that is so already, or where another was added later, by hand or before a rollback.

Source: ElastiCache User Guide, "Authenticating with the Valkey and Redis OSS AUTH command".
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from . import cache_authority, cache_aws, cache_session
from .cache import CacheDriver
from .cache_aws import CacheApiError, ReplicationGroup
from .cache_secret import CacheLogin
from .driver import Fields, Versions
from .errors import OperatorError
from .protocol import CACHE, CONNECTION

LOG = logging.getLogger(__name__)

_STRATEGIES: tuple[cache_aws.Strategy, ...] = ("SET", "ROTATE")
_AVAILABLE = "available"
_REQUEST_KEYS = {CACHE, CONNECTION}
_HINT = "Check that the endpoint is one of this replication group."


@dataclass(frozen=True)
class AuthTokenDriver(CacheDriver):
    """The driver for the secret of one AUTH token."""

    token: ClassVar[bool] = True

    def apply(self, versions: Versions) -> None:
        """Add the pending token next to the current one, unless it already works."""
        pending = self.login(versions.pending)
        group = self._changeable()
        if not self._is_closed(group, pending):
            kept = self.settable(versions.current)
            self._close(kept or pending)
            if kept:
                self._change(pending, "ROTATE")
            return
        if cache_session.works(pending):
            return
        if kept := self.in_use(pending, versions):
            self._make_newest(kept)
        else:
            LOG.warning("Secret %s: neither its token nor the previous one works", self.arn)
        self._change(pending, "ROTATE")

    def check_changeable(self, pending: CacheLogin) -> None:
        """Check that the replication group exists, is available, and belongs to the secret."""
        del pending
        self._changeable()

    def _changeable(self) -> ReplicationGroup:
        group = self._available()
        cache_authority.check_ours(self.target, self.arn)
        return group

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Make the token in the secret work; generate it if the secret has none.

        A replication group that is open is closed. One that requires a token keeps the newest it has.
        """
        current = self.current(read)
        self.check_request(request, _REQUEST_KEYS, current)
        group = self._available()
        ours = cache_authority.is_ours(self.target, self.arn)
        closed = self._is_closed(group, self.login(current))
        if group.has_token and not closed and not self.login(current).password:
            raise OperatorError(
                f"Secret {self.arn}: {self.target.arn} has an AUTH token, but accepts clients without one. "
                "Requiring a new token would end that one. Write it into the secret (key 'password') and "
                "provision again: then it is the one that is required."
            )
        first = self.first_version(current)
        login = self.login(first.fields if first else current)
        if not ours:
            cache_authority.claim(self.target, self.arn)
        if not closed:
            self._close(login)
        elif not cache_session.works(login):
            self._change(login, "ROTATE")
        if first:
            first.make_current()
        return self.report(self.target.name)

    def _available(self) -> ReplicationGroup:
        def look() -> ReplicationGroup:
            group = cache_aws.find_group(self.target)
            if group is None:
                raise OperatorError(f"Secret {self.arn}: {self.target.arn} does not exist.")
            if not group.has_tls:
                raise OperatorError(
                    f"Secret {self.arn}: {self.target.arn} has no encryption in transit, without which it "
                    "can have no AUTH token."
                )
            if group.has_users:
                raise OperatorError(
                    f"Secret {self.arn}: {self.target.arn} has user groups, and so no AUTH token. "
                    "Declare a user."
                )
            return group

        return cache_aws.wait(look, lambda group: group.status == _AVAILABLE, self.target.arn)

    def _is_closed(self, group: ReplicationGroup, login: CacheLogin) -> bool:
        """Return whether clients need a token; AWS reports AUTH as enabled also where a token is optional."""
        return group.has_token and not cache_session.is_open(login)

    def _close(self, login: CacheLogin) -> None:
        """Require a token of a replication group that is open."""
        try:
            self._change(login, "SET")
        except CacheApiError as error:
            # the API reference allows SET after ROTATE only; until then, access stays as open as it was
            if not error.is_unacceptable:
                raise
            cache_aws.set_token(self.target, login.password, "ROTATE")
            self._available()
            self._change(login, "SET")
        if not self._is_closed(self._available(), login):
            raise OperatorError(
                f"Secret {self.arn}: {login.server} still accepts clients without a token. Check that the "
                f"endpoint is one of {self.target.arn}."
            )

    def _make_newest(self, login: CacheLogin) -> None:
        for strategy in _STRATEGIES:
            try:
                self._change(login, strategy)
            except CacheApiError as error:
                if not error.is_unacceptable:
                    raise
            else:
                return

    def _change(self, login: CacheLogin, strategy: cache_aws.Strategy) -> None:
        cache_aws.set_token(self.target, login.password, strategy)
        self._available()
        self.prove(login, _HINT)
