"""The common part of the drivers for cache users and AUTH tokens: next value, merge, login, sessions."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from . import cache_session, deadline, first_password
from .cache_aws import Target
from .cache_secret import CacheLogin, is_acceptable, read_cache_login, with_password
from .driver import Fields, Holder, Part, Rehearsal, Renewed, Versions
from .errors import LoginRefusedError, OperatorError, PendingOutdatedError, ValueRefusedError
from .first_password import FirstVersion
from .labels import CURRENT, PENDING, PREVIOUS
from .protocol import (
    CACHE,
    CACHE_GROUP_ARN,
    CACHE_READER_URL,
    CACHE_SERVICE,
    CACHE_TAG,
    CACHE_USER_ARN,
    CONNECTION,
    HOST,
    LOGIN_USERNAME,
    PORT,
    ROLES,
    WARNINGS,
)
from .random_key import alphanumeric
from .rehearsal_steps import SET, TEST

_DECLARABLE = {HOST, PORT, LOGIN_USERNAME}
_PROOF_SECONDS = 10.0
_PROOF_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class CacheDriver(ABC):
    """The driver for one secret.

    Attributes:
        arn: the secret's ARN.
        length: number of characters of a password or token.
        target: the user or replication group that the secret's tag names.
    """

    arn: str
    length: int
    target: Target
    token: ClassVar[bool]

    @abstractmethod
    def apply(self, versions: Versions) -> None:
        """Make the pending password valid; the current one stays valid."""

    @abstractmethod
    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Make the current password valid; generate it first if there is none."""

    @abstractmethod
    def check_changeable(self, pending: CacheLogin) -> None:
        """Raise OperatorError if a rotation would stop before it changes the password."""

    def rehearse(
        self, current: Fields, previous: Callable[[], Fields | None], schemas: Sequence[str]
    ) -> Rehearsal:
        """Return the parts, which only read: AWS has no trial run of a change of passwords."""
        del previous, schemas
        pending = self.next_fields(current)
        change = "ModifyReplicationGroup" if self.token else "ModifyUser (MemoryDB: UpdateUser)"
        gap = (
            f"setSecret: {change}, which AWS cannot try without a change: that the function's role allows "
            "it, and that the cache accepts the new password"
        )
        parts = [
            Part(step=TEST, run=partial(self.verify, current)),
            Part(step=SET, run=partial(self.check_changeable, self.login(pending))),
        ]
        return Rehearsal(pending=pending, parts=parts, gaps=[gap])

    def next_fields(self, current: Fields) -> Fields:
        """Return `current` with a new password, letters and digits only."""
        return with_password(current, self.arn, alphanumeric(self.length), token=self.token)

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with the password of `pending`."""
        now, then = self.login(current), self.login(pending)
        if not now.same_cache(then):
            raise PendingOutdatedError(
                f"Secret {self.arn}: host, port or username was changed during a rotation, which is "
                "abandoned; AWSCURRENT is unchanged. Rotate again."
            )
        return with_password(current, self.arn, then.password, token=self.token)

    def verify(self, fields: Fields) -> None:
        """Log in as a workload would."""
        login = self.login(fields)
        if not login.password:
            raise OperatorError(
                f"Secret {self.arn}: it has no password yet. Run the provisioning, which generates it."
            )
        try:
            cache_session.log_in(login)
        except LoginRefusedError as refused:
            raise ValueRefusedError(
                f"Secret {self.arn}: {refused} If somebody changed the secret or the password in AWS, put "
                "the right password into the secret, or run the provisioning again to set it from the secret."
            ) from None

    def end_sessions(self, current: Fields) -> int:
        """End the sessions of the login, which needs +client|kill in its access string."""
        login = self.login(current)
        reader = cache_session.place_of(current.get(CACHE_READER_URL))
        return cache_session.end_sessions(login, [reader] if reader else [])

    def bookmark(self, current: Fields, known: str) -> str:
        """Return nothing: the server knows how long its clients have been connected."""
        del current, known
        return ""

    def watch(self, current: Fields, renewed: Renewed) -> Generator[Sequence[Holder]]:
        """Yield the clients that connected before the current password became current.

        Clients that connected later may have used either password: the server does not show which. It needs
        +client|list in the access string.
        """
        if renewed.is_first:  # there is no other password
            while True:
                yield []
        reader = cache_session.place_of(current.get(CACHE_READER_URL))
        with cache_session.observed(self.login(current), [reader] if reader else []) as clients:
            while True:
                yield clients(renewed.at)

    def login(self, fields: Fields) -> CacheLogin:
        """Return the login of a value."""
        return read_cache_login(fields, self.arn, token=self.token)

    def current(self, read: Callable[[str], Fields | None]) -> Fields:
        """Return the AWSCURRENT value."""
        fields = read(CURRENT)
        if fields is None:
            raise OperatorError(
                f"Secret {self.arn}: no version has the label {CURRENT}. Put an initial value into it."
            )
        return fields

    def first_version(self, current: Fields) -> FirstVersion | None:
        """Generate the password if the current value has none; return the version that has it."""
        if self.login(current).password:
            return None
        return first_password.generate(self.arn, self.next_fields)

    def working(self, login: CacheLogin, *others: Fields | None) -> CacheLogin | None:
        """Return the first of some earlier values that logs in, at the same cache as `login`."""
        for fields in others:
            if not fields:
                continue
            try:
                known = self.login(fields)
            except OperatorError:  # an earlier value may be anything
                continue
            # a server that does not answer is an error: the next one must not take this login's place
            if known.same_cache(login) and cache_session.works(known):
                return known
        return None

    def others(self, read: Callable[[str], Fields | None]) -> tuple[Fields | None, ...]:
        """Return the values next to the current one that workloads may have read or are about to read."""
        return read(PENDING), read(PREVIOUS)

    def in_use(self, pending: CacheLogin, versions: Versions) -> CacheLogin | None:
        """Return the login that works now: the current one, or the previous one.

        The latter if somebody wrote a password into the secret that the cache does not know.
        """
        return self.working(pending, versions.current) or self.working(pending, versions.previous())

    def settable(self, fields: Fields) -> CacheLogin | None:
        """Return a value's login if AWS accepts its password."""
        login = self.login(fields)
        return login if is_acceptable(login) else None

    def prove(self, login: CacheLogin, hint: str) -> None:
        """Log in; AWS may report a change as complete a moment before a server has it.

        Raises:
            OperatorError: the login still fails; the message ends with the hint.
        """
        ends = time.monotonic() + min(_PROOF_SECONDS, max(deadline.seconds_left(), 0))
        while not cache_session.works(login):
            if time.monotonic() > ends:
                raise OperatorError(
                    f"Secret {self.arn}: {self.target.arn} has the new password, but {login.server} rejects "
                    f"it. {hint}"
                )
            time.sleep(_PROOF_PAUSE_SECONDS)

    def check_request(self, request: Mapping[str, object], known: set[str], current: Fields) -> None:
        """Compare a provisioning request with the secret, which a deployment never overwrites.

        Raises:
            OperatorError: the request has unknown keys, or declares something else than the secret has.
        """
        unknown = sorted(request.keys() - known)
        if unknown:
            raise OperatorError(
                f"The provisioning event has unknown keys: {', '.join(unknown)}. Use "
                f"{', '.join(sorted(known))}."
            )
        expected = {
            CACHE_SERVICE: self.target.service,
            (CACHE_GROUP_ARN if self.token else CACHE_USER_ARN): self.target.arn,
        }
        if request.get(CACHE) != expected:
            raise OperatorError(
                f"Secret {self.arn}: the deployment does not declare {self.target.arn}, which the secret's "
                f"tag {CACHE_TAG} names. Correct the tag (`pulumi up --refresh`)."
            )
        connection = request.get(CONNECTION, {})
        if not isinstance(connection, Mapping) or connection.keys() - _DECLARABLE:
            raise OperatorError(
                f"{CONNECTION} must be an object with only the keys {', '.join(sorted(_DECLARABLE))}."
            )
        different = [key for key, value in connection.items() if str(current.get(key)) != str(value)]
        if different:
            raise OperatorError(
                f"Secret {self.arn}: the deployment declares other values for "
                f"{', '.join(map(repr, different))} than the secret has, and never overwrites the secret. "
                "Write the declared values into it (aws secretsmanager put-secret-value), or declare what it "
                "has."
            )

    def report(self, name: str) -> Mapping[str, object]:
        """Return the answer to a provisioning request."""
        return {ROLES: [name], WARNINGS: []}
