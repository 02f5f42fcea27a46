"""The rotation functions of a stack, and all that they rotate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pulumi

from components.master_rotation import MasterRotation, MasterRotationArgs
from components.partner_rotation import PartnerRotation, PartnerRotationArgs
from components.postgres_login import PostgresLogin, PostgresLoginArgs
from components.rotation import Rotation, RotationArgs, Schedule
from components.rotation_function import AdminServer, RotationFunction, RotationFunctionArgs
from components.secret import Secret
from functions import build
from program.lookup import Found, function_name, merged
from program.making import Making
from settings import Settings, StackFile
from settings import rotation as declared_rotation
from settings import secrets as declared_secrets
from settings.databases import Admin, Login

_DEFAULT_DAYS = 30
_OUTSIDE_VPC = function_name(None)


class ArchiveError(pulumi.RunError):
    """The rotation function's archive cannot be built."""


def archive(settings: Settings) -> str:
    """The path of the rotation function's archive, built now unless it is there; empty if nothing needs it.

    Raises:
        ArchiveError: its dependencies cannot be fetched.
    """
    declared = settings.stack_file
    if not declared.databases and not any(
        secret.rotation and secret.rotation.renewed_keys for secret in declared.secrets.values()
    ):
        return ""
    try:
        return str(build.build().path)
    except (build.BuildError, OSError) as error:
        raise ArchiveError(f"{error}\n\nNothing was declared or changed.") from None


@dataclass
class Serves:
    """What one function has to do with."""

    secret_names: list[str] = field(default_factory=list)
    admin_secret_arns: list[str] = field(default_factory=list)
    kms_key_ids: list[pulumi.Input[str]] = field(default_factory=list)
    databases: list[Found] = field(default_factory=list)

    def add(self, name: str, kms_key_id: pulumi.Input[str] | None) -> None:
        """A secret that the function may write, and its key."""
        self.secret_names.append(name)
        self.kms_key_ids += [] if kms_key_id is None else [kms_key_id]


def served_by(
    declared: StackFile,
    servers: Mapping[str, Found],
    key_of: Callable[[declared_secrets.Kept], pulumi.Input[str] | None],
) -> dict[str, Serves]:
    """What each rotation function serves, by its logical name; `key_of` has the key of a secret."""
    served: dict[str, Serves] = {}
    for name, secret in declared.secrets.items():
        if secret.rotation and secret.rotation.renewed_keys:
            served.setdefault(_OUTSIDE_VPC, Serves()).add(name, key_of(secret))
    for database, about in declared.databases.items():
        found = servers[database]
        serves = served.setdefault(found.function_name, Serves())
        serves.databases.append(found)
        if about.admin and about.admin.secret:
            serves.add(about.admin.secret, key_of(about.admin.kept))
        if found.admin:
            serves.admin_secret_arns.append(found.admin.arn)
            serves.kms_key_ids += [found.admin.kms_key_id] if found.admin.kms_key_id else []
        for name, login in about.logins.items():
            serves.add(name, key_of(login))
    return served


def admin_servers(serves: Serves) -> list[AdminServer]:
    """Servers on which the passwords of administrators' existing secrets may be used."""
    return [
        AdminServer(secret_arn=found.admin.arn, host=found.server.host, port=found.server.port)
        for found in serves.databases
        if found.admin
    ]


def declare_functions(
    making: Making, servers: Mapping[str, Found], archive_path: str
) -> dict[str, RotationFunction]:
    """One function for each network, by its logical name."""
    functions = {}
    for name, serves in served_by(making.settings.stack_file, servers, making.kms_key_id).items():
        network, authorities = merged(serves.databases)
        functions[name] = RotationFunction(
            name,
            RotationFunctionArgs(
                common=making.function_settings(),
                archive=archive_path,
                handler=build.HANDLER,
                secret_names=serves.secret_names,
                admin_secret_arns=serves.admin_secret_arns,
                admin_servers=admin_servers(serves),
                kms_key_ids=serves.kms_key_ids,
                network=network,
                certificate_authorities=authorities,
            ),
        )
    return functions


def attach(making: Making, secrets: Mapping[str, Secret], functions: Mapping[str, RotationFunction]) -> None:
    """Rotates those secrets that are no database logins and ask for it."""
    for name, secret in secrets.items():
        rotation = making.settings.stack_file.secrets[name].rotation
        if rotation:
            Rotation(
                name,
                RotationArgs(
                    secret_arn=secret.arn,
                    function=rotation.function_arn or functions[_OUTSIDE_VPC],
                    schedule=schedule_of(rotation),
                    after=[secret],
                ),
            )


def declare_master_rotations(making: Making, servers: Mapping[str, Found]) -> None:
    """Schedule the rotation of master secrets that RDS manages, where the stack file says when."""
    for database, declared in making.settings.stack_file.databases.items():
        rotation, admin = declared.master_rotation, servers[database].admin
        if rotation and admin:
            MasterRotation(
                database,
                MasterRotationArgs(
                    secret_arn=admin.arn, schedule=schedule_of(rotation) if rotation.enabled else None
                ),
            )


