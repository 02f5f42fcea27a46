"""The workloads that read a stack's secrets, with their identities."""

from collections.abc import Mapping
from typing import Any

from operations.status.model import Platform, Workload
from program.arns import Account
from program.desired import Desired
from stack_file import workloads as declared


def workloads_of(desired: Desired, account: Account, outputs: Mapping[str, Any]) -> list[Workload]:
    """Return the workloads; the name of a role that the stack creates is in its outputs only."""
    exported = outputs.get("workloads") or {}
    return [
        Workload(
            name=name,
            platform=_platform(workload.declared),
            runs_as=_runs_as(workload.declared),
            role=(exported.get(name) or {}).get("roleArn") or workload.role_arn(account),
        )
        for name, workload in desired.workloads.items()
    ]


def _platform(workload: declared.Workload) -> Platform:
    return "kubernetes" if workload.kubernetes else "ecs" if workload.ecs else "lambda"


def _runs_as(workload: declared.Workload) -> str:
    pod = workload.kubernetes
    if workload.ecs:
        service = workload.ecs.redeploy
        return f"ECS service {service.cluster}/{service.service}" if service else "ECS tasks"
    if pod is None:
        return "Lambda function"
    place = f"service account {pod.namespace}/{pod.service_account}"
    if pod.pod_identity:
        return f"{place} in EKS cluster {pod.pod_identity.cluster} (Pod Identity)"
    if pod.operator_role:
        return f"{place}, via {pod.operator_role}"
    return f"{place} (IRSA)" if pod.oidc_provider_arn else place
