"""Declare the rotation functions of a stack, and everything that they rotate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import pulumi

from components.cache_login import CacheLogin, CacheLoginArgs, CacheUser
from components.lambdas import build
from components.master_rotation import MasterRotation, MasterRotationArgs
from components.mysql_login import MysqlLogin, MysqlLoginArgs
from components.partner_rotation import PartnerRotation, PartnerRotationArgs
from components.postgres_login import PostgresLogin, PostgresLoginArgs
from components.rotation import Rotation, RotationArgs
from components.rotation_function import AdminServer, Retirement, RotationFunction, RotationFunctionArgs
from components.secret import Secret
from program.arns import Account
from program.aws_lookups import DatabaseServer, Servers
from program.cache_lookups import CacheServer
from program.desired import (
    ROTATION_FUNCTION,
    Desired,
    DesiredCache,
    DesiredDatabase,
    DesiredSecret,
    administrator_description,
)
from program.networks import Reached, merged
from program.secret_args import SecretDefaults
from stack_file.databases import DEFAULT_GRANTS, UNCHANGED, Database
from stack_file.engines import ENGINES
from stack_file.rotation import PasswordRotation

DatabaseLogin: TypeAlias = PostgresLogin | MysqlLogin


class ArchiveError(pulumi.RunError):
    """The rotation function's archive cannot be built."""


def archive(desired: Desired) -> str:
    """Return the path of the rotation function's archive, built if it is missing; empty if nothing needs it.

    Raises:
        ArchiveError: its dependencies cannot be downloaded.
    """
    if not any((desired.databases, desired.caches, desired.stack_file.smtp)) and not any(
        map(_has_random_keys, desired.secrets.values())
    ):
        return ""
    try:
        return str(build.build().path)
    except (build.BuildError, OSError) as error:
        raise ArchiveError(f"{error}\n\nNothing was declared or changed.") from None


def _has_random_keys(secret: DesiredSecret) -> bool:
    """Return whether the stack's function rotates a secret outside databases."""
    return not secret.is_login and secret.rotated_by == "stack" and secret.schedule is not None


@dataclass
class Served:
    """Secrets, keys and servers of one rotation function."""

    secret_names: list[str] = field(default_factory=list)
    admin_secret_arns: list[str] = field(default_factory=list)
    kms_key_arns: list[pulumi.Input[str]] = field(default_factory=list)
    servers: list[Reached] = field(default_factory=list)
    cache_arns: list[str] = field(default_factory=list)
    smtp_user_arns: list[str] = field(default_factory=list)
    retirements: dict[str, Retirement] = field(default_factory=dict)

    def add(self, name: str, kms_key_arn: pulumi.Input[str] | None) -> None:
        """Add a secret that the function may write, with its key."""
        self.secret_names.append(name)
        self.kms_key_arns += [] if kms_key_arn is None else [kms_key_arn]

    def retire(self, name: str, rotation: PasswordRotation) -> None:
        """Add what happens while clients use an old password of a login."""
        if rotation.while_old_password_is_used:
            deferrals = rotation.max_deferrals or Retirement.deferrals
            self.retirements[name] = Retirement(mode=rotation.while_old_password_is_used, deferrals=deferrals)

    @property
    def admin_servers(self) -> list[AdminServer]:
        """Servers on which the passwords of administrators' existing secrets may be used."""
        return [
            AdminServer(secret_arn=server.admin.arn, host=server.server.host, port=server.server.port)
            for server in self.servers
            if isinstance(server, DatabaseServer) and server.admin
        ]


def served_by(
    desired: Desired,
    account: Account,
    servers: Servers,
    key_of: Callable[[str], pulumi.Input[str] | None],
) -> dict[str, Served]:
    """Return what each rotation function serves, by its logical name.

    Args:
        desired: the stack.
        account: its account and region.
        servers: what the stack's logins log in to.
        key_of: `encryption` of a secret to the ARN of its key; None for the AWS managed key.
    """
    served: dict[str, Served] = {}

    def add(function: str, name: str) -> None:
        served.setdefault(function, Served()).add(name, key_of(desired.secrets[name].encryption))

    for secret in desired.secrets.values():
        user = secret.smtp_user_arn(account)
        if user or _has_random_keys(secret):
            add(ROTATION_FUNCTION, secret.name)
            served[ROTATION_FUNCTION].smtp_user_arns += [user] if user else []
    for database in desired.databases.values():
        server = servers.databases[database.name]
        function = server.function_name
        served.setdefault(function, Served()).servers.append(server)
        if database.admin_secret:
            add(function, database.admin_secret)
        if server.admin:
            served[function].admin_secret_arns.append(server.admin.arn)
            served[function].kms_key_arns += [server.admin.kms_key_arn] if server.admin.kms_key_arn else []
        for name in database.logins:
            add(function, name)
            served[function].retire(name, database.declared.logins[name].rotation)
    for cache in desired.caches.values():
        found = servers.caches[cache.name]
        served.setdefault(found.function_name, Served()).servers.append(found)
        for name in cache.logins:
            add(found.function_name, name)
            served[found.function_name].retire(name, cache.declared.logins[name].rotation)
            secret = desired.secrets[name]
            arns = (secret.cache_arn(account), secret.cache_group_arn(account))
            served[found.function_name].cache_arns += [arn for arn in arns if arn]
    return served


