"""The role with which a pipeline updates stacks, and the boundary of every role that it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.permissions_boundary import boundary
from components.pipeline_scope import PipelineScope
from components.role_policies import put_policies
from components.update_permissions import further_permissions, permissions


@dataclass(frozen=True, kw_only=True)
class UpdateAccessArgs:
    """Who updates what.

    Attributes:
        scope: the repository and its stacks.
        environment: of the repository on GitHub; its rules say which branches and whose approval.
        key_aliases: of the stacks' KMS keys, without the leading `alias/`.
        protected_role_arns: further roles of the pipeline, which this one must never change.
        tags: of role and boundary.
    """

    scope: PipelineScope
    environment: str
    key_aliases: Sequence[str]
    protected_role_arns: Sequence[pulumi.Input[str]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class UpdateAccess(pulumi.ComponentResource):
    """A role that only workflows of one environment of the repository may take.

    A role that it makes must carry the boundary, and can so do no more than stacks need: rotate and read the
    secrets whose names begin with the scope's prefixes.

    Attributes:
        role_arn: of the role.
        boundary_arn: of the boundary; the stacks' setting permissionsBoundary.
    """

    role_arn: pulumi.Output[str]
    boundary_arn: pulumi.Output[str]

    def __init__(self, name: str, args: UpdateAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws-secrets:index:UpdateAccess", name, None, opts)
        tags = dict(args.tags) or None
        limit = aws.iam.Policy(
            f"{name}-boundary",
            description=f"The most that a role may do which the pipeline of {args.scope.repository} makes",
            policy=boundary(args.scope),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Updates stacks from {args.scope.repository}",
            assume_role_policy=args.scope.trust(f"environment:{args.environment}"),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        put_policies(
            name,
            role.name,
            [
                pulumi.Output.all(limit.arn, role.arn, *args.protected_role_arns).apply(
                    lambda known: permissions(args.scope, args.key_aliases, known[0], known)
                ),
                limit.arn.apply(lambda arn: further_permissions(args.scope, arn)),
            ],
            args.tags,
            pulumi.ResourceOptions(parent=self),
        )
        self.role_arn, self.boundary_arn = role.arn, limit.arn
        self.register_outputs({"roleArn": self.role_arn, "boundaryArn": self.boundary_arn})
