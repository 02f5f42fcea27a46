"""The role with which a pipeline previews pull requests; it reads no secret value and changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import tokens
from .pipeline_scope import PipelineScope, Statement, allow, lookups, read_state
from .policies import READ_METADATA, document


@dataclass(frozen=True, kw_only=True)
class PreviewAccessArgs:
    """Arguments of preview access.

    Attributes:
        scope: the repository and its stacks.
        key_aliases: aliases of the stacks' KMS keys, without the leading `alias/`. Default: none.
        tags: tags of the role. Default: none.
    """

    scope: PipelineScope
    key_aliases: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def _live(scope: PipelineScope, key_aliases: Sequence[str]) -> Iterator[Statement]:
    """Yield the statements for comparing with AWS: metadata of the stacks' secrets and keys."""
    yield allow("SeeWhatWasEditedInAws", READ_METADATA, scope.secrets)
    if key_aliases:  # a key's ARN is not known before it exists
        aliases = {"kms:ResourceAliases": [f"alias/{alias}" for alias in key_aliases]}
        keys = scope.arns("kms", ["key/*"])
        yield allow("SeeWhetherKeysWork", ["kms:DescribeKey"], keys, **{"ForAnyValue:StringEquals": aliases})


def _permissions(scope: PipelineScope, key_aliases: Sequence[str]) -> str:
    return document(
        *lookups(scope),
        *_live(scope, key_aliases),
        *read_state(scope),
        {
            "Sid": "ReadNoValue",  # whatever another policy of this role or of a secret grants
            "Effect": "Deny",
            "Action": ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"],
            "Resource": "*",
        },
    )


class PreviewAccess(pulumi.ComponentResource):
    """A role that only workflows of the repository's pull requests may assume, not those of forks.

    Attributes:
        role_arn: ARN of the role.
    """

    role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: PreviewAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(tokens.PREVIEW_ACCESS, name, None, opts)
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
            policy=_permissions(args.scope, args.key_aliases),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.role_arn = role.arn
        self.register_outputs({"roleArn": self.role_arn})
