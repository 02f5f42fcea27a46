"""The secrets that a stack rehearses on a schedule, and what their logins must be able to use."""

from program.desired import Desired, DesiredSecret
from stack_file.databases import UNCHANGED


def rehearsed(desired: Desired) -> list[str]:
    """Return the names of the secrets that are rehearsed on a schedule; the stack's functions rotate them."""
    if desired.stack_file.rehearsal is None:
        return []
    return [
        name
        for name, secret in desired.secrets.items()
        if secret.schedule is not None and secret.rotated_by == "stack"
    ]


def schemas_of(secret: DesiredSecret, desired: Desired) -> tuple[str, ...]:
    """Return the schemas that a deployment grants to the login; none where somebody else grants."""
    login, database = secret.login, desired.databases.get(secret.database or "")
    if login is None or database is None or database.declared.engine != "postgres":
        return ()
    if login.grants == UNCHANGED or login.grant_statements:
        return ()
    # without an administrator, nothing is granted unless the stack file says so
    is_granted = login.grants is not None or database.administrator != "none"
    return tuple(login.schemas) if is_granted else ()
