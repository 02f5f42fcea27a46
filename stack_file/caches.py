"""Models of `caches` in a stack file: Redis and Valkey caches, and who logs in to them."""

from typing import Annotated

from pydantic import Field, model_validator

from stack_file.databases import AuthoritiesFile, Vpc
from stack_file.mistakes import matching, refusal
from stack_file.model import Model
from stack_file.rotation import PasswordRotation
from stack_file.secrets import JsonKey, SecretName, SecretSettings, Value

CACHE_KEYS = ("engine", "host", "port", "password", "REDIS_URL")
CACHE_USER_KEY = "username"  # not for an AUTH token
CACHE_READER_KEY = "REDIS_READER_URL"  # only for a login with readerUrl

# Source: ElastiCache API reference, CreateUser and ModifyReplicationGroup: 16 to 128 characters.
_SHORTEST, _LONGEST = 16, 128

CacheIdentifier = Annotated[
    str,
    matching(
        r"[A-Za-z][A-Za-z0-9-]{0,39}",
        "not the identifier of a cache",
        "AWS knows no such cache",
        "Use 1 to 40 letters, digits and hyphens, beginning with a letter",
    ),
]
CacheUserId = Annotated[
    str,
    matching(
        r"(?!default$)[A-Za-z][A-Za-z0-9-]{0,39}",
        "not the ID of a user whose password can be rotated",
        "AWS would reject it; and everybody shares the user default",
        "Use 1 to 40 letters, digits and hyphens, beginning with a letter, other than default",
    ),
]


_AccessString = Annotated[
    str,
    matching(
        r"on( +(?!(?i:nopass|resetpass|reset)(?= |$)|[<>#!])\S+)+",
        'not an access string that begins with "on" and sets no password',
        "The user could not log in, or would need no password",
        'Use an access string such as "on ~app:* +@all -@dangerous"; the rotation sets the password',
    ),
]


class CacheLogin(SecretSettings):
    """A user of a cache, or its AUTH token; the key is the name of its secret in AWS."""

    user: Annotated[
        CacheUserId | None,
        Field(description="ID of the user (MemoryDB: its name), for a cache with access control by users"),
    ] = None
    access_string: Annotated[
        _AccessString | None,
        Field(description="What the user may do; creates a user that does not exist. Default: it exists"),
    ] = None
    user_group: Annotated[
        CacheIdentifier | None,
        Field(description="ID of the cache's user group (MemoryDB: its ACL), to which the user is added"),
    ] = None
    auth_token: Annotated[bool, Field(description="The AUTH token of a replication group without users")] = (
        False
    )
    password_length: Annotated[
        int, Field(ge=_SHORTEST, le=_LONGEST, description="Length in characters: letters and digits")
    ] = 40
    rotation: PasswordRotation = PasswordRotation()
    reader_url: Annotated[
        bool, Field(description="Add REDIS_READER_URL: the same login at the cache's reader endpoint")
    ] = False
    values: Annotated[
        dict[JsonKey, Value], Field(description="Further keys of the secret, besides the login's own")
    ] = Field(default_factory=dict)

    @property
    def own_keys(self) -> tuple[str, ...]:
        """JSON keys that the login sets itself."""
        return (
            *CACHE_KEYS,
            *((CACHE_USER_KEY,) if self.user else ()),
            *((CACHE_READER_KEY,) if self.reader_url else ()),
        )

    @model_validator(mode="after")
    def _consistent(self) -> "CacheLogin":
        if (self.user is None) != self.auth_token:
            raise refusal(
                "a login needs either user or authToken",
                "",
                "Set user: ID for a cache with access control, or authToken: true",
            )
        for_users = [
            key
            for key, value in {"accessString": self.access_string, "userGroup": self.user_group}.items()
            if value and not self.user
        ]
        if for_users:
            raise refusal(
                f"{' and '.join(for_users)} is set without user",
                "It would be ignored: whoever has the AUTH token may do everything",
                "Remove it, or set user",
            )
        if self.user_group and not self.access_string:
            raise refusal(
                "userGroup is set without accessString",
                "It would be ignored: a user that exists is left as it is",
                "Remove it, or set accessString",
            )
        taken = [key for key in self.values if key in {*self.own_keys, CACHE_USER_KEY, CACHE_READER_KEY}]
        if taken:
            raise refusal(
                f"values has {', '.join(taken)}, which the login sets itself",
                "Rotation would overwrite it",
                "Remove it, or use another key",
            )
        return self


class Cache(Model):
    """A cache: replicationGroup, serverlessCache, or memorydbCluster."""

    replication_group: Annotated[
        CacheIdentifier | None, Field(description="Identifier of an ElastiCache replication group")
    ] = None
    serverless_cache: Annotated[
        CacheIdentifier | None, Field(description="Name of an ElastiCache serverless cache")
    ] = None
    memorydb_cluster: Annotated[CacheIdentifier | None, Field(description="Name of a MemoryDB cluster")] = (
        None
    )
    vpc: Annotated[
        Vpc | None, Field(description="Network of the rotation function; default: the cache's")
    ] = None
    certificate_authorities: Annotated[
        AuthoritiesFile | None,
        Field(description="PEM file of authorities to trust besides Amazon's"),
    ] = None
    logins: Annotated[
        dict[SecretName, CacheLogin],
        Field(min_length=1, description="Logins, by the names of their secrets in AWS"),
    ]

    @property
    def server(self) -> tuple[str | None, ...]:
        """Identity of the cache."""
        return self.replication_group, self.serverless_cache, self.memorydb_cluster

    @model_validator(mode="after")
    def _one_cache(self) -> "Cache":
        if len([one for one in self.server if one]) != 1:
            raise refusal(
                "a cache needs exactly one of replicationGroup, serverlessCache and memorydbCluster",
                "",
                "Keep one of them",
            )
        tokens = [name for name, login in self.logins.items() if login.auth_token]
        if tokens and not self.replication_group:
            raise refusal(
                f"authToken is set for {', '.join(tokens)}, but only a replication group has an AUTH token",
                "",
                "Set user: ID instead",
            )
        if tokens and len(self.logins) > 1:
            raise refusal(
                f"authToken is set for {', '.join(tokens)} next to other logins",
                "A replication group has either one AUTH token or users",
                "Keep one login with authToken, or use users only",
            )
        return self

    @model_validator(mode="after")
    def _own_users(self) -> "Cache":
        owners: dict[str, str] = {}
        for name, login in self.logins.items():
            if login.user and login.user in owners:
                raise refusal(
                    f'{owners[login.user]} and {name} have the same user, "{login.user}"',
                    "Each rotation of one would end the other's password",
                    "Use a different user for each login; workloads can share a secret",
                )
            if login.user:
                owners[login.user] = name
        return self
