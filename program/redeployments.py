"""Redeploy an ECS service when a secret that it reads changes."""

from collections.abc import Iterator, Sequence

import pulumi

from components.lambdas import build
from components.redeployment import EcsRedeployment, EcsRedeploymentArgs, event_pattern
from components.secret import Secret
from program.arns import Account, secret_arn_pattern
from program.desired import Desired
from program.secret_args import SecretDefaults
from stack_file import Mistake
from stack_file.workloads import Redeploy

# Source: Amazon EventBridge User Guide, "Amazon EventBridge quotas": event pattern size.
_MAX_PATTERN = 2_048
# Lambda accepts names of 64 characters; "-redeploy-function-" and the engine's suffix take 26 of them.
_MAX_NAME = 38


def mistakes(desired: Desired, account: Account) -> Iterator[Mistake]:
    """Yield what AWS would reject in `redeploy`."""
    longest = _MAX_NAME - len(desired.name_prefix)
    for name, workload in desired.workloads.items():
        if not (workload.declared.ecs and workload.declared.ecs.redeploy):
            continue
        path = desired.path("workloads", name, "ecs", "redeploy")
        if workload.cross_account_role(account) is not None:
            yield Mistake(
                path,
                "the workload's role is in another account, and so is its service",
                "It cannot be redeployed from this account",
                "Remove redeploy",
            )
        if workload.declared.automatic_redeploy is None:
            continue
        if len(name) > longest:
            yield Mistake(
                path,
                f"the workload's name has {len(name)} characters",
                "Its function's name would be longer than Lambda accepts",
                f"Use at most {longest} characters",
            )
        references = [*workload.declared.secrets, *workload.existing_secrets]
        arns = [secret_arn_pattern(reference, account) for reference in references]
        elsewhere = [arn for arn in arns if not account.owns(arn)]
        if elsewhere:
            yield Mistake(
                path,
                f"it reads {elsewhere[0]}, a secret of another account",
                "EventBridge has no events about it here, and tasks would keep the old value",
                "Remove redeploy, or copy the secret into this account",
            )
        length = len(event_pattern(arns))
        if length > _MAX_PATTERN:
            yield Mistake(
                path,
                f"the event pattern for its {len(arns)} secrets has {length} characters",
                f"EventBridge accepts {_MAX_PATTERN} in one rule",
                "Split the workload, or put its values into fewer secrets",
            )


def declare(
    defaults: SecretDefaults,
    name: str,
    redeploy: Redeploy,
    secrets: Sequence[Secret],
    existing_arns: Sequence[str],
) -> EcsRedeployment:
    """Declare the redeployment of a workload's service.

    Args:
        defaults: what the stack's components share.
        name: the workload.
        redeploy: the service.
        secrets: the stack's secrets that it reads.
        existing_arns: full ARNs of the other secrets that it reads.
    """
    files = {path: pulumi.FileAsset(str(source)) for path, source in build.REDEPLOY_FILES.items()}
    return EcsRedeployment(
        f"{name}-redeploy",
        EcsRedeploymentArgs(
            common=defaults.function_settings(),
            cluster=redeploy.cluster,
            service=redeploy.service,
            secret_arns=[*(secret.arn for secret in secrets), *existing_arns],
            after=list(secrets),
            code=pulumi.AssetArchive(dict(files)),
            handler=build.REDEPLOY_HANDLER,
        ),
    )
