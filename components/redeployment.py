"""Deploys an ECS service again when a secret that it reads has a new current version.

A Lambda function rather than a state machine of Step Functions: both cost as many resources, and EventBridge
delivers at least once, so somebody has to look whether the deployment has begun already, which is a page of
tested Python here. A function for each service, because a shared one would need a role for them all.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import function_parts
from components.function_parts import FunctionSettings
from components.policies import document, log_writing

_RUNTIME = "python3.13"
_MEMORY_MEGABYTES = 128
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class EcsRedeploymentArgs:
    """What is redeployed, and by which secrets.

    Attributes:
        common: what it has in common with the stack's other functions.
        cluster, service: names in ECS.
        secret_arns: full ARNs of the secrets.
        after: what must exist before: the secrets' first values, which call for no deployment.
        code: the function's archive.
        handler: the function's entry in it, as Lambda names it.
    """

    common: FunctionSettings
    cluster: str
    service: str
    secret_arns: Sequence[pulumi.Input[str]]
    after: Sequence[pulumi.Resource] = ()
    code: pulumi.Archive
    handler: str


def event_pattern(secret_arns: Sequence[str]) -> str:
    """What EventBridge is to look for: AWSCURRENT moved, in one of these secrets.

    Source: AWS Secrets Manager User Guide, "Secret Label Updated event".
    """
    return json.dumps(
        {
            "source": ["aws.secretsmanager"],
            "detail-type": ["Secret Label Updated"],
            "resources": sorted(set(secret_arns)),
            "detail": {"labelUpdated": ["AWSCURRENT"]},
        },
        separators=(",", ":"),  # EventBridge counts characters
    )


def _permissions(args: EcsRedeploymentArgs, log_group_arn: str) -> str:
    # this form of the ARN names the cluster: a condition on ecs:cluster would say it once more
    service = args.common.arn("ecs", f"service/{args.cluster}/{args.service}")
    redeploy = {
        "Sid": "RedeployThisService",
        "Effect": "Allow",
        "Action": ["ecs:DescribeServices", "ecs:UpdateService"],
        "Resource": service,
    }
    return document(redeploy, log_writing(log_group_arn))


class EcsRedeployment(pulumi.ComponentResource):
    """A rule of EventBridge, and the function that it calls.

    Attributes:
        function_name: the function's name.
        log_group_name: where its log is.
    """

    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: EcsRedeploymentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # for previews: the role's policy is not known before the log group is made
        reads: dict[str, list[str]] = {"reads": []}
        super().__init__("aws-secrets:index:EcsRedeployment", name, reads, opts)
        tags = dict(args.common.tags) or None
        about = f"Deploys the ECS service {args.service} again when a secret that it reads changes"
        log_group = function_parts.log_group(name, args.common, self)
        role, policy = function_parts.execution_role(
            name, args.common, about, [log_group.arn.apply(lambda arn: _permissions(args, arn))], self
        )
        function = aws.lambda_.Function(
            f"{name}-function",
            description=about,
            code=args.code,
            handler=args.handler,
            runtime=_RUNTIME,
            architectures=[args.common.architecture],
            memory_size=_MEMORY_MEGABYTES,
            timeout=_TIMEOUT_SECONDS,
            # one at a time: the second of two that are delivered together sees the first one's deployment
            reserved_concurrent_executions=1,
            role=role.arn,
            environment=aws.lambda_.FunctionEnvironmentArgs(
                variables={"ECS_CLUSTER": args.cluster, "ECS_SERVICE": args.service}
            ),
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=log_group.name),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            description=about,
            event_pattern=pulumi.Output.all(*args.secret_arns).apply(event_pattern),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        permission = aws.lambda_.Permission(
            f"{name}-permission",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="events.amazonaws.com",
            # which names the account too: EventBridge does not tell Lambda the account by itself, and a
            # permission that asked for it would never let it in
            source_arn=rule.arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            arn=function.arn,
            # the rule does nothing before: what it is not allowed to call it does not call again
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission, *args.after]),
        )
        function_parts.error_alarm(
            name,
            args.common,
            function,
            "A service was not redeployed and keeps an old value. The function's log has the reason.",
            self,
        )
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.register_outputs({"functionName": self.function_name, "logGroupName": self.log_group_name})
