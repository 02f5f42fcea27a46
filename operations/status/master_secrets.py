"""The secrets of RDS master users, with the rotation that the stack file declares for them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from operations.status.aws import AwsSession, Denied
from operations.status.declared import ExistingSecret, schedule_of
from program.arns import secret_name
from program.desired import Desired
from stack_file.databases import Database


@dataclass(frozen=True, kw_only=True)
class UnresolvedMaster:
    """A master secret that could not be found although the stack file declares its rotation.

    Attributes:
        name: of the DB instance or cluster.
        path: of the declaration in the stack file.
        why: the missing permission; None if RDS has no such database or manages no secret for it.
    """

    name: str
    path: str
    why: Denied | None


def find_master_secrets(
    desired: Desired, aws: AwsSession
) -> tuple[list[ExistingSecret], list[UnresolvedMaster]]:
    """Return the master secrets that RDS manages for the stack's databases, and those not found.

    One that cannot be found is left out if its rotation is not declared: a monitoring role may lack the
    permission.
    """
    managed = {name: one for name, one in desired.databases.items() if one.administrator == "rds"}
    answers = aws.each(managed, lambda name: _master(aws, managed[name].declared))
    found, unresolved = [], []
    for name, database in managed.items():
        answer, schedule = answers[name], database.master_schedule
        if isinstance(answer, str):
            found.append(
                ExistingSecret(
                    name=secret_name(answer),
                    path=database.path,
                    foreign=False,
                    reads={},
                    rotation_declared=database.declared.master_rotation is not None,
                    schedule=schedule_of(schedule) if schedule else None,
                )
            )
        elif database.declared.master_rotation:
            identifier = database.declared.rds_instance or database.declared.aurora_cluster or ""
            path = f"{database.path}.masterRotation"
            unresolved.append(UnresolvedMaster(name=identifier, path=path, why=answer))
    return found, unresolved


def merge(existing: Iterable[ExistingSecret], found: Iterable[ExistingSecret]) -> list[ExistingSecret]:
    """Return both lists, with a secret that workloads read and RDS manages only once."""
    by_name = {one.name: one for one in existing}
    for master in found:
        read = by_name.get(master.name)
        by_name[master.name] = replace(master, path=read.path, reads=read.reads) if read else master
    return list(by_name.values())


def _master(aws: AwsSession, database: Database) -> str | Denied | None:
    client = aws.client("rds")
    if database.rds_instance:
        action, listed = "DescribeDBInstances", "DBInstances"
        request = partial(client.describe_db_instances, DBInstanceIdentifier=database.rds_instance)
    else:
        action, listed = "DescribeDBClusters", "DBClusters"
        request = partial(client.describe_db_clusters, DBClusterIdentifier=database.aurora_cluster)
    response = aws.call(f"rds:{action}", request)
    if response is None or isinstance(response, Denied):
        return response
    return next(_secret_arns(response[listed]), None)


def _secret_arns(described: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for database in described:
        arn = (database.get("MasterUserSecret") or {}).get("SecretArn")
        if arn:
            yield str(arn)
