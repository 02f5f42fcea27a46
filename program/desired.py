"""Resolve the meaning of a stack file once, without an engine and without AWS.

`resolve` applies the stack-wide defaults and answers who reads which keys, who administers a database, when a
secret rotates, and what everything is called. The program, the status and the fleet ask it.
"""

import hashlib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from components import rotation_tags
from components.policies import READ_VALUES
from components.postgres_login import PostgresLoginArgs
from components.rotation import Schedule
from components.smtp_permissions import user_name
from program.arns import Account
from stack_file.caches import Cache, CacheLogin
from stack_file.databases import Administrator, Database, Login
from stack_file.key_references import ExistingRead, NamedRead
from stack_file.mistakes import path_of
from stack_file.partners import Partner
from stack_file.restarts import restart_order
from stack_file.rotation import Schedule as DeclaredSchedule
from stack_file.secrets import Content, Mode, Replica, Secret, SecretSettings
from stack_file.smtp import SmtpCredentials
from stack_file.stack_secrets import StackSecret, stack_secrets
from stack_file.top_level import StackFile
from stack_file.workloads import Workload

ROTATION_FUNCTION = "rotation"
ROTATION_FUNCTION_NAMES = rf"{ROTATION_FUNCTION}(-[0-9a-f]{{8}})?-function-[0-9a-f]{{7}}"
"""Pattern of the names in AWS of rotation functions that the engine named by its default."""
WRITER = "writer"
SERVERS = ("databases", "caches", "smtp")
"""Sections of a stack file whose entries have logins, or are one."""
NOTICES = "notices"
REHEARSAL = "rehearsal"

_DEFAULT_DAYS = 30
_NETWORK_ID_LENGTH = 8
_ROLE_ARN = re.compile(r"arn:[^:]+:iam::(?P<account>\d{12}):role/(?P<path>.+/)?(?P<name>[^/]+)")

Setting = TypeVar("Setting")
RotatedBy = Literal["stack", "own-function", "aws"]


