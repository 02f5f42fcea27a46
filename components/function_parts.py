"""What every Lambda function has beside itself: its role, its log group, and an alarm on its errors."""

from collections.abc import Mapping
from typing import Protocol

import pulumi
import pulumi_aws as aws

from components.policies import function_trust

_ALARM_PERIOD_SECONDS = 300
# pulumi_aws loads its parts when they are named: types of it are quoted, so that a stack pays for what it has


class WithFunction(Protocol):
    """What the arguments of a component with a function say of them."""

    @property
    def account_id(self) -> str:
        """Of the function."""

    @property
    def permissions_boundary(self) -> str | None:
        """ARN of the policy that bounds the role."""

    @property
    def log_group_prefix(self) -> str:
        """What the name of the log group begins with."""

    @property
    def log_retention_days(self) -> int:
        """As CloudWatch takes it."""

    @property
    def alarm_topic_arn(self) -> str | None:
        """SNS topic that is told of a failure; without one the alarm only shows itself."""

    @property
    def tags(self) -> Mapping[str, str]:
        """Of all of them."""


def log_group(name: str, args: WithFunction, parent: pulumi.Resource) -> "aws.cloudwatch.LogGroup":
    """Where the function of the component `name` writes."""
    return aws.cloudwatch.LogGroup(
        f"{name}-log-group",
        name_prefix=f"{args.log_group_prefix}{name}-",
        retention_in_days=args.log_retention_days,
        tags=dict(args.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def execution_role(
    name: str, args: WithFunction, about: str, permissions: pulumi.Input[str], parent: pulumi.Resource
) -> tuple["aws.iam.Role", "aws.iam.RolePolicy"]:
    """The role that the function of the component `name` runs with, and the policy that says what it may."""
    role = aws.iam.Role(
        f"{name}-role",
        description=about,
        assume_role_policy=function_trust(args.account_id),
        permissions_boundary=args.permissions_boundary,
        tags=dict(args.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    policy = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=permissions,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role, policy


def error_alarm(
    name: str, args: WithFunction, function: "aws.lambda_.Function", description: str, parent: pulumi.Resource
) -> None:
    """Goes off at any error of the function."""
    aws.cloudwatch.MetricAlarm(
        f"{name}-alarm",
        alarm_description=description,
        namespace="AWS/Lambda",
        metric_name="Errors",
        dimensions={"FunctionName": function.name},
        statistic="Sum",
        period=_ALARM_PERIOD_SECONDS,
        evaluation_periods=1,
        comparison_operator="GreaterThanThreshold",
        threshold=0,
        treat_missing_data="notBreaching",
        alarm_actions=[args.alarm_topic_arn] if args.alarm_topic_arn else None,
        tags=dict(args.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )
