"""Attaches a secret to the function that rotates it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.rotation_function import RotationFunction


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When Secrets Manager rotates: one of the first two.

    Attributes:
        automatically_after_days: 1 to 1000 days after the last rotation.
        schedule_expression: `rate(10 days)` or `cron(0 8 1 * ? *)`, in UTC.
        duration: length of the rotation window, such as `3h`; AWS chooses it if left out.
        rotate_immediately: rotate now as well, whenever a rotation is attached or its schedule changes.
    """

    automatically_after_days: int | None = None
    schedule_expression: str | None = None
    duration: str | None = None
    rotate_immediately: bool = False


def rotation_rules(schedule: Schedule) -> "aws.secretsmanager.SecretRotationRotationRulesArgs":
    """Return a schedule as the provider takes it."""
    return aws.secretsmanager.SecretRotationRotationRulesArgs(
        automatically_after_days=schedule.automatically_after_days,
        schedule_expression=schedule.schedule_expression,
        duration=schedule.duration,
    )


@dataclass(frozen=True, kw_only=True)
class RotationArgs:
    """Which secret is rotated by what, and when.

    Attributes:
        secret_arn: the secret; it must have a value.
        function: ours, or the ARN of one that Secrets Manager may call.
        schedule: when.
        after: what must exist before: AWS tests the secret with the function when rotation is attached.
    """

    secret_arn: pulumi.Input[str]
    function: RotationFunction | pulumi.Input[str]
    schedule: Schedule
    after: Sequence[pulumi.Resource]


class Rotation(pulumi.ComponentResource):
    """A rotation schedule. Removing it cancels the rotation; the secret's value stays and stays valid."""

    def __init__(self, name: str, args: RotationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws-secrets:index:Rotation", name, None, opts)
        if isinstance(args.function, RotationFunction):
            function_arn, ours = args.function.arn, [args.function]
        else:
            function_arn, ours = pulumi.Output.from_input(args.function), []
        aws.secretsmanager.SecretRotation(
            f"{name}-schedule",
            secret_id=args.secret_arn,
            rotation_lambda_arn=function_arn,
            # the provider's default is true: it would rotate at every change of the schedule
            rotate_immediately=args.schedule.rotate_immediately,
            rotation_rules=rotation_rules(args.schedule),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, *ours],
            ),
        )
        self.register_outputs({})