@dataclass(frozen=True, kw_only=True)
class DesiredSecret:
    """A secret that the stack creates, with the stack-wide defaults applied.

    Attributes:
        name: name in AWS, and logical name of its component.
        place: keys that lead to it in the stack file.
        path: the same as text, such as `aws-secrets:secrets.app`.
        settings: its own settings, as declared: a `Secret`, a `Login`, or neither for an administrator's.
        database: the entry of `databases` that it is a login of; None for any other secret.
        content: JSON keys, one text, or bytes.
        keys: JSON keys, in their order; empty unless `content` is `keys`.
        placeholders: key to the hint where to get its value; the key is empty for a whole value.
        expires: key to the last day on which its value is valid, in ISO format; the key likewise.
        max_age_days: days after which its value is too old; None for never.
        mode: who writes its values.
        description: None if there is none, or if only AWS knows the server that it names.
        encryption: `stack-key`, `aws-managed`, or the ARN of a KMS key or alias.
        recovery_window_days: days in which it can be restored after its deletion.
        protect: whether Pulumi refuses to delete or replace it.
        replicas: copies in other regions.
        tags: its tags, without `login_tags`.
        login_tags: tags that a database login's component adds; `component_tags` has a cache's, too.
        cache_target: service and resource of the user or replication group whose password it holds.
        schedule: when it rotates; None for never.
        rotated_by: a function of the stack, one of the operator's own, or AWS itself.
        function_arn: the operator's own rotation function, if there is one.
        partner: the vendor whose credentials AWS rotates itself.
        renamed_from: the secret whose values it gets while that one is being renamed; None otherwise.
        readers: workload to the keys that it reads; no keys for a whole value.
    """

    name: str
    place: tuple[str | int, ...]
    path: str
    settings: SecretSettings
    database: str | None
    content: Content
    keys: tuple[str, ...]
    placeholders: Mapping[str, str]
    expires: Mapping[str, str]
    max_age_days: int | None
    mode: Mode
    description: str | None
    encryption: str
    recovery_window_days: int
    protect: bool
    replicas: tuple[Replica, ...]
    tags: Mapping[str, str]
    login_tags: Mapping[str, str]
    cache_target: tuple[str, str] | None
    schedule: Schedule | None
    rotated_by: RotatedBy
    function_arn: str | None
    partner: Partner | None
    renamed_from: str | None
    readers: Mapping[str, tuple[str, ...]]

    @property
    def login(self) -> Login | None:
        """The login as declared; None for an administrator's secret and outside databases."""
        return self.settings if isinstance(self.settings, Login) else None

    @property
    def server(self) -> tuple[str, str] | None:
        """The section and entry of the stack file that it is a login of; None for any other secret."""
        section, name = str(self.place[0]), str(self.place[1])
        return (section, name) if section in SERVERS else None

    @property
    def is_login(self) -> bool:
        """Return whether its password is also in a database or cache, or derived from an access key."""
        return self.server is not None

    def cache_arn(self, account: Account) -> str | None:
        """Return the ARN of the user or replication group whose password it holds."""
        return account.arn(*self.cache_target) if self.cache_target else None

    def smtp_user_arn(self, account: Account) -> str | None:
        """Return the ARN of the IAM user whose SMTP credentials it holds."""
        if not isinstance(self.settings, SmtpCredentials):
            return None
        return account.arn("iam", f"user/{user_name(self.name, account.region)}", region="")

    def cache_group_arn(self, account: Account) -> str | None:
        """Return the ARN of the user group or ACL that its user is added to."""
        group = self.settings.user_group if isinstance(self.settings, CacheLogin) else None
        if group is None or self.cache_target is None:
            return None
        service = self.cache_target[0]
        return account.arn(service, f"acl/{group}" if service == "memorydb" else f"usergroup:{group}")

    def component_tags(self, account: Account) -> dict[str, str]:
        """Return the tags that a login's component adds."""
        user = self.smtp_user_arn(account)
        if user:
            return rotation_tags.of_smtp(user)
        arn, login = self.cache_arn(account), self.settings
        if arn is None or not isinstance(login, CacheLogin):
            return dict(self.login_tags)
        tags = rotation_tags.of_cache(login.password_length, arn, token=login.auth_token)
        return {key: str(value) for key, value in tags.items()}

    def policy(self, reader_arns: Sequence[str]) -> dict[str, object] | None:
        """Return the resource policy; None if there is none.

        Args:
            reader_arns: roles of other accounts that read the secret.
        """
        if not self.settings.policy and not reader_arns:
            return None
        declared: Mapping[str, object] = self.settings.policy or {"Statement": []}
        statements = declared["Statement"]
        reading = {
            "Sid": "RolesOfOtherAccountsRead",
            "Effect": "Allow",
            "Principal": {"AWS": list(reader_arns)},
            "Action": READ_VALUES,
            "Resource": "*",
        }
        return {
            "Version": "2012-10-17",
            **declared,
            "Statement": [
                *(statements if isinstance(statements, list) else [statements]),
                *([reading] if reader_arns else []),
            ],
        }


@dataclass(frozen=True, kw_only=True)
class DesiredDatabase:
    """A database server with its logins.

    Attributes:
        name: in the stack file.
        path: in the stack file.
        declared: the server as declared.
        administrator: where the administrator's credentials are.
        admin_secret: name in AWS of the administrator's secret, if the stack creates it.
        logins: names in AWS of the logins' secrets, without the administrator's.
        master_schedule: when RDS rotates its master user's secret, if the stack file says so.
    """

    name: str
    path: str
    declared: Database
    administrator: Administrator
    admin_secret: str | None
    logins: tuple[str, ...]
    master_schedule: Schedule | None


@dataclass(frozen=True, kw_only=True)
class DesiredCache:
    """A cache with its logins.

    Attributes:
        name: in the stack file.
        path: in the stack file.
        declared: the cache as declared.
        logins: names in AWS of the logins' secrets.
    """

    name: str
    path: str
    declared: Cache
    logins: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DesiredWorkload:
    """A workload with everything that it reads.

    Attributes:
        name: in the stack file, and logical name of its component.
        path: in the stack file.
        declared: the workload as declared.
        secrets: names of the stack's secrets that it reads, sorted.
        reads: the keys that it reads by name, with their places.
        existing_secrets: names or ARNs, as declared, of the other secrets that it reads, sorted.
        existing_reads: what it reads of them, with places.
        databases: entries of `databases` whose logins it reads.
        role: name or ARN of the role that it has already; None if the stack creates one.
    """

    name: str
    path: str
    declared: Workload
    secrets: tuple[str, ...]
    reads: tuple[NamedRead, ...]
    existing_secrets: tuple[str, ...]
    existing_reads: tuple[ExistingRead, ...]
    databases: tuple[str, ...]
    role: str | None

    def cross_account_role(self, account: Account) -> str | None:
        """Return the ARN of its role if that is in another account."""
        arn = _ROLE_ARN.fullmatch(self.role or "")
        return arn[0] if arn and arn["account"] != account.account_id else None

    def role_arn(self, account: Account) -> str | None:
        """Return the ARN of the role that it has already; None if the stack creates one."""
        if self.role is None or self.role.startswith("arn:"):
            return self.role
        return account.arn("iam", f"role/{self.role}", region="")


