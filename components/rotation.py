"""Attach a secret to the function that rotates it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import tokens
from .checks import ArgumentError, check_number, check_text
from .rotation_function import RotationFunction

_LONGEST_DAYS = 1000
_EXPRESSION = re.compile(r"(rate|cron)\([^()]+\)")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When Secrets Manager rotates a secret; set exactly one of the first two.

    Attributes:
        automatically_after_days: days between rotations, 1 to 1000. Default: none.
        schedule_expression: `rate(10 days)` or `cron(0 8 1 * ? *)`, in UTC. Default: none.
        duration: length of the rotation window, such as `3h`. Default: AWS chooses it.
        rotate_immediately: rotate also when the rotation is attached or its schedule changes.
            Default: False.

    Raises:
        ArgumentError: neither or both are set, or AWS accepts no such value.
    """

    automatically_after_days: int | None = None
    schedule_expression: str | None = None
    duration: str | None = None
    rotate_immediately: bool = False

    def __post_init__(self) -> None:
        days, expression = self.automatically_after_days, self.schedule_expression
        if (days is None) == (expression is None):
            which = "neither" if days is None else "both"
            raise ArgumentError(
                f"Schedule: set automatically_after_days or schedule_expression, not {which}, such as "
                "Schedule(automatically_after_days=30)"
            )
        if days is not None:
            check_number("Schedule", "automatically_after_days", days, 1, _LONGEST_DAYS)
        if expression is not None and not _EXPRESSION.fullmatch(expression):
            raise ArgumentError(
                f"Schedule: {expression!r} is not a valid schedule_expression: write rate(10 days) or "
                "cron(0 8 1 * ? *)"
            )


def rotation_rules(schedule: Schedule) -> "aws.secretsmanager.SecretRotationRotationRulesArgs":
    """Return a schedule as an argument of the provider."""
    return aws.secretsmanager.SecretRotationRotationRulesArgs(
        automatically_after_days=schedule.automatically_after_days,
        schedule_expression=schedule.schedule_expression,
        duration=schedule.duration,
    )


@dataclass(frozen=True, kw_only=True)
class RotationArgs:
    """Arguments of a rotation.

    Attributes:
        secret_arn: ARN of the secret; it must have a value.
        function: our function, or the ARN of one that Secrets Manager may invoke.
        schedule: when it is rotated. Default: every 30 days.
        after: what must exist first, because AWS tests the secret with the function when the rotation is
            attached; at least the secret's value. Default: nothing.

    Raises:
        ArgumentError: the ARN or the function is empty.
    """

    secret_arn: pulumi.Input[str]
    function: RotationFunction | pulumi.Input[str]
    schedule: Schedule = field(default_factory=lambda: Schedule(automatically_after_days=30))
    after: Sequence[pulumi.Resource] = ()

    def __post_init__(self) -> None:
        check_text("Rotation", "secret_arn", self.secret_arn)
        if not isinstance(self.function, RotationFunction):
            check_text("Rotation", "function", self.function)


class Rotation(pulumi.ComponentResource):
    """A rotation schedule. Removing it cancels the rotation; the secret keeps its valid value."""

    def __init__(self, name: str, args: RotationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.ROTATION, name, None, opts)
        if isinstance(args.function, RotationFunction):
            function_arn, ours = args.function.arn, [args.function]
        else:
            function_arn, ours = pulumi.Output.from_input(args.function), []
        aws.secretsmanager.SecretRotation(
            f"{name}-schedule",
            secret_id=args.secret_arn,
            rotation_lambda_arn=function_arn,
            # the provider's default is true, which would rotate at every change of the schedule
            rotate_immediately=args.schedule.rotate_immediately,
            rotation_rules=rotation_rules(args.schedule),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, *ours],
            ),
        )
        self.register_outputs({})