def declare_functions(
    defaults: SecretDefaults, servers: Servers, archive_path: str
) -> dict[str, RotationFunction]:
    """Declare one function for each network; return them by their logical names."""
    functions = {}
    for name, served in served_by(defaults.desired, defaults.account, servers, defaults.kms_key_arn).items():
        network, authorities = merged(served.servers)
        functions[name] = RotationFunction(
            name,
            RotationFunctionArgs(
                common=defaults.function_settings(),
                archive=archive_path,
                handler=build.HANDLER,
                secret_names=served.secret_names,
                admin_secret_arns=served.admin_secret_arns,
                admin_servers=served.admin_servers,
                kms_key_arns=served.kms_key_arns,
                cache_arns=served.cache_arns,
                smtp_user_arns=served.smtp_user_arns,
                retirements=served.retirements,
                network=network,
                certificate_authorities=authorities,
            ),
        )
    return functions


def attach(
    defaults: SecretDefaults, secrets: Mapping[str, Secret], functions: Mapping[str, RotationFunction]
) -> None:
    """Attach rotation to the secrets outside databases that declare it."""
    for name, secret in secrets.items():
        desired = defaults.desired.secrets[name]
        if desired.rotated_by == "aws" or desired.schedule is None:
            continue
        Rotation(
            name,
            RotationArgs(
                secret_arn=secret.arn,
                function=desired.function_arn or functions[ROTATION_FUNCTION],
                schedule=desired.schedule,
                after=[secret],
            ),
        )


def declare_master_rotations(desired: Desired, servers: Servers) -> None:
    """Schedule the rotation of the master secrets that RDS manages, where the stack file says when."""
    for name, database in desired.databases.items():
        admin = servers.databases[name].admin
        if database.declared.master_rotation and admin:
            MasterRotation(name, MasterRotationArgs(secret_arn=admin.arn, schedule=database.master_schedule))


def attach_partners(defaults: SecretDefaults, secrets: Mapping[str, Secret]) -> None:
    """Have AWS rotate the vendors' credentials that it rotates without a function."""
    declared = defaults.desired.stack_file
    for name, secret in secrets.items():
        desired = defaults.desired.secrets[name]
        if desired.partner and desired.schedule:
            PartnerRotation(
                name,
                PartnerRotationArgs(
                    account_id=defaults.account.account_id,
                    region=defaults.account.region,
                    secret_arn=secret.arn,
                    secret_name=name,
                    kms_key_id=defaults.kms_key_arn(desired.encryption),
                    role_arn=desired.partner.role_arn,
                    metadata=desired.partner.metadata,
                    schedule=desired.schedule,
                    tags=declared.tags,
                    permissions_boundary=declared.permissions_boundary,
                    after=[secret],
                ),
            )


@dataclass(frozen=True)
class _Endpoint:
    """A server, the function that reaches it, and the administrator if the stack creates its secret."""

    server: DatabaseServer
    function: RotationFunction
    admin: DatabaseLogin | None = None


def declare_logins(
    defaults: SecretDefaults,
    servers: Servers,
    functions: Mapping[str, RotationFunction],
) -> dict[str, dict[str, DatabaseLogin]]:
    """Declare all logins; return them by database and name in AWS, the administrator's first."""
    logins: dict[str, dict[str, DatabaseLogin]] = {}
    for name, database in defaults.desired.databases.items():
        endpoint = _Endpoint(servers.databases[name], functions[servers.databases[name].function_name])
        of_database = logins.setdefault(name, {})
        if database.admin_secret:
            admin = _admin(defaults, database, endpoint)
            of_database[database.admin_secret] = admin
            endpoint = replace(endpoint, admin=admin)
        for login in database.logins:
            secret = defaults.desired.secrets[login]
            of_database[login] = _login(defaults, secret, database.declared, endpoint)
    return logins


def _admin(defaults: SecretDefaults, database: DesiredDatabase, endpoint: _Endpoint) -> DatabaseLogin:
    declared = database.declared.admin
    if declared is None or declared.secret is None:
        raise ValueError(f"{database.name}: the stack does not create the administrator's secret")
    secret = replace(
        defaults.desired.secrets[declared.secret],
        description=administrator_description(str(endpoint.server.server.host)),
    )
    shared: dict[str, Any] = {  # arguments of both kinds of logins
        "secret": defaults.secret_args(secret),
        "server": endpoint.server.server,
        "database": declared.database or ENGINES[database.declared.engine].admin_database,
        "username": declared.username or "",
        "function": endpoint.function,
        "password": defaults.config_secrets[declared.password.config] if declared.password else None,
        "schedule": secret.schedule,
    }
    if database.declared.engine == "postgres":
        return PostgresLogin(
            secret.name, PostgresLoginArgs(**shared, alternating=False), defaults.options(secret)
        )
    return MysqlLogin(secret.name, MysqlLoginArgs(**shared), defaults.options(secret))