def attach_partners(making: Making, secrets: Mapping[str, Secret]) -> None:
    """Have AWS rotate the credentials of vendors that it can rotate itself."""
    declared = making.settings.stack_file
    for name, secret in secrets.items():
        about = declared.secrets[name]
        partner = about.partner
        if partner and partner.rotation.enabled:
            PartnerRotation(
                name,
                PartnerRotationArgs(
                    account_id=making.account.account_id,
                    region=making.account.region,
                    secret_arn=secret.arn,
                    secret_name=name,
                    kms_key_id=making.kms_key_id(about),
                    role_arn=partner.role_arn,
                    metadata=partner.metadata,
                    schedule=schedule_of(partner.rotation),
                    tags=declared.tags,
                    permissions_boundary=declared.permissions_boundary,
                    after=[secret],
                ),
            )


def schedule_of(rotation: declared_rotation.Schedule) -> Schedule:
    """When to rotate, as Secrets Manager takes it."""
    days = rotation.automatically_after_days
    return Schedule(
        automatically_after_days=_DEFAULT_DAYS if not days and not rotation.schedule_expression else days,
        schedule_expression=rotation.schedule_expression,
        duration=rotation.duration,
        rotate_immediately=rotation.rotate_immediately,
    )


@dataclass(frozen=True)
class _Place:
    """A server with the function that reaches it, and the administrator whose secret the stack makes."""

    found: Found
    function: RotationFunction
    admin: PostgresLogin | None = None


def declare_logins(
    making: Making, servers: Mapping[str, Found], functions: Mapping[str, RotationFunction]
) -> dict[str, dict[str, PostgresLogin]]:
    """Database to name in AWS to login, the administrator's included where the stack makes its secret."""
    logins: dict[str, dict[str, PostgresLogin]] = {}
    for database, declared in making.settings.stack_file.databases.items():
        place = _Place(servers[database], functions[servers[database].function_name])
        made = logins.setdefault(database, {})
        if declared.admin and declared.admin.secret:
            admin = _admin(making, declared.admin, place)
            made[declared.admin.secret] = admin
            place = replace(place, admin=admin)
        for name, login in declared.logins.items():
            made[name] = PostgresLogin(name, _login_args(making, name, login, place), making.options(login))
    return logins


def _admin(making: Making, declared: Admin, place: _Place) -> PostgresLogin:
    name = declared.secret or ""
    description = f"Administrator of {place.found.server.host}"
    kept = declared.kept.model_copy(update={"description": description})
    rotated = declared.rotation if declared.rotation and declared.rotation.enabled else None
    return PostgresLogin(
        name,
        PostgresLoginArgs(
            secret=making.secret_args(name, kept),
            server=place.found.server,
            database=declared.database,
            username=declared.username or "",
            alternating=False,
            function=place.function,
            password=making.settings.configured[declared.password.config] if declared.password else None,
            schedule=schedule_of(rotated) if rotated else None,
        ),
        making.options(kept),
    )


def _login_args(making: Making, name: str, login: Login, place: _Place) -> PostgresLoginArgs:
    existing = place.found.admin.arn if place.found.admin else None
    admin_secret_arn = place.admin.secret.arn if place.admin else existing
    return PostgresLoginArgs(
        secret=replace(making.secret_args(name, login), values=making.initial_values(login.values)),
        server=place.found.server,
        database=login.database,
        username=login.username,
        alternating=login.users == "alternating",
        function=place.function,
        admin_secret_arn=admin_secret_arn,
        grants=login.grant_statements or login.grants or (None if admin_secret_arn is None else "read-write"),
        schemas=login.schemas,
        create_schemas=login.create_schemas,
        owner_role=login.owner_role,
        password=making.settings.configured[login.password.config] if login.password else None,
        password_length=login.password_length,
        reader_host=place.found.reader_host if login.reader_url else None,
        schedule=schedule_of(login.rotation) if login.rotation.enabled else None,
        after=[place.admin] if place.admin else [],
    )


def _reader_output(found: Found) -> dict[str, object]:
    return {"readerHost": found.reader_host} if found.reader_host else {}


def outputs(
    servers: Mapping[str, Found],
    functions: Mapping[str, RotationFunction],
    logins: Mapping[str, Mapping[str, PostgresLogin]],
) -> dict[str, object]:
    """What the stack says of its databases."""
    return {
        database: {
            "host": servers[database].server.host,
            "port": servers[database].server.port,
            **_reader_output(servers[database]),
            "rotationFunction": functions[servers[database].function_name].function_name,
            "logGroup": functions[servers[database].function_name].log_group_name,
            "logins": {
                name: {
                    "arn": login.secret.arn,
                    "name": login.secret.secret_name,
                    "roles": login.roles,
                    "warnings": login.warnings,
                }
                for name, login in made.items()
            },
        }
        for database, made in logins.items()
    }
