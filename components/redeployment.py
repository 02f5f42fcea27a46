"""Redeploy an ECS service when a secret that it reads has a new current version.

A Lambda function rather than a Step Functions state machine: both need as many resources, and EventBridge
delivers at least once, so something must check whether the deployment has started already, which is a page
of tested Python here. Each service has its own function, because a shared one would need a role for all.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import function_parts, tokens
from .archives import redeployment_code
from .checks import check_plain_text, check_strings
from .function_parts import FunctionCode, FunctionSettings
from .lambdas.build import REDEPLOY_HANDLER
from .lambdas.common import labels
from .policies import document, log_writing

_MEMORY_MEGABYTES = 128
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class EcsRedeploymentArgs:
    """Arguments of a redeployment.

    Attributes:
        common: settings shared with the program's other functions. Default: FunctionSettings(), with the
            account and region of the program's default provider.
        cluster: name of the ECS cluster.
        service: name of the ECS service.
        secret_arns: full ARNs of the secrets.
        after: what must exist first: the secrets' initial values, which need no deployment. Default: nothing.
        code: the function's code. Default: this package's.
        handler: entry point in the code. Default: that of the default code.

    Raises:
        ArgumentError: a name is empty, or secret_arns is not a list.
    """

    common: FunctionSettings = field(default_factory=FunctionSettings)
    cluster: str
    service: str
    secret_arns: Sequence[pulumi.Input[str]]
    after: Sequence[pulumi.Resource] = ()
    code: pulumi.Archive = field(default_factory=redeployment_code)
    handler: str = REDEPLOY_HANDLER

    def __post_init__(self) -> None:
        check_plain_text("EcsRedeployment", "cluster", self.cluster)
        check_plain_text("EcsRedeployment", "service", self.service)
        check_strings("EcsRedeployment", "secret_arns", self.secret_arns)


def event_pattern(secret_arns: Sequence[str]) -> str:
    """Return the event pattern: AWSCURRENT moved in one of these secrets.

    Source: AWS Secrets Manager User Guide, "Secret Label Updated event".
    """
    return json.dumps(
        {
            "source": ["aws.secretsmanager"],
            "detail-type": ["Secret Label Updated"],
            "resources": sorted(set(secret_arns)),
            "detail": {"labelUpdated": [labels.CURRENT]},
        },
        separators=(",", ":"),  # EventBridge counts characters
    )


def _permissions(args: EcsRedeploymentArgs, log_group_arn: str) -> str:
    # this form of the ARN names the cluster, so a condition on ecs:cluster would add nothing
    service = args.common.arn("ecs", f"service/{args.cluster}/{args.service}")
    redeploy = {
        "Sid": "RedeployThisService",
        "Effect": "Allow",
        "Action": ["ecs:DescribeServices", "ecs:UpdateService"],
        "Resource": service,
    }
    return document(redeploy, log_writing(log_group_arn))


class EcsRedeployment(pulumi.ComponentResource):
    """An EventBridge rule, and the function that it invokes.

    Attributes:
        function_name: name of the function.
        log_group_name: name of its log group.
    """

    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: EcsRedeploymentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # for reports on previews: the role's policy is not known before the log group exists
        reads: dict[str, list[str]] = {"reads": []}
        super().__init__(tokens.ECS_REDEPLOYMENT, name, reads, opts)
        tags = dict(args.common.tags) or None
        about = f"Deploys the ECS service {args.service} again when a secret that it reads changes"
        function, log_group = function_parts.python_function(
            name,
            args.common,
            FunctionCode(
                about=about,
                failure="A service was not redeployed and keeps an old value. "
                "The function's log has the reason.",
                archive=args.code,
                handler=args.handler,
                memory_megabytes=_MEMORY_MEGABYTES,
                timeout_seconds=_TIMEOUT_SECONDS,
                # one at a time: the second of two simultaneous events sees the deployment of the first
                concurrency=1,
                variables={"ECS_CLUSTER": args.cluster, "ECS_SERVICE": args.service},
            ),
            lambda log_group_arn: [log_group_arn.apply(lambda arn: _permissions(args, arn))],
            self,
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            description=about,
            event_pattern=pulumi.Output.all(*args.secret_arns).apply(event_pattern),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        function_parts.invoke_by_rule(name, rule, function, self, args.after)
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.register_outputs({"functionName": self.function_name, "logGroupName": self.log_group_name})
