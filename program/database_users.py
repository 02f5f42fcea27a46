"""Let workloads log in to databases without a password, by IAM database authentication."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.policies import connecting
from components.read_access import ReadAccess
from program.arns import Account
from program.aws_lookups import DatabaseServer
from program.desired import Desired, DesiredWorkload

_LONGEST_RESOURCE_ID = f"cluster-{'X' * 26}"


def user_arns(
    desired: Desired, workload: DesiredWorkload, account: Account, resource_ids: Mapping[str, str]
) -> list[str]:
    """Return the ARNs of the database users that a workload logs in as.

    Source: Amazon RDS User Guide, "Creating and using an IAM policy for IAM database access".

    Args:
        desired: the stack.
        workload: the workload.
        account: the account and region of the databases.
        resource_ids: entry of `databases` to what RDS calls it in permissions.
    """
    arns = []
    for name in workload.secrets:
        secret = desired.secrets[name]
        if secret.login and secret.database and secret.login.authentication == "iam":
            user = f"dbuser:{resource_ids[secret.database]}/{secret.login.username}"
            arns.append(account.arn("rds-db", user))
    return arns


def reserved(desired: Desired, workload: DesiredWorkload, account: Account) -> int:
    """Return the characters of the inline policy that the role needs besides its read access."""
    longest = dict.fromkeys(desired.databases, _LONGEST_RESOURCE_ID)
    arns = user_arns(desired, workload, account, longest)
    if not arns or workload.declared.database_role:
        return 0
    return len("".join(connecting(arns).split()))


def let_connect(
    desired: Desired,
    workload: DesiredWorkload,
    account: Account,
    servers: Mapping[str, DatabaseServer],
    access: ReadAccess | None,
) -> None:
    """Declare the permission of a workload's role to log in, if it has logins without a password.

    Args:
        desired: the stack.
        workload: the workload.
        account: the account and region of the stack.
        servers: the servers of the stack's databases.
        access: its read access; None if the role that reads is in another account.
    """
    ids = {name: server.resource_id for name, server in servers.items()}
    arns = user_arns(desired, workload, account, ids)
    role: pulumi.Input[str] | None = None
    if workload.declared.database_role:
        role = workload.declared.database_role.rpartition("/")[2]
    elif access:
        role = access.role_arn.apply(lambda arn: arn.rpartition("/")[2])
    if not arns or role is None:
        return
    aws.iam.RolePolicy(
        f"{workload.name}-database-logins",
        role=role,
        policy=connecting(arns),
        opts=pulumi.ResourceOptions(parent=access),
    )
