"""Which manifests a Kubernetes operator takes."""

from typing import Any, Literal

from workloads import external_secrets, secrets_store_csi
from workloads.contract import Workload

Operator = Literal["external-secrets", "secrets-store-csi"]


def manifests(workload: Workload, operator: Operator) -> list[dict[str, Any]]:
    """The custom resources of that operator."""
    if operator == "external-secrets":
        return external_secrets.manifests(workload)
    return secrets_store_csi.manifests(workload)
