"""Manifests for the Kubernetes operator of a workload."""

from typing import Any

from program.manifests import external_secrets, secrets_store_csi
from program.manifests.contract import Authorities, Workload


def manifests(workload: Workload) -> list[dict[str, Any]]:
    """Return the operator's custom resources, and a ConfigMap of certificate authorities if asked for."""
    if workload.operator == "external-secrets":
        custom = external_secrets.manifests(workload)
    else:
        custom = secrets_store_csi.manifests(workload)
    return [*custom, _config_map(workload, workload.authorities)] if workload.authorities else custom


def _config_map(workload: Workload, authorities: Authorities) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": workload.authorities_config_map, "namespace": workload.namespace},
        "data": {authorities.file: authorities.pem},
    }
