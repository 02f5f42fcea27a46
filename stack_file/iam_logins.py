"""Check the workloads that log in to databases without a password (authentication: iam)."""

from collections.abc import Iterator

from stack_file.mistakes import Mistake, path_of
from stack_file.top_level import StackFile
from stack_file.workloads import Workload


def iam_logins(stack_file: StackFile) -> frozenset[str]:
    """Return the names of the secrets of logins without a password."""
    return frozenset(
        name
        for database in stack_file.databases.values()
        for name, login in database.logins.items()
        if login.authentication == "iam"
    )


def wrong_iam_logins(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """Yield workloads that could not log in to a database with their role."""
    without_password = iam_logins(stack_file)
    for name, workload in stack_file.workloads.items():
        read = [secret for secret in workload.secrets if secret in without_password]
        path = path_of(namespace, ("workloads", name))
        if not read:
            if workload.database_role:
                yield Mistake(
                    f"{path}.databaseRole",
                    "databaseRole is set, but the workload reads no login with authentication: iam",
                    "It would be ignored",
                    "Remove it",
                )
            continue
        if stack_file.update_role:
            yield Mistake(
                path,
                f"it reads {', '.join(read)} with authentication: iam, and the stack has updateRole",
                "The permissions boundary of a pipeline's roles denies rds-db:connect",
                "Put the database and its workloads into a stack that an administrator updates",
            )
        reason = _reason(workload)
        if reason:
            yield Mistake(
                path,
                f"it reads {', '.join(read)} with authentication: iam, and {reason}",
                "The application could not log in to the database",
                "Set databaseRole: NAME to the application's own role in this account, such as the task role",
            )


def _reason(workload: Workload) -> str | None:
    """Return why the role that reads the secrets is not the application's own; None if it is."""
    if workload.database_role:
        return None
    if workload.ecs:
        return "the task execution role reads it, not the application"
    if workload.kubernetes and workload.kubernetes.operator_role:
        return "the operator's role reads it, not the pod"
    if workload.role and workload.role.startswith("arn:"):
        return "its role is in another account"
    return None
