"""Users, groups and caches: one model, which ElastiCache and MemoryDB show in their own terms.

Passwords and tokens are kept as the SHA-256 hashes that Redis and Valkey compare; only a server's own
administrator's password, which the emulator logs in with, is kept as it is.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

ELASTICACHE, MEMORYDB = "elasticache", "memorydb"

# Statuses of users and groups; caches have `AVAILABLE` instead of `ACTIVE`, MemoryDB's also `UPDATING`.
ACTIVE, CREATING, MODIFYING, DELETING = "active", "creating", "modifying", "deleting"
AVAILABLE, UPDATING = "available", "updating"
SETTLED = {ACTIVE, AVAILABLE}

# How a user authenticates, as both services show it.
PASSWORD, NO_PASSWORD, IAM = "password", "no-password", "iam"

DEFAULT = "default"
OPEN_ACCESS = "open-access"
EVERYTHING = "on ~* &* +@all"


def hashed(password: str) -> str:
    """Return a password's hash, as `ACL SETUSER` takes it after a `#`."""
    return hashlib.sha256(password.encode()).hexdigest()


@dataclass(frozen=True)
class Login:
    """A user's rights and authentication: an access string, a mode, and password hashes."""

    access: str
    mode: str
    hashes: tuple[str, ...] = ()


@dataclass(kw_only=True)
class User:
    """A user; servers have, or are being given, `login`, and the last request asked for `wanted`."""

    identifier: str
    name: str
    engine: str
    arn: str
    login: Login
    wanted: Login
    status: str = ACTIVE
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Group:
    """A user group of ElastiCache or an ACL of MemoryDB, with the identifiers of its users."""

    identifier: str
    engine: str
    arn: str
    members: list[str]
    add: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    status: str = ACTIVE
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """An address of a server."""

    host: str
    port: int


@dataclass(frozen=True)
class Server:
    """A running server: every endpoint, its CA certificates (PEM), and its administrator."""

    endpoints: tuple[Endpoint, ...]
    ca: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Tokens:
    """AUTH tokens, the newest first; with `optional`, clients may also connect without one."""

    hashes: tuple[str, ...] = ()
    optional: bool = True


@dataclass(kw_only=True)
class Cache:
    """A replication group, a serverless cache or a MemoryDB cluster.

    Attributes:
        kind: `replication-group`, `serverless` or `memorydb`.
        server: None for a cache without encryption in transit, whose server is not contacted.
        group, tokens: what the server is to have now.
        wanted_group, wanted_tokens: what the last request asked for.
        waiting: tokens that wait for the maintenance window, because they were not to be applied at once.
    """

    kind: str
    identifier: str
    engine: str
    version: str
    arn: str
    primary: Endpoint
    reader: Endpoint
    server: Server | None
    mode: str = "required"
    clustered: bool = False
    description: str = ""
    group: str | None = None
    wanted_group: str | None = None
    tokens: Tokens = Tokens()
    wanted_tokens: Tokens = Tokens()
    waiting: Tokens | None = None
    status: str = AVAILABLE
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    tags: dict[str, str] = field(default_factory=dict)


Changing: TypeAlias = User | Group | Cache


@dataclass(frozen=True)
class Place:
    """A service of an account in a region."""

    service: str
    account: str
    region: str

    def arn(self, kind: str, identifier: str) -> str:
        """Return the ARN of an object; `kind` as the service writes it."""
        separator = ":" if self.service == ELASTICACHE else "/"
        return f"arn:aws:{self.service}:{self.region}:{self.account}:{kind}{separator}{identifier}"


@dataclass
class Store:
    """Everything of one place, by identifier."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    caches: dict[str, Cache] = field(default_factory=dict)

    def groups_of(self, user: str) -> list[Group]:
        """Return the groups that a user belongs to."""
        return [group for group in self.groups.values() if user in group.members]

    def caches_of(self, group: str) -> list[Cache]:
        """Return the caches that a group is attached to, or is being attached to or detached from."""
        return [cache for cache in self.caches.values() if group in {cache.group, cache.wanted_group}]

    def everything(self) -> Iterator[tuple[str, Changing]]:
        """Yield every object with its kind."""
        yield from (("user", user) for user in self.users.values())
        yield from (("group", group) for group in self.groups.values())
        yield from (("cache", cache) for cache in self.caches.values())


STORES: dict[Place, Store] = {}


def store_of(place: Place) -> Store:
    """Return a place's objects; a new one has the default user, and MemoryDB's the ACL for open access."""
    if place not in STORES:
        login = Login(EVERYTHING, NO_PASSWORD)
        user = User(
            identifier=DEFAULT,
            name=DEFAULT,
            engine="redis",
            arn=place.arn("user", DEFAULT),
            login=login,
            wanted=login,
        )
        STORES[place] = Store(users={DEFAULT: user})
        if place.service == MEMORYDB:
            group = Group(
                identifier=OPEN_ACCESS,
                engine="redis",
                arn=place.arn("acl", OPEN_ACCESS),
                members=[DEFAULT],
            )
            STORES[place].groups[OPEN_ACCESS] = group
    return STORES[place]
