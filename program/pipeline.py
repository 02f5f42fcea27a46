"""The roles of a pipeline that previews and updates other stacks of this program."""

from collections.abc import Mapping

import pulumi

from components.pipeline_scope import PipelineScope
from components.preview_access import PreviewAccess, PreviewAccessArgs
from components.update_access import UpdateAccess, UpdateAccessArgs
from program.making import Account, key_alias
from settings.pipeline import Pipeline


def declare(declared: Pipeline, account: Account, tags: Mapping[str, str]) -> dict[str, object]:
    """Both roles and the boundary; what the stack says of them."""
    scope = PipelineScope(
        account_id=account.account_id,
        partition=account.partition,
        region=account.region,
        repository=declared.repository,
        oidc_provider_arn=declared.oidc_provider_arn,
        project=pulumi.get_project(),
        stacks=declared.stacks,
        secret_prefixes=declared.secret_prefixes,
        rds_instances=declared.databases.rds_instances,
        aurora_clusters=declared.databases.aurora_clusters,
        admin_secret_arns=declared.databases.admin_secret_arns,
        eks_clusters=declared.eks_clusters,
        state_bucket_arn=declared.state.bucket_arn,
        state_key_arns=declared.state.key_arns,
    )
    preview = PreviewAccess("preview", PreviewAccessArgs(scope=scope, tags=tags))
    update = UpdateAccess(
        "update",
        UpdateAccessArgs(
            scope=scope,
            environment=declared.environment,
            key_aliases=[key_alias(scope.project, stack) for stack in declared.stacks],
            protected_role_arns=[preview.role_arn],
            tags=tags,
        ),
    )
    return {
        "previewRoleArn": preview.role_arn,
        "updateRoleArn": update.role_arn,
        "permissionsBoundaryArn": update.boundary_arn,
    }
