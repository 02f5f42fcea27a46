"""Which workload reads which keys of which secret, and as whom."""

from collections.abc import Iterator, Mapping
from typing import Any

from automation.status.model import Platform, Workload
from program.making import Account
from settings import StackFile
from settings import workloads as declared
from settings.stack_secrets import stack_secrets


def reads_of(stack_file: StackFile) -> dict[str, dict[str, tuple[str, ...]]]:
    """Secret to workload to the keys that it reads, in the secret's order; none of a whole value."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for secret in stack_secrets(stack_file):
        for name, workload in stack_file.workloads.items():
            reads = [read for read in workload.reads if read.secret == secret.name]
            named = {read.key_of(secret.content) for read in reads}
            whole = secret.name in workload.environment_from or None in named
            keys = tuple(key for key in secret.keys if whole or key in named)
            if keys or (reads and secret.content != "keys"):
                found.setdefault(secret.name, {})[name] = keys
    return found


def workloads_of(stack_file: StackFile, account: Account, outputs: Mapping[str, Any]) -> list[Workload]:
    """Who reads, with the role as far as it is known: one that the stack makes is in its outputs alone."""
    told = outputs.get("workloads") or {}
    return [
        Workload(
            name=name,
            platform=_platform(workload),
            runs_as=_runs_as(workload),
            role=(told.get(name) or {}).get("roleArn") or _existing_role(workload, account),
        )
        for name, workload in stack_file.workloads.items()
    ]


def _platform(workload: declared.Workload) -> Platform:
    return "kubernetes" if workload.kubernetes else "ecs" if workload.ecs else "lambda"


def _existing_role(workload: declared.Workload, account: Account) -> str | None:
    role = next(_roles(workload), None)
    if role is None or role.startswith("arn:"):
        return role
    return f"arn:{account.partition}:iam::{account.account_id}:role/{role}"


def _roles(workload: declared.Workload) -> Iterator[str]:
    for platform in (workload.kubernetes, workload.ecs, workload.lambda_):
        if platform and platform.role:
            yield platform.role


def _runs_as(workload: declared.Workload) -> str:
    pod = workload.kubernetes
    if workload.ecs:
        service = workload.ecs.redeploy
        return f"ECS service {service.cluster}/{service.service}" if service else "tasks of Amazon ECS"
    if pod is None:
        return "a Lambda function"
    place = f"service account {pod.namespace}/{pod.service_account}"
    if pod.pod_identity:
        return f"{place} of the EKS cluster {pod.pod_identity.cluster} (Pod Identity)"
    if pod.operator_role:
        return f"{place}, through {pod.operator_role}"
    return f"{place} (IRSA)" if pod.oidc_provider_arn else place
