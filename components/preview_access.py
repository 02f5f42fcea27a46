"""The role with which a pipeline previews pull requests: it reads no secret value, and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.pipeline_scope import PipelineScope, lookups, read_state
from components.policies import document


@dataclass(frozen=True, kw_only=True)
class PreviewAccessArgs:
    """Who previews what.

    Attributes:
        scope: the repository and its stacks.
        tags: of the role.
    """

    scope: PipelineScope
    tags: Mapping[str, str] = field(default_factory=dict)


def _permissions(scope: PipelineScope) -> str:
    return document(
        *lookups(scope),
        *read_state(scope),
        {
            "Sid": "ReadNoValue",  # whatever other policies come to this role, or to a secret
            "Effect": "Deny",
            "Action": ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"],
            "Resource": "*",
        },
    )


class PreviewAccess(pulumi.ComponentResource):
    """A role that only workflows of the repository's pull requests may take, not those of forks.

    Attributes:
        role_arn: of the role.
    """

    role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: PreviewAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("aws-secrets:index:PreviewAccess", name, None, opts)
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Previews pull requests of {args.scope.repository}; reads no secret value",
            assume_role_policy=args.scope.trust("pull_request"),
            tags=dict(args.tags) or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=_permissions(args.scope),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.role_arn = role.arn
        self.register_outputs({"roleArn": self.role_arn})
