"""The parts of every Lambda function: its role, its log group, and an alarm on its errors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import pulumi
import pulumi_aws as aws

from .account import look_up_account_id, look_up_partition, look_up_region
from .checks import ArgumentError, check_choice, is_later
from .policies import function_trust, key_arn, uses_of_keys
from .role_policies import put_policies

Architecture: TypeAlias = Literal["arm64", "x86_64"]

# Source: Amazon CloudWatch Logs API Reference, PutRetentionPolicy; 0 never deletes.
_RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922),
    *(3288, 3653),
)
# Source: AWS Secrets Manager User Guide, "Permissions for rotation".
WRITE_VERSIONS = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
]
_RUNTIME = "python3.13"
_ALARM_PERIOD_SECONDS = 300
_RETRY_PERIOD_SECONDS = 60  # Lambda retries after one and two minutes
_LOG_GROUP_SUFFIX = "x" * 26  # the provider adds as many characters to a prefix
# pulumi_aws loads a module when it is first used: its types are quoted, so a stack loads only what it needs


@dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """Settings that a program's Lambda functions share.

    Attributes:
        account_id: account of the functions. Default: that of the program's default provider.
        partition: partition of that account. Default: that of the program's default provider.
        region: region of the functions. Default: that of the program's default provider.
        architecture: processor, arm64 or x86_64. Default: arm64.
        log_retention_days: days for which CloudWatch keeps their logs. Default: 90.
        alarm_topic_arn: SNS topic that is notified of errors. Default: none; the alarm only shows.
        tags: tags of their resources. Default: none.
        permissions_boundary: ARN of the permissions boundary of their roles. Default: none.
        log_group_prefix: prefix of the names of their log groups. Default: `/aws/lambda/`.

    Raises:
        ArgumentError: CloudWatch or Lambda accepts no such value.
    """

    account_id: str = field(default_factory=look_up_account_id)
    partition: str = field(default_factory=look_up_partition)
    region: str = field(default_factory=look_up_region)
    architecture: Architecture = "arm64"
    log_retention_days: int = 90
    alarm_topic_arn: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    permissions_boundary: str | None = None
    log_group_prefix: str = "/aws/lambda/"

    def __post_init__(self) -> None:
        check_choice("FunctionSettings", "architecture", self.architecture, get_args(Architecture))
        if self.log_retention_days not in _RETENTION_DAYS:
            raise ArgumentError(
                f"FunctionSettings: CloudWatch keeps no log for {self.log_retention_days!r} days: use one of "
                f"{', '.join(str(days) for days in _RETENTION_DAYS)}"
            )

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def key_arn(self, key: pulumi.Input[str]) -> pulumi.Input[str] | None:
        """Return the ARN of a key that is given by ARN, ID or alias; None for AWS's own."""
        place = {"partition": self.partition, "region": self.region, "account_id": self.account_id}
        if is_later(key):
            # an Output is a key of the program's own: AWS's has no resource
            return pulumi.Output.from_input(key).apply(lambda known: key_arn(known, **place) or known)
        return key_arn(str(key), **place)

    def writing_of_secrets(self, sid: str, names: Sequence[str]) -> list[dict[str, object]]:
        """Return the statement that allows new versions of these secrets, by their names in AWS, if any."""
        # AWS adds "-" and six characters to the name: each of these is one secret, which may not exist yet
        arns = [self.arn("secretsmanager", f"secret:{name}-??????") for name in sorted(set(names))]
        statement: dict[str, object] = {
            "Sid": sid,
            "Effect": "Allow",
            "Action": WRITE_VERSIONS,
            "Resource": arns,
        }
        return [statement] if names else []

    def use_of_keys(self, kms_key_arns: Iterable[str]) -> list[dict[str, object]]:
        """Return the statements that allow the keys that encrypt what a function writes."""
        actions = ["kms:Decrypt", "kms:GenerateDataKey"]
        return uses_of_keys("UseKey{}ThroughSecretsManager", kms_key_arns, self.region, actions)


@dataclass(frozen=True, kw_only=True)
class Grants:
    """The secrets and keys that a function's role may use, in a fixed order.

    Attributes:
        secret_names: names in AWS of the secrets that it may write.
        admin_secret_arns: ARNs of the secrets that it may only read. Default: none.
        kms_key_arns: ARNs of the keys or aliases that encrypt all these. Default: none.
        cache_arns: ARNs of cache users and replication groups that it may change. Default: none.
        smtp_user_arns: ARNs of IAM users whose access keys it may replace. Default: none.
    """

    secret_names: Sequence[str]
    admin_secret_arns: Sequence[str] = ()
    kms_key_arns: Sequence[str] = ()
    cache_arns: Sequence[str] = ()
    smtp_user_arns: Sequence[str] = ()

    def __len__(self) -> int:
        """Return the number of all secrets, keys, caches and users."""
        secrets = len(self.secret_names) + len(self.admin_secret_arns)
        return secrets + len(self.kms_key_arns) + len(self.cache_arns) + len(self.smtp_user_arns)

    def part(self, places: range) -> "Grants":
        """Return those at these positions, counted through all lists."""
        names, admins = len(self.secret_names), len(self.admin_secret_arns)
        keys = len(self.kms_key_arns)

        def of(items: Sequence[str], before: int) -> Sequence[str]:
            return items[max(places.start - before, 0) : max(places.stop - before, 0)]

        return Grants(
            secret_names=of(self.secret_names, 0),
            admin_secret_arns=of(self.admin_secret_arns, names),
            kms_key_arns=of(self.kms_key_arns, names + admins),
            cache_arns=of(self.cache_arns, names + admins + keys),
            smtp_user_arns=of(self.smtp_user_arns, names + admins + keys + len(self.cache_arns)),
        )


