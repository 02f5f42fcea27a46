"""What every Lambda function has beside itself: its role, its log group, and an alarm on its errors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.policies import function_trust, uses_of_keys

# Source: AWS Secrets Manager User Guide, "Permissions for rotation".
WRITE_VERSIONS = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
]
_ALARM_PERIOD_SECONDS = 300
# pulumi_aws loads its parts when they are named: types of it are quoted, so that a stack pays for what it has


@dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """What all functions of a stack have in common.

    Attributes:
        account_id: of the account that they are made in.
        partition: of that account.
        region: where they run.
        architecture: of the processor.
        log_retention_days: as CloudWatch takes it.
        alarm_topic_arn: SNS topic that is told of a failure; without one the alarm only shows itself.
        tags: of all that has tags.
        permissions_boundary: ARN of the policy that bounds their roles.
        log_group_prefix: what the names of their log groups begin with, before the component's.
    """

    account_id: str
    partition: str
    region: str
    architecture: Literal["arm64", "x86_64"] = "arm64"
    log_retention_days: int = 90
    alarm_topic_arn: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    permissions_boundary: str | None = None
    log_group_prefix: str = "/aws/lambda/"

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def writing_of_secrets(self, sid: str, names: Iterable[str]) -> dict[str, object]:
        """A statement that allows a function new versions of the secrets with these names in AWS."""
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Action": WRITE_VERSIONS,
            # AWS adds "-" and six characters to the name: each of these is one secret, made or not
            "Resource": [self.arn("secretsmanager", f"secret:{name}-??????") for name in sorted(set(names))],
        }

    def use_of_keys(self, kms_key_ids: Iterable[str]) -> list[dict[str, object]]:
        """Statements that allow a function the keys which encrypt what it writes."""
        actions = ["kms:Decrypt", "kms:GenerateDataKey"]
        return uses_of_keys("UseKey{}ThroughSecretsManager", kms_key_ids, self.region, actions)


def log_group(name: str, settings: FunctionSettings, parent: pulumi.Resource) -> "aws.cloudwatch.LogGroup":
    """Where the function of the component `name` writes."""
    return aws.cloudwatch.LogGroup(
        f"{name}-log-group",
        name_prefix=f"{settings.log_group_prefix}{name}-",
        retention_in_days=settings.log_retention_days,
        tags=dict(settings.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def execution_role(
    name: str, settings: FunctionSettings, about: str, permissions: pulumi.Input[str], parent: pulumi.Resource
) -> tuple["aws.iam.Role", "aws.iam.RolePolicy"]:
    """The role that the function of the component `name` runs with, and the policy that says what it may."""
    role = aws.iam.Role(
        f"{name}-role",
        description=about,
        assume_role_policy=function_trust(settings.account_id),
        permissions_boundary=settings.permissions_boundary,
        tags=dict(settings.tags) or None,
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
    name: str,
    settings: FunctionSettings,
    function: "aws.lambda_.Function",
    description: str,
    parent: pulumi.Resource,
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
        alarm_actions=[settings.alarm_topic_arn] if settings.alarm_topic_arn else None,
        tags=dict(settings.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )
