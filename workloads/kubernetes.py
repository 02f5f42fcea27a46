"""Which manifests a Kubernetes operator takes."""

from typing import Any, Literal

from workloads import external_secrets, secrets_store_csi
from workloads.contract import Authorities, Workload

Operator = Literal["external-secrets", "secrets-store-csi"]


def manifests(workload: Workload, operator: Operator) -> list[dict[str, Any]]:
    """The custom resources of that operator, and a ConfigMap for the certificate authorities if asked for."""
    if operator == "external-secrets":
        found = external_secrets.manifests(workload)
    else:
        found = secrets_store_csi.manifests(workload)
    return [*found, _config_map(workload, workload.authorities)] if workload.authorities else found


def _config_map(workload: Workload, authorities: Authorities) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": workload.authorities_config_map, "namespace": workload.namespace},
        "data": {authorities.file: authorities.pem},
    }
