"""What every Lambda function has beside itself: its role, its log group, and an alarm on its errors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.policies import function_trust, uses_of_keys
from components.role_policies import put_policies

# Source: AWS Secrets Manager User Guide, "Permissions for rotation".
WRITE_VERSIONS = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
]
_ALARM_PERIOD_SECONDS = 300
_LOG_GROUP_SUFFIX = "x" * 26  # the provider adds as many characters to a prefix
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

    def writing_of_secrets(self, sid: str, names: Sequence[str]) -> list[dict[str, object]]:
        """The statement that allows new versions of the secrets with these names in AWS, if there are any."""
        # AWS adds "-" and six characters to the name: each of these is one secret, made or not
        arns = [self.arn("secretsmanager", f"secret:{name}-??????") for name in sorted(set(names))]
        statement: dict[str, object] = {
            "Sid": sid,
            "Effect": "Allow",
            "Action": WRITE_VERSIONS,
            "Resource": arns,
        }
        return [statement] if names else []

    def use_of_keys(self, kms_key_ids: Iterable[str]) -> list[dict[str, object]]:
        """Statements that allow a function the keys which encrypt what it writes."""
        actions = ["kms:Decrypt", "kms:GenerateDataKey"]
        return uses_of_keys("UseKey{}ThroughSecretsManager", kms_key_ids, self.region, actions)


@dataclass(frozen=True, kw_only=True)
class Grants:
    """What the role of one function may use and that of another may not, in a fixed order.

    Attributes:
        secret_names: names in AWS of secrets that it may write.
        admin_secret_arns: secrets that it may only read.
        kms_key_ids: ARNs of keys or aliases that encrypt those secrets.
    """

    secret_names: Sequence[str]
    admin_secret_arns: Sequence[str] = ()
    kms_key_ids: Sequence[str] = ()

    def __len__(self) -> int:
        """Return the number of all of them."""
        return len(self.secret_names) + len(self.admin_secret_arns) + len(self.kms_key_ids)

    def part(self, places: range) -> "Grants":
        """Return those at these places, counted through all three."""
        names, admins = len(self.secret_names), len(self.admin_secret_arns)

        def of(items: Sequence[str], before: int) -> Sequence[str]:
            return items[max(places.start - before, 0) : max(places.stop - before, 0)]

        return Grants(
            secret_names=of(self.secret_names, 0),
            admin_secret_arns=of(self.admin_secret_arns, names),
            kms_key_ids=of(self.kms_key_ids, names + admins),
        )


def log_group_arn_for_size(name: str, settings: FunctionSettings) -> str:
    """Return an ARN as long as that of the log group which `log_group` makes."""
    return settings.arn("logs", f"log-group:{settings.log_group_prefix}{name}-{_LOG_GROUP_SUFFIX}")


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
    name: str,
    settings: FunctionSettings,
    about: str,
    documents: Sequence[pulumi.Input[str]],
    parent: pulumi.Resource,
) -> tuple["aws.iam.Role", "aws.iam.RolePolicy"]:
    """The role that the function of the component `name` runs with, and the last of its policies.

    `documents` say what it may: the inline policy, then managed ones.
    """
    role = aws.iam.Role(
        f"{name}-role",
        description=about,
        assume_role_policy=function_trust(settings.account_id),
        permissions_boundary=settings.permissions_boundary,
        tags=dict(settings.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role, put_policies(
        name, role.name, documents, settings.tags, pulumi.ResourceOptions(parent=parent)
    )


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
