"""The secrets of RDS's master users: which they are, and how the stack file wants them rotated."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from automation.status.aws import Asking, Denied
from automation.status.declared import Existing, schedule_of
from program.existing_secrets import name_of
from settings import StackFile
from settings.databases import Database
from settings.mistakes import path_of


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """A declared rotation of a master secret that could not be found.

    Attributes:
        name: of the database in RDS.
        path: of the declaration.
        why: what the caller may not do; None if RDS has no such database or manages no secret of it.
    """

    name: str
    path: str
    why: Denied | None


def masters(project: str, stack_file: StackFile, aws: Asking) -> tuple[list[Existing], list[Unknown]]:
    """Return the master secrets that RDS manages for the stack's databases.

    Without a declared rotation one that RDS does not tell is left out: a role for monitors may have no
    permission to ask.
    """
    declared = {
        name: database
        for name, database in stack_file.databases.items()
        if not database.host and not database.admin
    }
    answers = aws.each(declared, lambda name: _master(aws, declared[name]))
    found, unknown = [], []
    for name, database in declared.items():
        path = path_of(project, ("databases", name))
        answer, rotation = answers[name], database.master_rotation
        if isinstance(answer, str):
            found.append(
                Existing(
                    name=name_of(answer),
                    path=path,
                    foreign=False,
                    reads={},
                    rotation_declared=rotation is not None,
                    schedule=schedule_of(rotation) if rotation and rotation.enabled else None,
                )
            )
        elif rotation:
            identifier = database.rds_instance or database.aurora_cluster or ""
            unknown.append(Unknown(name=identifier, path=f"{path}.masterRotation", why=answer))
    return found, unknown


def merged(existing: Iterable[Existing], found: Iterable[Existing]) -> list[Existing]:
    """Return both, a secret that workloads read and RDS manages once."""
    by_name = {one.name: one for one in existing}
    for master in found:
        read = by_name.get(master.name)
        by_name[master.name] = replace(master, path=read.path, reads=read.reads) if read else master
    return list(by_name.values())


def _master(aws: Asking, database: Database) -> str | Denied | None:
    client = aws.client("rds")
    if database.rds_instance:
        action, answer = "DescribeDBInstances", "DBInstances"
        ask = partial(client.describe_db_instances, DBInstanceIdentifier=database.rds_instance)
    else:
        action, answer = "DescribeDBClusters", "DBClusters"
        ask = partial(client.describe_db_clusters, DBClusterIdentifier=database.aurora_cluster)
    found = aws.asked(f"rds:{action}", ask)
    if found is None or isinstance(found, Denied):
        return found
    return next(_secrets(found[answer]), None)


def _secrets(described: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for database in described:
        arn = (database.get("MasterUserSecret") or {}).get("SecretArn")
        if arn:
            yield str(arn)
