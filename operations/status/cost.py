"""The monthly list price of what a stack has in AWS.

Sources: the pricing pages of AWS Secrets Manager (a secret, and each of its replicas), AWS Key Management
Service (a key that a customer manages), and Amazon CloudWatch (an alarm of standard resolution), for
US East (N. Virginia).
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from operations.status.aws import AwsSecret, Denied, KmsKey
from operations.status.declared import DeclaredSecret
from operations.status.model import Cost, Function
from program.desired import Desired
from program.rehearsed import rehearsed

PRICE_LIST = date(2025, 11, 1)
SECRET = Decimal("0.40")
KEY = Decimal("1.00")
ALARM = Decimal("0.10")
BASIS = "list price, us-east-1, without free tier"
NOT_COUNTED = "API calls, Lambda and logs (usually cents), key material that KMS has rotated"


def cost_of(
    desired: Desired,
    declared: Iterable[DeclaredSecret],
    found: Mapping[str, AwsSecret],
    stack_key: KmsKey | Denied | None,
    rotating: Iterable[Function],
) -> Cost:
    """Return the price of what exists; what a permission hides is taken to be as declared.

    Args:
        desired: the stack.
        declared: its secrets.
        found: secrets by name.
        stack_key: the stack's KMS key; None if it has none.
        rotating: the functions that rotate its secrets.
    """
    secrets = replicas = 0
    for one in declared:
        described = found[one.name].described
        if isinstance(described, Mapping) and not described.get("DeletedDate"):
            secrets += 1
            replicas += len(described.get("ReplicationStatus") or ())
        elif isinstance(described, Denied):
            secrets, replicas = secrets + 1, replicas + len(one.replicas)
    keys = int(_is_charged(stack_key))
    alarms = _alarms(desired, rotating)
    total = SECRET * (secrets + replicas) + KEY * keys + ALARM * alarms
    return Cost(
        monthly_usd=float(total),
        secrets=secrets,
        replicas=replicas,
        keys=keys,
        alarms=alarms,
        price_list=PRICE_LIST,
        basis=BASIS,
        not_counted=NOT_COUNTED,
    )


def _is_charged(key: KmsKey | Denied | None) -> bool:
    """Return whether KMS charges a key: also while it is disabled, but not once its deletion is scheduled."""
    return isinstance(key, Denied) or (
        key is not None and key.state not in {"does not exist", "PendingDeletion"}
    )


def _alarms(desired: Desired, rotating: Iterable[Function]) -> int:
    """Return the number of alarms of the stack's functions: one for each function."""
    own = {secret.function_arn for secret in desired.secrets.values()}
    redeploying = [
        workload for workload in desired.workloads.values() if workload.declared.automatic_redeploy
    ]
    return (
        sum(function.alarm is not None and function.arn not in own for function in rotating)
        + len(redeploying)
        + sum(secret.renamed_from is not None for secret in desired.secrets.values())
        + bool(desired.written_secrets)
        + (desired.stack_file.notices is not None)
        + bool(rehearsed(desired))
    )
