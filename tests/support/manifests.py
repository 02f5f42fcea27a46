"""The manifests of a workload, rendered from the stack's outputs as the command renders them."""

from collections.abc import Mapping
from typing import Any

import yaml

from program.manifests.write import rendered


def manifests_of(output: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of one entry of the output `workloads`."""
    return list(yaml.safe_load_all(rendered(output["contract"])[0]))


def pod_of(output: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod's part of one entry of the output `workloads`."""
    part: dict[str, Any] = yaml.safe_load(rendered(output["contract"])[1])
    return part
