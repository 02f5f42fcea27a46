"""A login at a Redis OSS or Valkey cache: its secret, and the rotation of its password or AUTH token."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args
from urllib.parse import quote

import pulumi

from . import rotation_tags, tokens
from .checks import ArgumentError, check_choice, check_number, check_plain_text, check_port, check_text
from .function_parts import FunctionSettings
from .initial_value import Given
from .lambdas.rotation import protocol
from .login_parts import check_function, provision_and_rotate
from .rotation import Schedule
from .rotation_function import Network, Retirement, RotationFunction, RotationFunctionArgs
from .secret import Secret, SecretArgs

if TYPE_CHECKING:
    import pulumi_aws as aws

CacheService: TypeAlias = Literal["elasticache", "memorydb"]
CacheEngine: TypeAlias = Literal["redis", "valkey"]
_LONGEST_NAME = 256  # of a secret: it becomes the value of a tag


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A cache with encryption in transit.

    Attributes:
        service: elasticache or memorydb. Default: elasticache.
        engine: redis or valkey. Default: valkey.
        host: DNS name of the primary or configuration endpoint, the one in its certificate.
        port: TCP port. Default: 6379.
        reader_host: DNS name of the reader endpoint, for REDIS_READER_URL. Default: no such key.
        reader_port: TCP port of the reader endpoint; serverless caches have one of its own, 6380.
            Default: `port`.
        replication_group_arn: ARN of the replication group whose AUTH token is rotated. Default: none.

    Raises:
        ArgumentError: an argument is empty, or not one of the choices.
    """

    service: CacheService = "elasticache"
    engine: CacheEngine = "valkey"
    host: pulumi.Input[str]
    port: int = 6379
    reader_host: pulumi.Input[str] | None = None
    reader_port: int | None = None
    replication_group_arn: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        check_choice("Cache", "service", self.service, get_args(CacheService))
        check_choice("Cache", "engine", self.engine, get_args(CacheEngine))
        check_text("Cache", "host", self.host)
        check_port("Cache", self.port)
        for name in ("reader_host", "replication_group_arn"):
            if getattr(self, name) is not None:
                check_text("Cache", name, getattr(self, name))
        if self.reader_port is not None:
            check_number("Cache", "reader_port", self.reader_port, 1, 65_535)


@dataclass(frozen=True, kw_only=True)
class CacheUser:
    """A user of ElastiCache or MemoryDB (RBAC).

    Attributes:
        arn: ARN of the user.
        name: the name with which clients log in.
        access_string: its access string, such as `on ~app:* +@all`; our function creates the user if it does
            not exist, and changes its access string if it is another. Default: none, for a user that exists
            and keeps its access string.
        group_arn: ARN of the user group (MemoryDB: ACL) of the cache; our function adds the user.
            Default: none, for a user that is in it.

    Raises:
        ArgumentError: an argument is empty.
    """

    arn: pulumi.Input[str]
    name: str
    access_string: str | None = None
    group_arn: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        check_text("CacheUser", "arn", self.arn)
        check_plain_text("CacheUser", "name", self.name)
        if self.access_string is not None:
            check_plain_text("CacheUser", "access_string", self.access_string)
        if self.group_arn is not None:
            check_text("CacheUser", "group_arn", self.group_arn)


@dataclass(frozen=True, kw_only=True)
class CacheLoginArgs:
    """Arguments of a login.

    Attributes:
        secret: the secret; its values are added to those of the login (engine, host, port, username,
            password, REDIS_URL, REDIS_READER_URL).
        cache: the cache.
        user: the user whose password is rotated. Default: none, for the AUTH token of the cache's
            replication group.
        function: our function that sets and rotates the password, or its ARN. Default: one of its own, in
            `network`.
        network: where its own function runs. Default: outside any VPC, where it cannot reach a cache.
        certificate_authorities: PEM of authorities that its own function trusts besides Amazon's.
            Default: none.
        common: settings of its own function. Default: FunctionSettings(), with the account and region of the
            program's default provider.
        password_length: characters of the password or token, 16 to 128. Default: 40.
        schedule: when the password is rotated. Default: never.
        retirement: what its own function does while clients use an old password; the user then needs
            +client|list in its access string. Default: none; a rotation proceeds without a look.
        after: what must exist before the function logs in, such as the cache. Default: nothing.

    Raises:
        ArgumentError: an argument cannot work; the message says what to write instead.
    """

    secret: SecretArgs
    cache: Cache
    user: CacheUser | None = None
    function: RotationFunction | pulumi.Input[str] | None = None
    network: Network | None = None
    certificate_authorities: str = ""
    common: FunctionSettings | None = None
    password_length: int = protocol.DEFAULT_PASSWORD_LENGTH
    schedule: Schedule | None = None
    retirement: Retirement | None = None
    after: Sequence[pulumi.Resource] = ()

    def __post_init__(self) -> None:
        where = f"login {self.secret.secret_name}"
        least, most = protocol.SHORTEST_LENGTH, protocol.LONGEST_CACHE_LENGTH
        check_number(where, "password_length", self.password_length, least, most)
        if len(self.secret.secret_name) > _LONGEST_NAME:
            raise ArgumentError(
                f"{where}: the name of the secret is longer than {_LONGEST_NAME} characters, the limit of a "
                "tag that ties the user to it: choose a shorter one"
            )
        if self.user is None and self.cache.replication_group_arn is None:
            raise ArgumentError(
                f"{where}: write user=CacheUser(...), or the cache's replication_group_arn for its AUTH token"
            )
        if self.user is None and self.cache.service == "memorydb":
            raise ArgumentError(f"{where}: MemoryDB has no AUTH tokens: write user=CacheUser(...)")
        check_function(where, self)

    @property
    def target_arn(self) -> pulumi.Input[str]:
        """ARN of the user, or of the replication group."""
        arn = self.user.arn if self.user else self.cache.replication_group_arn
        assert arn is not None  # noqa: S101 - for the type checker: the constructor requires one
        return arn

    @property
    def cache_arns(self) -> list[pulumi.Input[str]]:
        """ARNs of everything that the function may change, for `cache_arns` of RotationFunctionArgs."""
        group = self.user.group_arn if self.user else None
        return [self.target_arn] if group is None else [self.target_arn, group]


