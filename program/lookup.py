"""What a stack file leaves for AWS to say about its databases: host, port, network, master secret."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.postgres_login import Server
from components.rotation_function import Network
from program.existing_secrets import key_arn
from program.invokes import Answer, InvokeError, asked
from program.making import Account
from settings import Mistake, SettingsError
from settings.databases import Database
from settings.mistakes import path_of

if TYPE_CHECKING:  # importing all of RDS takes longer than the rest of a small preview
    from pulumi_aws.rds.outputs import GetClusterMasterUserSecretResult, GetInstanceMasterUserSecretResult


_POSTGRES_PORT = 5432
_NETWORK_ID_LENGTH = 8


@dataclass(frozen=True, kw_only=True)
class AdminSecret:
    """The secret of a database's administrator that exists already.

    Attributes:
        arn: full ARN.
        kms_key_id: ARN of the key or alias that encrypts it; None for AWS's own key.
    """

    arn: str
    kms_key_id: str | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """A database server with all that has to be known to log in there.

    Attributes:
        server: where it is.
        network: where the rotation function must run; None outside any VPC.
        admin: None where this stack makes the administrator's secret, or there is none.
        certificate_authorities: PEM text; empty for those of Amazon RDS alone.
        reader_host: DNS name of the reader, on the server's port; None if no login asks for it.
    """

    server: Server
    network: Network | None
    admin: AdminSecret | None
    certificate_authorities: str
    reader_host: str | None = None

    @property
    def function_name(self) -> str:
        """Logical name of the function that serves its network."""
        return function_name(self.network)


def function_name(network: Network | None) -> str:
    """One function serves all databases of the same subnets: its logical name."""
    if network is None:
        return "rotation"
    subnets = ",".join(sorted(network.subnet_ids))
    return f"rotation-{hashlib.sha256(subnets.encode()).hexdigest()[:_NETWORK_ID_LENGTH]}"


def merged(found: Iterable[Found]) -> tuple[Network | None, str]:
    """The network and the authorities of a function that serves all of these, which have the same subnets."""
    networks, authorities = [], []
    for database in found:
        networks += [database.network] if database.network else []
        authorities += [database.certificate_authorities.strip()] if database.certificate_authorities else []
    text = "".join(f"{authority}\n" for authority in dict.fromkeys(authorities))
    if not networks:
        return None, text
    groups = sorted({group for network in networks for group in network.security_group_ids})
    return replace(networks[0], security_group_ids=groups), text


def look_up(databases: Mapping[str, Database], account: Account) -> dict[str, Found]:
    """Asks AWS for what the stack file leaves to it.

    Raises:
        SettingsError: AWS has no such database, network or secret, or does not say.
    """
    lookup = _Lookup(account)
    mistakes: list[Mistake] = []
    found = {}
    for name, declared in databases.items():
        try:
            found[name] = lookup.database(declared)
        except _UnknownError as error:
            place, wrong, remedy = error.args
            consequence = "The rotation function could not log in; nothing was declared"
            mistakes.append(
                Mistake(
                    path_of(pulumi.get_project(), ("databases", name, *place)), wrong, consequence, remedy
                )
            )
    if mistakes:
        raise SettingsError(pulumi.get_stack(), mistakes)
    return found


class _UnknownError(Exception):
    """Arguments: the place below the database, what is wrong, what to write instead."""


@dataclass(frozen=True)
class _Lookup:
    account: Account

    def database(self, declared: Database) -> Found:
        described = _described(declared)
        network = None
        if declared.vpc:
            network = Network(
                subnet_ids=declared.vpc.subnet_ids, security_group_ids=declared.vpc.security_group_ids
            )
        elif described.subnet_group and not declared.outside_vpc:
            network = self._network(described.subnet_group, described.security_group_ids)
        if declared.admin:
            admin = self._admin(declared.admin.secret_arn) if declared.admin.secret_arn else None
        else:
            admin = None if declared.host else _master(described)
        return Found(
            server=described.server,
            network=network,
            admin=admin,
            certificate_authorities=Path(declared.certificate_authorities).read_text()
            if declared.certificate_authorities
            else "",
            reader_host=_reader(declared, described),
        )

    def _network(self, subnet_group: str, security_group_ids: Sequence[str]) -> Network:
        found = _asked(
            ("vpc",), f'DB subnet group "{subnet_group}"', lambda: aws.rds.get_subnet_group(name=subnet_group)
        )
        return Network(subnet_ids=sorted(found.subnet_ids), security_group_ids=sorted(security_group_ids))

    def _admin(self, arn: str) -> AdminSecret:
        found = _asked(
            ("admin", "secretArn"), f"secret {arn}", lambda: aws.secretsmanager.get_secret(arn=arn)
        )
        return AdminSecret(arn=found.arn, kms_key_id=key_arn(found.kms_key_id, self.account))


@dataclass(frozen=True, kw_only=True)
class _Described:
    """What RDS says of an instance or a cluster, in the same words; of any other server the stack file."""

    place: str
    server: Server
    reader_host: str = ""
    subnet_group: str = ""
    security_group_ids: Sequence[str] = ()
    master_user_secrets: "Sequence[GetInstanceMasterUserSecretResult | GetClusterMasterUserSecretResult]" = ()


def _described(declared: Database) -> _Described:
    if declared.rds_instance:
        instance = _asked(
            ("rdsInstance",),
            f'RDS instance "{declared.rds_instance}"',
            partial(aws.rds.get_instance, db_instance_identifier=declared.rds_instance),
        )
        described = _Described(
            place="rdsInstance",
            server=Server(engine=instance.engine, host=instance.address, port=instance.port),
            subnet_group=instance.db_subnet_group,
            security_group_ids=instance.vpc_security_groups,
            master_user_secrets=instance.master_user_secrets,
        )
    elif declared.aurora_cluster:
        cluster = _asked(
            ("auroraCluster",),
            f'Aurora cluster "{declared.aurora_cluster}"',
            partial(aws.rds.get_cluster, cluster_identifier=declared.aurora_cluster),
        )
        described = _Described(
            place="auroraCluster",
            server=Server(engine=cluster.engine, host=cluster.endpoint, port=cluster.port),
            reader_host=cluster.reader_endpoint,
            subnet_group=cluster.db_subnet_group_name,
            security_group_ids=cluster.vpc_security_group_ids,
            master_user_secrets=cluster.master_user_secrets,
        )
    else:
        server = Server(engine="postgres", host=declared.host or "", port=declared.port or _POSTGRES_PORT)
        described = _Described(place="host", server=server)
    if described.server.engine not in {"postgres", "aurora-postgresql"}:
        raise _UnknownError(
            (described.place,),
            f"its engine is {described.server.engine}",
            "Name a server with PostgreSQL: no other engine is known yet",
        )
    return described


def _reader(declared: Database, described: _Described) -> str | None:
    if not any(login.reader_url for login in declared.logins.values()):
        return None
    found = declared.reader_host or described.reader_host
    if not found:
        raise _UnknownError(
            (described.place,),
            "RDS names no reader endpoint of this cluster, and a login has readerUrl",
            "Write readerHost: NAME, or drop readerUrl",
        )
    return found


def _master(described: _Described) -> AdminSecret:
    for secret in described.master_user_secrets:
        return AdminSecret(arn=secret.secret_arn, kms_key_id=secret.kms_key_id or None)
    raise _UnknownError(
        (described.place,),
        "RDS does not manage the password of its master user, and admin is not written",
        "Let RDS manage it (aws rds modify-db-instance --manage-master-user-password, or "
        "modify-db-cluster), or write admin: {secretArn: ARN}",
    )


def _asked(place: tuple[str, ...], what: str, ask: Callable[[], Answer]) -> Answer:
    try:
        return asked(what, ask)
    except InvokeError as error:
        remedy = "Write what exists in this account and region, and check the permissions"
        raise _UnknownError(place, str(error), remedy) from None
