"""Declare the roles of a pipeline that previews and updates other stacks of this program."""

from collections.abc import Mapping, Sequence

import pulumi

from components.permissions_boundary import boundary
from components.pipeline_scope import PipelineScope
from components.preview_access import PreviewAccess, PreviewAccessArgs
from components.role_policies import MOST_INLINE, MOST_MANAGED
from components.update_access import UpdateAccess, UpdateAccessArgs
from components.update_permissions import further_permissions, permissions
from program.arns import Account, secret_arn_pattern
from program.desired import key_alias
from stack_file import Mistake, SettingsError
from stack_file.mistakes import path_of
from stack_file.pipeline import Pipeline, PipelineCaches


def declare(declared: Pipeline, account: Account, tags: Mapping[str, str]) -> dict[str, object]:
    """Declare the roles and the permissions boundary; return the stack's outputs about them.

    Raises:
        SettingsError: a policy would be larger than IAM accepts.
    """
    scope = _scope(declared, account)
    aliases = [key_alias(scope.project, stack) for stack in declared.stacks]
    _check_sizes(scope, aliases)
    preview_args = PreviewAccessArgs(scope=scope, key_aliases=aliases, tags=tags)
    preview = PreviewAccess("preview", preview_args) if declared.previews else None
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
    outputs: dict[str, object] = {
        "updateRoleArn": update.role_arn,
        "permissionsBoundaryArn": update.boundary_arn,
    }
    return {"previewRoleArn": preview.role_arn, **outputs} if preview else outputs


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
        existing_secret_arns=[secret_arn_pattern(secret, account) for secret in declared.existing_secrets],
        partner_secrets=declared.partner_secrets,
        eks_clusters=declared.eks_clusters,
        ecs_services=declared.ecs_services,
        cache_arns=_cache_arns(declared.caches, account),
        replication_groups=declared.caches.replication_groups,
        serverless_caches=declared.caches.serverless_caches,
        memorydb_clusters=declared.caches.memorydb_clusters,
        notices=declared.notices is not None,
        topic_arns=declared.notices.topic_arns if declared.notices else (),
        topic_key_arns=declared.notices.topic_key_arns if declared.notices else (),
        rehearsal=declared.rehearsal,
        state_bucket_arn=declared.state.bucket_arn,
        state_key_arns=declared.state.key_arns,
    )


def _cache_arns(caches: PipelineCaches, account: Account) -> list[str]:
    """Return the ARNs of what the stacks' functions may change."""
    elasticache = [
        *(f"user:{user}" for user in caches.users),
        *(f"usergroup:{group}" for group in caches.user_groups),
        *(f"replicationgroup:{group}" for group in caches.replication_groups),
    ]
    memorydb = [
        *(f"user/{user}" for user in caches.memorydb_users),
        *(f"acl/{acl}" for acl in caches.memorydb_acls),
    ]
    return [
        *(account.arn("elasticache", resource) for resource in elasticache),
        *(account.arn("memorydb", resource) for resource in memorydb),
    ]


def _check_sizes(scope: PipelineScope, aliases: Sequence[str]) -> None:
    """Raise an error for a policy that IAM would reject; the preview's is shorter than the update's."""
    name = f"{scope.project}-{pulumi.get_stack()}_update-boundary-1234567"
    [limit, role] = scope.arns("iam", [f"policy/{name}", f"role/{name}"], region="")
    for what, document, most in (
        (
            "the update role's inline policy",
            permissions(scope, aliases, limit, [limit, role, role]),
            MOST_INLINE,
        ),
        ("the update role's managed policy", further_permissions(scope, limit), MOST_MANAGED),
        ("the permissions boundary", boundary(scope), MOST_MANAGED),
    ):
        length = len("".join(document.split()))
        if length > most:
            raise SettingsError(
                pulumi.get_stack(),
                [
                    Mistake(
                        path_of(pulumi.get_project(), ("pipeline",)),
                        f"{what} would have {length} characters; the limit is {most}",
                        "IAM would reject it",
                        "List fewer stacks, prefixes, databases or existing secrets, and the others in a "
                        "second pipeline stack",
                    )
                ],
            )