@dataclass(frozen=True, kw_only=True)
class Desired:
    """The meaning of a stack file.

    Attributes:
        project, stack: Pulumi's names.
        stack_file: the structure as declared.
        secrets: name in AWS to secret, in the order of the stack file.
        databases: name to database.
        caches: name to cache.
        workloads: name to workload.
        included: section and name of each entry of an included file, to that file.
    """

    project: str
    stack: str
    stack_file: StackFile
    secrets: Mapping[str, DesiredSecret]
    databases: Mapping[str, DesiredDatabase]
    caches: Mapping[str, DesiredCache]
    workloads: Mapping[str, DesiredWorkload]
    included: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def path(self, *place: str | int) -> str:
        """Return a place in the stack file, or in the included file that declares the entry, as text."""
        return path_of(self.project, place, self.included)

    @property
    def restart_order(self) -> tuple[str, ...]:
        """Names of the workloads in the order in which they are restarted."""
        return restart_order(self.stack_file.workloads)

    @property
    def key_alias(self) -> str:
        """Alias of the stack's KMS key, without the leading `alias/`."""
        return key_alias(self.project, self.stack)

    @property
    def name_prefix(self) -> str:
        """Prefix of the names of roles and functions; empty unless a pipeline updates the stack."""
        return f"{self.project}-{self.stack}_" if self.stack_file.update_role else ""

    @property
    def log_group_prefix(self) -> str:
        """Prefix of the names of the functions' log groups."""
        return f"/aws/lambda/{self.name_prefix}"

    @property
    def rehearsal_log_group(self) -> str:
        """Name of the log group with the outcomes of rehearsals, which `status` finds without the state."""
        return f"{self.log_group_prefix}rehearsal-{self.project}/{self.stack}"

    def role_name(self, component: str) -> str:
        """Return the name of a component's role, without what the engine adds."""
        return f"{self.name_prefix}{component}-role"

    def function_name(self, component: str) -> str:
        """Return the name of a component's function, without what the engine adds."""
        return f"{self.name_prefix}{component}-function"

    @property
    def written_secrets(self) -> list[DesiredSecret]:
        """The secrets whose values a function writes in the account."""
        return [secret for secret in self.secrets.values() if secret.mode != "once"]

    @property
    def retiring_secrets(self) -> list[str]:
        """The secrets of logins whose rotation asks who uses an old password."""
        rotations = {
            name: login.rotation
            for one in self.stack_file.databases.values()
            for name, login in one.logins.items()
        }
        rotations |= {
            name: login.rotation
            for one in self.stack_file.caches.values()
            for name, login in one.logins.items()
        }
        return [name for name, rotation in rotations.items() if rotation.while_old_password_is_used]

    @property
    def stack_key_secrets(self) -> list[DesiredSecret]:
        """The secrets that the stack's KMS key encrypts."""
        return [secret for secret in self.secrets.values() if secret.encryption == "stack-key"]

    def cross_account_readers(self, account: Account) -> dict[str, list[str]]:
        """Return the name of each secret that other accounts read, with the ARNs of their roles, sorted."""
        readers: dict[str, set[str]] = {}
        for workload in self.workloads.values():
            role = workload.cross_account_role(account)
            for secret in workload.secrets if role else ():
                readers.setdefault(secret, set()).add(role or "")
        return {secret: sorted(roles) for secret, roles in readers.items()}