def _url(args: CacheLoginArgs, host: str, port: int) -> str:
    """Return the URL without a password, which the function adds."""
    user = f"{quote(args.user.name, safe='')}@" if args.user else ""
    return f"rediss://{user}{f'[{host}]' if ':' in host else host}:{port}"


def _values(args: CacheLoginArgs) -> dict[str, pulumi.Input[str]]:
    """Return the initial values. Every one is text: some readers of secrets accept no numbers."""
    cache = args.cache

    def url(host: pulumi.Input[str], port: int) -> pulumi.Input[str]:
        if isinstance(host, str):
            return _url(args, host, port)
        return pulumi.Output.all(host).apply(lambda known: _url(args, known[0], port))

    return {
        protocol.ENGINE: cache.engine,
        protocol.HOST: cache.host,
        protocol.PORT: str(cache.port),
        **({protocol.LOGIN_USERNAME: args.user.name} if args.user else {}),
        protocol.PASSWORD: "",
        protocol.CACHE_URL: url(cache.host, cache.port),
        **(
            {}
            if cache.reader_host is None
            else {protocol.CACHE_READER_URL: url(cache.reader_host, cache.reader_port or cache.port)}
        ),
    }


def _provisioning(
    args: CacheLoginArgs, secret_arn: str, target_arn: str, host: str, group_arn: str | None
) -> str:
    """Return the event that asks the function to set the password (lambdas/rotation/provision.py)."""
    access = args.user.access_string if args.user else None
    kind = protocol.CACHE_USER_ARN if args.user else protocol.CACHE_GROUP_ARN
    return json.dumps(
        {
            protocol.ACTION: protocol.PROVISION,
            protocol.SECRET_ID: secret_arn,
            protocol.CACHE: {protocol.CACHE_SERVICE: args.cache.service, kind: target_arn},
            protocol.CONNECTION: {
                protocol.HOST: host,
                protocol.PORT: str(args.cache.port),
                **({protocol.LOGIN_USERNAME: args.user.name} if args.user else {}),
            },
            **({protocol.ACCESS_STRING: access} if access else {}),
            **({protocol.USER_GROUP: group_arn} if group_arn else {}),
        }
    )


class CacheLogin(pulumi.ComponentResource):
    """A login at a cache that works as soon as it is deployed, and whose password is rotated on schedule.

    The password is generated inside the function: neither the program nor Pulumi's state ever has it.

    Attributes:
        roles: the user's name, or the replication group's ID.
        warnings: what the function could not do for it, as sentences.
    """

    roles: pulumi.Output[list[str]]
    warnings: pulumi.Output[list[str]]

    def __init__(self, name: str, args: CacheLoginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.CACHE_LOGIN, name, None, opts)
        function = self._function(name, args) if args.function is None else args.function
        secret = self._secret = Secret(
            f"{name}-login",
            dataclasses.replace(
                args.secret,
                values={
                    **{key: Given(value=value) for key, value in _values(args).items()},
                    **args.secret.values,
                },
                tags={
                    **args.secret.tags,
                    **rotation_tags.of_cache(args.password_length, args.target_arn, token=args.user is None),
                },
            ),
            pulumi.ResourceOptions(parent=self),
        )
        event = pulumi.Output.all(
            secret.arn, args.target_arn, args.cache.host, args.user.group_arn if args.user else None
        ).apply(lambda known: _provisioning(args, *known))
        parts = provision_and_rotate(
            self, name, secret, function, event=event, schedule=args.schedule, after=args.after
        )
        self.roles, self.warnings = parts.roles, parts.warnings
        self.register_outputs({"secretArn": secret.arn, "roles": self.roles, "warnings": self.warnings})

    @property
    def secret(self) -> Secret:
        """Its secret."""
        return self._secret

    def grant_read(
        self, role: "aws.iam.Role | pulumi.Input[str]", name: str | None = None
    ) -> "aws.iam.RolePolicy":
        """Let a role read the secret; see `Secret.grant_read`.

        Args:
            role: the role, or its name.
            name: logical name of the policy. Default: the secret's, `-read-by-`, and the role's.
        """
        return self._secret.grant_read(role, name)

    def _function(self, name: str, args: CacheLoginArgs) -> RotationFunction:
        common = args.common or FunctionSettings()
        key = args.secret.kms_key_id
        keys = [] if key is None else [common.key_arn(key)]
        return RotationFunction(
            f"{name}-rotation",
            RotationFunctionArgs(
                common=common,
                secret_names=[args.secret.secret_name],
                cache_arns=args.cache_arns,
                kms_key_arns=[key for key in keys if key is not None],
                network=args.network,
                certificate_authorities=args.certificate_authorities,
                retirements={} if args.retirement is None else {args.secret.secret_name: args.retirement},
            ),
            pulumi.ResourceOptions(parent=self),
        )
