"""The roles of a pipeline that previews and updates other stacks of this program."""

from collections.abc import Mapping, Sequence

import pulumi

from components.permissions_boundary import boundary
from components.pipeline_scope import PipelineScope
from components.preview_access import PreviewAccess, PreviewAccessArgs
from components.role_policies import MOST_INLINE, MOST_MANAGED
from components.update_access import UpdateAccess, UpdateAccessArgs
from components.update_permissions import further_permissions, permissions
from program.existing_secrets import arn_pattern
from program.making import Account, key_alias
from settings import Mistake, SettingsError
from settings.mistakes import path_of
from settings.pipeline import Pipeline


def declare(declared: Pipeline, account: Account, tags: Mapping[str, str]) -> dict[str, object]:
    """The roles and the boundary; what the stack says of them.

    Raises:
        SettingsError: IAM has no room for what the roles may do.
    """
    scope = _scope(declared, account)
    aliases = [key_alias(scope.project, stack) for stack in declared.stacks]
    _refuse_what_is_too_long(scope, aliases)
    seeing = PreviewAccessArgs(scope=scope, key_aliases=aliases, tags=tags)
    preview = PreviewAccess("preview", seeing) if declared.previews else None
    update = UpdateAccess(
        "update",
        UpdateAccessArgs(
            scope=scope,
            environment=declared.environment,
            key_aliases=aliases,
            protected_role_arns=[preview.role_arn] if preview else [],
            tags=tags,
        ),
    )
    said: dict[str, object] = {
        "updateRoleArn": update.role_arn,
        "permissionsBoundaryArn": update.boundary_arn,
    }
    return {"previewRoleArn": preview.role_arn, **said} if preview else said


def _scope(declared: Pipeline, account: Account) -> PipelineScope:
    return PipelineScope(
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
        master_rotation_arns=declared.databases.master_rotation_arns,
        existing_secret_arns=[arn_pattern(secret, account) for secret in declared.existing_secrets],
        partner_secrets=declared.partner_secrets,
        eks_clusters=declared.eks_clusters,
        ecs_services=declared.ecs_services,
        state_bucket_arn=declared.state.bucket_arn,
        state_key_arns=declared.state.key_arns,
    )


def _refuse_what_is_too_long(scope: PipelineScope, aliases: Sequence[str]) -> None:
    """IAM would refuse it after the first resources are made; the preview's policy is the shorter one."""
    name = f"{scope.project}-{pulumi.get_stack()}_update-boundary-1234567"
    [limit, role] = scope.arns("iam", [f"policy/{name}", f"role/{name}"], region="")
    for what, document, most in (
        (
            "the role for updates",
            permissions(scope, aliases, limit, [limit, role, role]),
            MOST_INLINE,
        ),
        ("the role for updates further", further_permissions(scope, limit), MOST_MANAGED),
        ("the boundary", boundary(scope), MOST_MANAGED),
    ):
        length = len("".join(document.split()))
        if length > most:
            raise SettingsError(
                pulumi.get_stack(),
                [
                    Mistake(
                        path_of(pulumi.get_project(), ("pipeline",)),
                        f"what {what} may do takes {length} characters, and IAM has room for {most}",
                        "IAM would refuse the policy",
                        "Name fewer stacks, prefixes, databases or existing secrets here, and the others in "
                        "another stack",
                    )
                ],
            )