def resolve(
    stack_file: StackFile,
    project: str,
    stack: str,
    included: Mapping[tuple[str, str], str] = types.MappingProxyType({}),
) -> Desired:
    """Return what a checked stack file means for this project and stack.

    Args:
        stack_file: the checked stack file.
        project: name of the project.
        stack: name of the stack.
        included: section and name of each entry of an included file, to that file: for the paths.
    """

    def path(*place: str | int) -> str:
        return path_of(project, place, included)

    declared = {secret.name: secret for secret in stack_secrets(stack_file)}
    workloads = {
        name: _workload(name, workload, stack_file, declared, path("workloads", name))
        for name, workload in stack_file.workloads.items()
    }
    readers: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, workload in workloads.items():
        for secret, keys in _keys_read(workload, declared):
            readers.setdefault(secret, {})[name] = keys
    return Desired(
        project=project,
        stack=stack,
        stack_file=stack_file,
        secrets={
            name: _secret(secret, stack_file, path(*secret.place), readers.get(name, {}))
            for name, secret in declared.items()
        },
        databases={
            name: _database(name, database, path("databases", name))
            for name, database in stack_file.databases.items()
        },
        caches={
            name: DesiredCache(
                name=name, path=path("caches", name), declared=cache, logins=tuple(cache.logins)
            )
            for name, cache in stack_file.caches.items()
        },
        workloads=workloads,
        included=included,
    )


def key_alias(project: str, stack: str) -> str:
    """Return the alias of a stack's KMS key, without the leading `alias/`."""
    return re.sub(r"[^A-Za-z0-9/_-]", "-", f"{project}/{stack}")


def rotation_function(subnet_ids: Sequence[str] | None) -> str:
    """Return the logical name of the function that serves all databases of these subnets.

    Args:
        subnet_ids: None outside any VPC.
    """
    if subnet_ids is None:
        return ROTATION_FUNCTION
    digest = hashlib.sha256(",".join(sorted(subnet_ids)).encode()).hexdigest()
    return f"{ROTATION_FUNCTION}-{digest[:_NETWORK_ID_LENGTH]}"


def administrator_description(host: str) -> str:
    """Return the description of an administrator's secret that the stack creates."""
    return f"Administrator of {host}"


def schedule_of(rotation: DeclaredSchedule) -> Schedule:
    """Return a declared schedule as Secrets Manager takes it: every 30 days by default."""
    days = rotation.automatically_after_days
    return Schedule(
        automatically_after_days=_DEFAULT_DAYS if not days and not rotation.schedule_expression else days,
        schedule_expression=rotation.schedule_expression,
        duration=rotation.duration,
        rotate_immediately=rotation.rotate_immediately,
    )


def _or_default(own: Setting | None, stack_wide: Setting) -> Setting:
    return stack_wide if own is None else own


def _secret(
    declared: StackSecret, stack_file: StackFile, path: str, readers: Mapping[str, tuple[str, ...]]
) -> DesiredSecret:
    settings = declared.settings
    database = str(declared.place[1]) if declared.place[0] == "databases" else None
    own = settings if isinstance(settings, Secret) else None
    schedule, rotated_by, function_arn = _rotation(settings, stack_file, database)
    return DesiredSecret(
        name=declared.name,
        place=declared.place,
        path=path,
        settings=settings,
        database=database,
        content=declared.content,
        keys=declared.keys,
        placeholders={
            place[1] if place[0] == "values" else "": value.filled_by_hand
            for place, value in declared.sources
            if value.filled_by_hand is not None
        },
        expires={
            place[1] if place[0] == "values" else "": value.expires
            for place, value in declared.sources
            if value.expires is not None
        },
        max_age_days=_or_default(settings.max_age_days, stack_file.max_age_days) or None,
        mode=declared.mode,
        description=_description(settings, stack_file, database),
        encryption=_or_default(settings.encryption, stack_file.encryption),
        recovery_window_days=_or_default(settings.recovery_window_days, stack_file.recovery_window_days),
        protect=_or_default(settings.protect, stack_file.protect),
        replicas=_or_default(settings.replicas, stack_file.replicas),
        tags={**stack_file.tags, **settings.tags, **_random_key_tags(own)},
        login_tags=_login_tags(settings, None if database is None else stack_file.databases[database]),
        cache_target=_cache_target(declared, stack_file),
        schedule=schedule,
        rotated_by=rotated_by,
        function_arn=function_arn,
        partner=own.partner if own else None,
        renamed_from=own.renamed_from if own else None,
        readers=readers,
    )


