"""The role with which a pipeline updates stacks, and the boundary of every role that it creates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import tokens
from .permissions_boundary import boundary
from .pipeline_scope import PipelineScope
from .role_policies import put_policies
from .update_permissions import further_permissions, permissions


@dataclass(frozen=True, kw_only=True)
class UpdateAccessArgs:
    """Arguments of update access.

    Attributes:
        scope: the repository and its stacks.
        environment: GitHub environment, whose rules say which branches deploy and who approves.
        key_aliases: aliases of the stacks' KMS keys, without the leading `alias/`.
        protected_role_arns: further roles of the pipeline, which this one must never change. Default: none.
        tags: tags of the role and the boundary. Default: none.
    """

    scope: PipelineScope
    environment: str
    key_aliases: Sequence[str]
    protected_role_arns: Sequence[pulumi.Input[str]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class UpdateAccess(pulumi.ComponentResource):
    """A role that only workflows of one environment of the repository may assume.

    Roles that it creates must have the boundary, so they can do no more than stacks need: rotate and read
    the secrets whose names begin with the scope's prefixes.

    Attributes:
        role_arn: ARN of the role.
        boundary_arn: ARN of the boundary, for the stacks' setting permissionsBoundary.
    """

    role_arn: pulumi.Output[str]
    boundary_arn: pulumi.Output[str]

    def __init__(self, name: str, args: UpdateAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.UPDATE_ACCESS, name, None, opts)
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
