"""Carry out a restore: in AWS, then in the state, with the preview that proves it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.adopt import adoption
from operations.adopt.aws_objects import live_secrets
from operations.restore.plan import Plan, Refusal, Target, entry_of
from operations.status.aws import AwsSession
from operations.status.errors import QueryError, query_error

_RESTORE = "secretsmanager:RestoreSecret"
# DescribeSecret may show the deletion date for a moment after RestoreSecret.
_LONGEST_WAIT, _PAUSE = 30, 0.5  # seconds

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a restore.

    Attributes:
        restored: whether the secret was scheduled for deletion until now.
        added: whether the state got it back.
        changes: what the next update does with it, each a sentence.
        others: what it does besides, by operation.
    """

    restored: bool
    added: bool
    changes: Sequence[str] = ()
    others: Mapping[str, int] = field(default_factory=dict)


def restore(made: Plan, target: Target, tell: Tell) -> Outcome:
    """Carry out a plan; see the package's documentation for the order and why.

    Raises:
        Refusal: the state could not get the secret back, and is as it was; AWS has the secret.
        QueryError: AWS rejected a call.
        OperationError: the engine failed.
    """
    stack, engine, aws = target.stack, target.engine, target.aws
    if made.deleted is not None:
        _restore_in_aws(made.arn, aws)
        tell(f"{made.name} is restored in AWS.")
    live = live_secrets(aws, target.caller, [made.arn], read_keys=False)[made.arn]
    returning = adoption.Plan(entries=[entry_of(live, stack)], left_out={})
    outcome = adoption.carry_out(returning, engine, aws, tell)
    if outcome.left_out:
        lost = f"could not be added to the state of stack {engine.name}, which is as it was: "
        raise Refusal(
            f"{made.name} is in AWS, but {'' if made.in_state else lost}"
            f"{outcome.left_out.get(made.name, '')}. Correct that, then run this command again."
        )
    return Outcome(
        restored=made.deleted is not None,
        added=made.name not in outcome.before,
        changes=outcome.changes,
        others=outcome.others,
    )


def check_restored(made: Plan, target: Target) -> None:
    """Check that an update keeps a secret that AWS and the state have: a killed run may not have proven it.

    Raises:
        Refusal: an update would replace it.
        OperationError: the engine failed.
    """
    engine = target.engine
    if words := adoption.replaced(adoption.previewed(engine), [made.name]).get(made.name):
        raise Refusal(
            f"{made.name} is in AWS and in the state of stack {engine.name}, but an update would {words}. "
            "Do not update the stack: correct its entry, or take it out of the state (pulumi state delete), "
            "then run this command again."
        )


def _restore_in_aws(arn: str, aws: AwsSession) -> None:
    client = aws.client("secretsmanager")
    try:
        client.restore_secret(SecretId=arn)
        _wait(client, arn)
    except (BotoCoreError, ClientError) as error:
        raise query_error(error, _RESTORE) from None


def _wait(client: Any, arn: str) -> None:  # noqa: ANN401  boto3 is untyped
    deadline = time.monotonic() + _LONGEST_WAIT
    while client.describe_secret(SecretId=arn).get("DeletedDate"):
        if time.monotonic() > deadline:
            raise QueryError(
                "AWS accepted RestoreSecret, but still shows the secret as scheduled for deletion. Run this "
                "command again in a minute."
            )
        time.sleep(_PAUSE)