def _description(settings: SecretSettings, stack_file: StackFile, database: str | None) -> str | None:
    if database is None or isinstance(settings, Login | CacheLogin | SmtpCredentials):
        return settings.description
    host = stack_file.databases[database].host
    return administrator_description(host) if host else None


def _rotation(
    settings: SecretSettings, stack_file: StackFile, database: str | None
) -> tuple[Schedule | None, RotatedBy, str | None]:
    """Return when a secret rotates, by what, and the ARN of the operator's own function."""
    if isinstance(settings, Secret) and settings.partner:
        by_aws = settings.partner.rotation
        return schedule_of(by_aws) if by_aws.enabled else None, "aws", None
    if isinstance(settings, Secret):
        rotation = settings.rotation
        if rotation is None:
            return None, "stack", None
        return (
            schedule_of(rotation),
            "own-function" if rotation.function_arn else "stack",
            rotation.function_arn,
        )
    if isinstance(settings, Login):
        return schedule_of(settings.rotation) if settings.rotates else None, "stack", None
    if isinstance(settings, CacheLogin | SmtpCredentials):
        return schedule_of(settings.rotation) if settings.rotation.enabled else None, "stack", None
    admin = stack_file.databases[database or ""].admin
    renewed = admin.rotation if admin and admin.rotation and admin.rotation.enabled else None
    return schedule_of(renewed) if renewed else None, "stack", None


def _random_key_tags(secret: Secret | None) -> dict[str, str]:
    rotation = secret.rotation if secret else None
    if rotation is None or not rotation.renewed_keys:
        return {}
    return rotation_tags.of_random_keys(rotation.renewed_keys, rotation.length, rotation.format)


def _cache_target(declared: StackSecret, stack_file: StackFile) -> tuple[str, str] | None:
    if not isinstance(declared.settings, CacheLogin):
        return None
    cache, user = stack_file.caches[str(declared.place[1])], declared.settings.user
    if user is None:
        return "elasticache", f"replicationgroup:{cache.replication_group}"
    return ("memorydb", f"user/{user}") if cache.memorydb_cluster else ("elasticache", f"user:{user}")


def _login_tags(settings: SecretSettings, database: Database | None) -> dict[str, str]:
    if database is None:
        return {}
    login = settings if isinstance(settings, Login) else None
    length = login.password_length if login else PostgresLoginArgs.password_length
    if login and login.authentication == "iam":
        return rotation_tags.of_iam_login()
    if database.engine != "postgres":
        return rotation_tags.of_mysql_login(database.engine, length)
    return rotation_tags.of_login(length, alternating=login is not None and database.alternates(login))


def _database(name: str, declared: Database, path: str) -> DesiredDatabase:
    rotation = declared.master_rotation
    return DesiredDatabase(
        name=name,
        path=path,
        declared=declared,
        administrator=declared.administrator,
        admin_secret=declared.admin.secret if declared.admin else None,
        logins=tuple(declared.logins),
        master_schedule=schedule_of(rotation) if rotation and rotation.enabled else None,
    )


def _workload(
    name: str,
    declared: Workload,
    stack_file: StackFile,
    secrets: Mapping[str, StackSecret],
    path: str,
) -> DesiredWorkload:
    read = [secret for secret in declared.secrets if secret in secrets]
    databases = {str(secrets[secret].place[1]) for secret in read if secrets[secret].place[0] == "databases"}
    return DesiredWorkload(
        name=name,
        path=path,
        declared=declared,
        secrets=tuple(read),
        reads=tuple(declared.reads),
        existing_secrets=declared.existing_secrets,
        existing_reads=tuple(declared.existing_reads),
        databases=tuple(database for database in stack_file.databases if database in databases),
        role=declared.role,
    )


def _keys_read(
    workload: DesiredWorkload, secrets: Mapping[str, StackSecret]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each secret that a workload reads, with the keys in the secret's order."""
    named: dict[str, set[str | None]] = {secret: {None} for secret in workload.declared.environment_from}
    for read in workload.reads:
        if read.secret in secrets:
            named.setdefault(read.secret, set()).add(read.key_of(secrets[read.secret].content))
    for secret in workload.secrets:
        keys = named[secret]
        yield secret, tuple(key for key in secrets[secret].keys if None in keys or key in keys)