def _login(
    defaults: SecretDefaults, secret: DesiredSecret, database: Database, endpoint: _Endpoint
) -> DatabaseLogin:
    login = database.logins[secret.name]
    existing = endpoint.server.admin.arn if endpoint.server.admin else None
    admin_secret_arn = endpoint.admin.secret.arn if endpoint.admin else existing
    by_default = None if admin_secret_arn is None else DEFAULT_GRANTS
    shared: dict[str, Any] = {  # arguments of both kinds of logins
        "secret": replace(defaults.secret_args(secret), values=defaults.initial_values(login.values)),
        "server": endpoint.server.server,
        "database": login.database,
        "username": login.username,
        "function": endpoint.function,
        "admin_secret_arn": admin_secret_arn,
        "grants": None if login.grants == UNCHANGED else login.grant_statements or login.grants or by_default,
        "password": defaults.config_secrets[login.password.config] if login.password else None,
        "password_length": login.password_length,
        "reader_host": endpoint.server.reader_host if login.reader_url else None,
        "schedule": secret.schedule,
        "after": [endpoint.admin] if endpoint.admin else [],
    }
    options = defaults.options(secret)
    if database.engine == "postgres":
        return PostgresLogin(
            secret.name,
            PostgresLoginArgs(
                **shared,
                alternating=database.alternates(login),
                authentication=login.authentication,
                schemas=login.schemas,
                create_schemas=login.create_schemas,
                owner_role=login.owner_role,
            ),
            options,
        )
    return MysqlLogin(
        secret.name,
        MysqlLoginArgs(
            **shared,
            user_host=login.user_host or MysqlLoginArgs.user_host,
            url_scheme=login.url_scheme or MysqlLoginArgs.url_scheme,
        ),
        options,
    )


def declare_cache_logins(
    defaults: SecretDefaults, servers: Servers, functions: Mapping[str, RotationFunction]
) -> dict[str, dict[str, CacheLogin]]:
    """Declare the logins to caches; return them by cache and name in AWS."""
    logins: dict[str, dict[str, CacheLogin]] = {}
    for cache in defaults.desired.caches.values():
        server = servers.caches[cache.name]
        for name in cache.logins:
            secret = defaults.desired.secrets[name]
            args = _cache_login_args(defaults, secret, cache, server, functions[server.function_name])
            logins.setdefault(cache.name, {})[name] = CacheLogin(name, args, defaults.options(secret))
    return logins


def _cache_login_args(
    defaults: SecretDefaults,
    secret: DesiredSecret,
    cache: DesiredCache,
    server: CacheServer,
    function: RotationFunction,
) -> CacheLoginArgs:
    login = cache.declared.logins[secret.name]
    arn = secret.cache_arn(defaults.account) or ""
    user = None
    if login.user:
        user = CacheUser(
            arn=arn,
            name=server.usernames[secret.name],
            access_string=login.access_string,
            group_arn=secret.cache_group_arn(defaults.account),
        )
    return CacheLoginArgs(
        secret=replace(defaults.secret_args(secret), values=defaults.initial_values(login.values)),
        cache=server.cache if login.reader_url else replace(server.cache, reader_host=None),
        user=user,
        function=function,
        password_length=login.password_length,
        schedule=secret.schedule,
    )


def database_outputs(
    servers: Servers,
    functions: Mapping[str, RotationFunction],
    logins: Mapping[str, Mapping[str, DatabaseLogin]],
) -> dict[str, object]:
    """Return the stack's outputs about its databases."""
    return {
        database: {
            "host": server.server.host,
            "port": server.server.port,
            **({"readerHost": server.reader_host} if server.reader_host else {}),
            **_function_outputs(functions[server.function_name]),
            "logins": {
                name: {**_login_outputs(login), "roles": login.roles}
                for name, login in logins[database].items()
            },
        }
        for database, server in servers.databases.items()
    }


def cache_outputs(
    servers: Servers,
    functions: Mapping[str, RotationFunction],
    logins: Mapping[str, Mapping[str, CacheLogin]],
) -> dict[str, object]:
    """Return the stack's outputs about its caches."""
    return {
        cache: {
            "host": server.cache.host,
            "port": server.cache.port,
            **({"readerHost": server.cache.reader_host} if server.cache.reader_host else {}),
            **_function_outputs(functions[server.function_name]),
            "logins": {
                name: {**_login_outputs(login), "warnings": login.warnings}
                for name, login in logins[cache].items()
            },
        }
        for cache, server in servers.caches.items()
    }


def _function_outputs(function: RotationFunction) -> dict[str, object]:
    return {"rotationFunction": function.function_name, "logGroup": function.log_group_name}


def _login_outputs(login: DatabaseLogin | CacheLogin) -> dict[str, object]:
    return {"arn": login.secret.arn, "name": login.secret.secret_name}
