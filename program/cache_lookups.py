"""Look up what a stack file leaves to AWS about its caches: engine, host, port, network."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pulumi_aws as aws

from components.cache_login import Cache
from components.rotation_function import Network
from program.desired import DesiredCache
from program.invokes import LookupFailedError, look_up
from program.networks import Reached
from stack_file.caches import Cache as DeclaredCache

_PORT = 6379


@dataclass(frozen=True, kw_only=True)
class CacheServer(Reached):
    """A cache, with what is needed to log in there and to change its passwords.

    Attributes:
        cache: service, engine, host and port.
        usernames: login to the name with which its clients log in; without those that have an AUTH token.
    """

    cache: Cache
    usernames: Mapping[str, str]


def cache_server(desired: DesiredCache) -> CacheServer:
    """Return a cache with what AWS reports of it.

    Raises:
        LookupFailedError: AWS has no such cache or network, or the lookup failed.
    """
    declared = desired.declared
    found = _found(declared)
    if any(login.reader_url for login in declared.logins.values()) and not found.cache.reader_host:
        raise LookupFailedError(
            (found.place,),
            "a login has readerUrl, but AWS reports no reader endpoint for this cache",
            "Remove readerUrl",
        )
    return CacheServer(
        cache=found.cache,
        network=_network(declared, found),
        certificate_authorities=Path(declared.certificate_authorities).read_text()
        if declared.certificate_authorities
        else "",
        usernames={
            name: login.user
            if login.access_string  # the function creates it, with its ID as its name
            else _username(("logins", name, "user"), login.user, found.cache.service)
            for name, login in declared.logins.items()
            if login.user
        },
    )


def _username(place: tuple[str, ...], user: str, service: str) -> str:
    """Return the name of a user: ElastiCache has IDs and names."""
    if service == "memorydb":
        found = look_up(place, f'MemoryDB user "{user}"', partial(aws.memorydb.get_user, user_name=user))
        return str(found.user_name)
    subject = f'ElastiCache user "{user}"'
    name = look_up(place, subject, partial(aws.elasticache.get_user, user_id=user)).user_name
    if name == "default":
        raise LookupFailedError(
            place, f'the name of {subject} is "default", which everybody shares', "Use another user"
        )
    return name or ""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A cache as AWS describes it, with its network: a subnet group, or the subnets."""

    place: str
    cache: Cache
    subnet_group: str = ""
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()


def _found(declared: DeclaredCache) -> _Found:
    if declared.replication_group:
        return _replication_group(declared.replication_group)
    if declared.serverless_cache:
        return _serverless_cache(declared.serverless_cache)
    return _memorydb_cluster(declared.memorydb_cluster or "")


def _replication_group(name: str) -> _Found:
    place = "replicationGroup"
    subject = f'ElastiCache replication group "{name}"'
    group = look_up(
        (place,), subject, partial(aws.elasticache.get_replication_group, replication_group_id=name)
    )
    # only a member knows engine and network
    member = look_up(
        (place,),
        f"a member of {subject}",
        partial(aws.elasticache.get_cluster, cluster_id=group.member_clusters[0]),
    )
    return _Found(
        place=place,
        cache=Cache(
            service="elasticache",
            engine=member.engine,
            host=group.primary_endpoint_address or group.configuration_endpoint_address,
            port=group.port or _PORT,
            reader_host=group.reader_endpoint_address or None,
            replication_group_arn=group.arn,
        ),
        subnet_group=member.subnet_group_name,
        security_group_ids=tuple(member.security_group_ids),
    )


def _serverless_cache(name: str) -> _Found:
    place = "serverlessCache"
    cache = look_up(
        (place,),
        f'ElastiCache serverless cache "{name}"',
        partial(aws.elasticache.get_serverless_cache, name=name),
    )
    return _Found(
        place=place,
        cache=Cache(
            service="elasticache",
            engine=cache.engine,
            host=cache.endpoint.address,
            port=cache.endpoint.port,
            reader_host=cache.reader_endpoint.address or None,
            reader_port=cache.reader_endpoint.port,
        ),
        subnet_ids=tuple(cache.subnet_ids),
        security_group_ids=tuple(cache.security_group_ids),
    )


def _memorydb_cluster(name: str) -> _Found:
    place = "memorydbCluster"
    cluster = look_up((place,), f'MemoryDB cluster "{name}"', partial(aws.memorydb.get_cluster, name=name))
    if not cluster.tls_enabled:
        raise LookupFailedError((place,), "its connections are not encrypted", "Use a cluster with TLS")
    [endpoint, *_] = cluster.cluster_endpoints
    return _Found(
        place=place,
        cache=Cache(
            service="memorydb", engine=cluster.engine or "redis", host=endpoint.address, port=endpoint.port
        ),
        subnet_group=cluster.subnet_group_name,
        security_group_ids=tuple(cluster.security_group_ids),
    )


def _network(declared: DeclaredCache, found: _Found) -> Network | None:
    if declared.vpc:
        return Network(subnet_ids=declared.vpc.subnet_ids, security_group_ids=declared.vpc.security_group_ids)
    subnets = found.subnet_ids
    if found.subnet_group:
        lookup = (
            aws.memorydb.get_subnet_group
            if found.cache.service == "memorydb"
            else aws.elasticache.get_subnet_group
        )
        group = look_up(
            ("vpc",), f'subnet group "{found.subnet_group}"', partial(lookup, name=found.subnet_group)
        )
        subnets = tuple(group.subnet_ids)
    if not subnets:
        return None
    return Network(subnet_ids=sorted(subnets), security_group_ids=sorted(found.security_group_ids))
