"""The `secrets` of an ECS container definition."""

from workloads.contract import Workload, sources


def container_secrets(workload: Workload) -> list[dict[str, str]]:
    """`[{"name": VARIABLE, "valueFrom": "ARN:KEY::"}]`: the current version of one key each.

    Raises:
        ValueError: files or templates are declared, which ECS does not make.

    Source: Amazon ECS Developer Guide, "Pass Secrets Manager secrets through environment variables".
    """
    if workload.files:
        raise ValueError(f"{workload.name}: ECS makes no files of secrets")
    return [
        {"name": variable, "valueFrom": f"{source.secret_arn}:{source.key}::"}
        for variable, source in sorted(sources(workload.name, workload.environment).items())
    ]
