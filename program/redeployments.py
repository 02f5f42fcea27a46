"""Which ECS services are deployed again when a secret changes."""

from collections.abc import Iterator, Mapping, Sequence

import pulumi

from components.redeployment import EcsRedeployment, EcsRedeploymentArgs, event_pattern
from components.secret import Secret
from functions import build
from program.making import Account, Making, name_prefix
from settings import Mistake, StackFile
from settings.mistakes import path_of
from settings.workloads import Redeploy

# Source: Amazon EventBridge User Guide, "Amazon EventBridge quotas": event pattern size.
_MOST_CHARACTERS = 2_048
# Lambda takes names of 64 characters, of which "-redeploy-function-" and what makes it unique need 26.
_LONGEST_NAME = 38


def mistakes(declared: StackFile, account: Account, arns_of: Mapping[str, list[str]]) -> Iterator[Mistake]:
    """What AWS would refuse; `arns_of` has the ARNs, as long as they are, of what each workload reads."""
    longest = _LONGEST_NAME - len(name_prefix(declared))
    for name, workload in declared.workloads.items():
        if not (workload.ecs and workload.ecs.redeploy):
            continue
        path = path_of(pulumi.get_project(), ("workloads", name, "ecs", "redeploy"))
        role = workload.ecs.role or ""
        if role.startswith("arn:") and role.split(":")[4] != account.account_id:
            yield Mistake(
                path,
                "the workload's role is in another account, and so is its service",
                "From here it cannot be redeployed",
                "Remove redeploy",
            )
        if len(name) > longest:
            yield Mistake(
                path,
                f"the workload's name has {len(name)} characters",
                "The names of what is made for it would be longer than AWS takes",
                f"Use {longest} characters at the most",
            )
        arns = arns_of[name]
        foreign = [arn for arn in arns if arn.split(":")[4] != account.account_id]
        if foreign:
            yield Mistake(
                path,
                f"it reads {foreign[0]}, of another account",
                "EventBridge has no events of it here, and tasks would keep the old value",
                "Remove redeploy, or copy the secret into this account",
            )
        length = len(event_pattern(arns))
        if length > _MOST_CHARACTERS:
            yield Mistake(
                path,
                f"it would follow {len(arns)} secrets with {length} characters of ARNs",
                f"EventBridge takes {_MOST_CHARACTERS} for one rule",
                "Divide what the service reads among several workloads, or put it into fewer secrets",
            )


def declare(
    making: Making, name: str, redeploy: Redeploy, secrets: Sequence[Secret], existing: Sequence[str]
) -> EcsRedeployment:
    """Redeploys the service of a workload that reads these secrets, and existing ones by their ARNs."""
    files = {there: pulumi.FileAsset(str(path)) for there, path in build.REDEPLOY_FILES.items()}
    return EcsRedeployment(
        f"{name}-redeploy",
        EcsRedeploymentArgs(
            common=making.function_settings(),
            cluster=redeploy.cluster,
            service=redeploy.service,
            secret_arns=[*(secret.arn for secret in secrets), *existing],
            after=list(secrets),
            code=pulumi.AssetArchive(dict(files)),
            handler=build.REDEPLOY_HANDLER,
        ),
    )
