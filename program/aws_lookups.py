"""Look up what a stack file leaves to AWS about its databases: host, port, network, master secret.

Caches are in cache_lookups.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi_aws as aws

from components.postgres_login import Server
from components.rotation_function import Network
from program.arns import Account, kms_key_arn
from program.cache_lookups import CacheServer, cache_server
from program.desired import Desired, DesiredDatabase
from program.invokes import LookupFailedError
from program.invokes import look_up as ask_for
from program.networks import Reached
from stack_file import Mistake, SettingsError
from stack_file.databases import Database
from stack_file.engines import ENGINES

if TYPE_CHECKING:  # importing all of RDS takes longer than the rest of a small preview
    from pulumi_aws.rds.outputs import GetClusterMasterUserSecretResult, GetInstanceMasterUserSecretResult


@dataclass(frozen=True, kw_only=True)
class AdminSecret:
    """The secret of a database's administrator that the stack does not create.

    Attributes:
        arn: full ARN.
        kms_key_arn: ARN of the key or alias that encrypts it; None for the AWS managed key.
    """

    arn: str
    kms_key_arn: str | None


@dataclass(frozen=True, kw_only=True)
class DatabaseServer(Reached):
    """A database server, with what is needed to log in there.

    Attributes:
        server: engine, host and port.
        admin: None if the stack creates the administrator's secret, or there is no administrator.
        reader_host: DNS name of the reader, on the server's port; None if no login asks for it.
        resource_id: what RDS calls the instance or cluster in permissions; empty if RDS does not run it.
    """

    server: Server
    admin: AdminSecret | None
    reader_host: str | None = None
    resource_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Servers:
    """The servers that the logins of a stack log in to.

    Attributes:
        databases: entry of `databases` to its server.
        caches: entry of `caches` to its cache.
    """

    databases: Mapping[str, DatabaseServer] = field(default_factory=dict)
    caches: Mapping[str, CacheServer] = field(default_factory=dict)


def look_up(desired: Desired, account: Account) -> Servers:
    """Return the server of each database and cache, with what AWS reports of it.

    Raises:
        SettingsError: AWS has no such database, cache, network or secret, or the lookup failed.
    """
    lookup = _Lookup(account)
    mistakes: list[Mistake] = []
    databases: dict[str, DatabaseServer] = {}
    caches: dict[str, CacheServer] = {}
    for name, database in desired.databases.items():
        with _noted(desired, ("databases", name), mistakes):
            databases[name] = lookup.server(database)
    for name, cache in desired.caches.items():
        with _noted(desired, ("caches", name), mistakes):
            caches[name] = cache_server(cache)
    if mistakes:
        raise SettingsError(desired.stack, mistakes)
    return Servers(databases=databases, caches=caches)


@contextmanager
def _noted(desired: Desired, entry: tuple[str, str], mistakes: list[Mistake]) -> Iterator[None]:
    """Add a failure to look up an entry of the stack file to the mistakes."""
    try:
        yield
    except LookupFailedError as error:
        path = desired.path(*entry, *error.place)
        mistakes.append(Mistake(path, error.wrong, "The rotation function could not log in", error.remedy))


@dataclass(frozen=True)
class _Lookup:
    account: Account

    def server(self, database: DesiredDatabase) -> DatabaseServer:
        declared = database.declared
        described = _described(declared)
        return DatabaseServer(
            server=described.server,
            network=self._network(declared, described),
            admin=self._admin(database, described),
            certificate_authorities=Path(declared.certificate_authorities).read_text()
            if declared.certificate_authorities
            else "",
            reader_host=_reader(declared, described),
            resource_id=described.resource_id,
        )

    def _network(self, declared: Database, described: "_Described") -> Network | None:
        if declared.vpc:
            return Network(
                subnet_ids=declared.vpc.subnet_ids, security_group_ids=declared.vpc.security_group_ids
            )
        if not described.subnet_group or declared.outside_vpc:
            return None
        group = ask_for(
            ("vpc",),
            f'DB subnet group "{described.subnet_group}"',
            partial(aws.rds.get_subnet_group, name=described.subnet_group),
        )
        return Network(
            subnet_ids=sorted(group.subnet_ids), security_group_ids=sorted(described.security_group_ids)
        )

    def _admin(self, database: DesiredDatabase, described: "_Described") -> AdminSecret | None:
        if database.administrator == "rds":
            return _master(described)
        arn = database.declared.admin.secret_arn if database.declared.admin else None
        if arn is None:
            return None
        secret = ask_for(
            ("admin", "secretArn"), f"secret {arn}", partial(aws.secretsmanager.get_secret, arn=arn)
        )
        return AdminSecret(arn=secret.arn, kms_key_arn=kms_key_arn(secret.kms_key_id, self.account))


@dataclass(frozen=True, kw_only=True)
class _Described:
    """A server as RDS describes it, or as the stack file does if RDS does not run it."""

    place: str
    server: Server
    reader_host: str = ""
    resource_id: str = ""
    subnet_group: str = ""
    security_group_ids: Sequence[str] = ()
    master_user_secrets: "Sequence[GetInstanceMasterUserSecretResult | GetClusterMasterUserSecretResult]" = ()


def _described(declared: Database) -> _Described:
    if declared.rds_instance:
        instance = ask_for(
            ("rdsInstance",),
            f'RDS instance "{declared.rds_instance}"',
            partial(aws.rds.get_instance, db_instance_identifier=declared.rds_instance),
        )
        described = _Described(
            place="rdsInstance",
            server=Server(engine=instance.engine, host=instance.address, port=instance.port),
            resource_id=instance.resource_id,
            subnet_group=instance.db_subnet_group,
            security_group_ids=instance.vpc_security_groups,
            master_user_secrets=instance.master_user_secrets,
        )
    elif declared.aurora_cluster:
        cluster = ask_for(
            ("auroraCluster",),
            f'Aurora cluster "{declared.aurora_cluster}"',
            partial(aws.rds.get_cluster, cluster_identifier=declared.aurora_cluster),
        )
        _check_iam(declared, enabled=cluster.iam_database_authentication_enabled)
        described = _Described(
            place="auroraCluster",
            server=Server(engine=cluster.engine, host=cluster.endpoint, port=cluster.port),
            reader_host=cluster.reader_endpoint,
            resource_id=cluster.cluster_resource_id,
            subnet_group=cluster.db_subnet_group_name,
            security_group_ids=cluster.vpc_security_group_ids,
            master_user_secrets=cluster.master_user_secrets,
        )
    else:
        port = declared.port or ENGINES[declared.engine].port
        server = Server(engine=declared.engine, host=declared.host or "", port=port)
        described = _Described(place="host", server=server)
    _check_engine(declared, described)
    return described


def _check_iam(declared: Database, *, enabled: bool) -> None:
    """Raise LookupFailedError if a login needs IAM authentication, which the cluster does not have."""
    if enabled or all(login.authentication == "password" for login in declared.logins.values()):
        return
    raise LookupFailedError(
        ("auroraCluster",),
        "a login has authentication: iam, but IAM database authentication is disabled for this cluster",
        "Enable it: aws rds modify-db-cluster --enable-iam-database-authentication",
    )


def _check_engine(declared: Database, described: _Described) -> None:
    """Raise LookupFailedError if the server's engine is not the one that the stack file declares."""
    found = described.server.engine
    if found in ENGINES[declared.engine].rds_engines:
        return
    fitting = next((name for name, engine in ENGINES.items() if found in engine.rds_engines), None)
    place = (described.place,)
    if fitting:
        title = ENGINES[declared.engine].title
        raise LookupFailedError(place, f"its engine is {found}, not {title}", f"Set engine: {fitting}")
    titles = ", ".join(engine.title for engine in ENGINES.values())
    raise LookupFailedError(place, f"its engine is {found}, which is not supported", f"Use one of {titles}")


def _reader(declared: Database, described: _Described) -> str | None:
    if not any(login.reader_url for login in declared.logins.values()):
        return None
    host = declared.reader_host or described.reader_host
    if not host:
        raise LookupFailedError(
            (described.place,),
            "a login has readerUrl, but RDS reports no reader endpoint for this cluster",
            "Set readerHost, or remove readerUrl",
        )
    return host


def _master(described: _Described) -> AdminSecret:
    for secret in described.master_user_secrets:
        return AdminSecret(arn=secret.secret_arn, kms_key_arn=secret.kms_key_id or None)
    raise LookupFailedError(
        (described.place,),
        "admin is not set, and RDS does not manage the master user's password",
        "Let RDS manage it (aws rds modify-db-instance --manage-master-user-password, or "
        "modify-db-cluster), or set admin: {secretArn: ARN}",
    )