def log_group_arn_for_size(name: str, settings: FunctionSettings) -> str:
    """Return an ARN of the same length as that of the log group that `log_group` declares."""
    return settings.arn("logs", f"log-group:{settings.log_group_prefix}{name}-{_LOG_GROUP_SUFFIX}")


def log_group(
    name: str, settings: FunctionSettings, parent: pulumi.Resource, own_name: str | None = None
) -> "aws.cloudwatch.LogGroup":
    """Declare the log group of the function of the component `name`."""
    return aws.cloudwatch.LogGroup(
        f"{name}-log-group",
        name=own_name,
        name_prefix=None if own_name else f"{settings.log_group_prefix}{name}-",
        retention_in_days=settings.log_retention_days,
        tags=dict(settings.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )


@dataclass(frozen=True, kw_only=True)
class FunctionCode:
    """The code of a function and its settings.

    Attributes:
        about: description of the function and its role.
        failure: description of its error alarm.
        archive: the code.
        handler: its entry point.
        memory_megabytes, timeout_seconds: limits of one invocation.
        concurrency: how many run at a time. Default: as many as the account allows.
        variables: environment variables. Default: none.
        vpc_config: its network. Default: outside any VPC.
        log_group_name: name of its log group. Default: a prefix, which the provider completes.
        keeps_alarm: whether the alarm keeps its state until the function runs again, as for one whose last
            result counts; otherwise it ends some minutes after the last error. Default: False.
    """

    about: str
    failure: str
    archive: pulumi.Input[pulumi.Archive]
    handler: str
    memory_megabytes: int
    timeout_seconds: int
    concurrency: int | None = None
    variables: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    vpc_config: "aws.lambda_.FunctionVpcConfigArgs | None" = None
    log_group_name: str | None = None
    keeps_alarm: bool = False


def python_function(
    name: str,
    settings: FunctionSettings,
    code: FunctionCode,
    documents: Callable[[pulumi.Output[str]], Sequence[pulumi.Input[str]]],
    parent: pulumi.Resource,
) -> tuple["aws.lambda_.Function", "aws.cloudwatch.LogGroup"]:
    """Declare a Lambda function with its log group, execution role, and error alarm.

    Args:
        name: the component's.
        settings: the functions' settings.
        code: what it runs.
        documents: returns the role's policy documents, given the log group's ARN: the inline policy, then
            managed ones.
        parent: the component.
    """
    tags = dict(settings.tags) or None
    logs = log_group(name, settings, parent, code.log_group_name)
    role, policy = _execution_role(name, settings, code.about, documents(logs.arn), parent)
    variables = code.variables
    function = aws.lambda_.Function(
        f"{name}-function",
        description=code.about,
        code=code.archive,
        handler=code.handler,
        runtime=_RUNTIME,
        architectures=[settings.architecture],
        memory_size=code.memory_megabytes,
        timeout=code.timeout_seconds,
        reserved_concurrent_executions=code.concurrency,
        role=role.arn,
        environment=aws.lambda_.FunctionEnvironmentArgs(variables=variables) if variables else None,
        logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=logs.name),
        vpc_config=code.vpc_config,
        tags=tags,
        # without its permissions, Lambda could not attach it to a network, and its first run would fail
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
    _error_alarm(name, settings, function, code, parent)
    return function, logs


def invoke_by_rule(
    name: str,
    rule: "aws.cloudwatch.EventRule",
    function: "aws.lambda_.Function",
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource] = (),
) -> None:
    """Have an EventBridge rule invoke the function of the component `name`.

    Args:
        name: the component's logical name.
        rule: the rule.
        function: the function.
        parent: the component.
        after: what must exist before the first event. Default: nothing else.
    """
    permission = aws.lambda_.Permission(
        f"{name}-permission",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="events.amazonaws.com",
        # it includes the account: EventBridge does not send Lambda the account separately, so source_account
        # would deny every invocation
        source_arn=rule.arn,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        f"{name}-target",
        rule=rule.name,
        arn=function.arn,
        # the rule does not retry an invocation that is denied
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[permission, *after]),
    )


def _execution_role(
    name: str,
    settings: FunctionSettings,
    about: str,
    documents: Sequence[pulumi.Input[str]],
    parent: pulumi.Resource,
) -> tuple["aws.iam.Role", "aws.iam.RolePolicy"]:
    """Declare the execution role of the function of the component `name`.

    Args:
        name: the component's.
        settings: the functions' settings.
        about: description of the role.
        documents: policy documents: the inline policy, then managed ones.
        parent: the component.

    Returns:
        The role, and the last of its policies.
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


def _error_alarm(
    name: str,
    settings: FunctionSettings,
    function: "aws.lambda_.Function",
    code: FunctionCode,
    parent: pulumi.Resource,
) -> None:
    """Declare an alarm on any error of the function."""
    aws.cloudwatch.MetricAlarm(
        f"{name}-alarm",
        alarm_description=code.failure,
        namespace="AWS/Lambda",
        metric_name="Errors",
        dimensions={"FunctionName": function.name},
        statistic="Sum",
        # a retry that succeeds must be in a period of its own, because no later one follows for days
        period=_RETRY_PERIOD_SECONDS if code.keeps_alarm else _ALARM_PERIOD_SECONDS,
        evaluation_periods=1,
        comparison_operator="GreaterThanThreshold",
        threshold=0,
        treat_missing_data="ignore" if code.keeps_alarm else "notBreaching",
        alarm_actions=[settings.alarm_topic_arn] if settings.alarm_topic_arn else None,
        tags=dict(settings.tags) or None,
        opts=pulumi.ResourceOptions(parent=parent),
    )
