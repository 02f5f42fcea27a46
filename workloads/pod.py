"""The part of a Deployment that reads the secrets, as a patch for Kustomize or to copy from."""

import hashlib
import json
from typing import Any

from workloads import external_secrets
from workloads.contract import Workload
from workloads.kubernetes import Operator, manifests

_VOLUME = "aws-secrets"
_AUTHORITIES_VOLUME = "database-authorities"


def pod_part(workload: Workload, operator: Operator) -> dict[str, Any]:
    """A strategic merge patch; the container has the workload's name."""
    mounts = bool(workload.files) or operator == "secrets-store-csi"
    container: dict[str, Any] = {"name": workload.name}
    # of two variables of one name the later source counts
    if sources := _environment_secrets(workload):
        container["envFrom"] = [{"secretRef": {"name": name}} for name in sources]
    if workload.authorities and workload.authorities.variables:
        variables = workload.authorities.environment
        container["env"] = [{"name": name, "value": value} for name, value in variables.items()]
    folders = _folders(workload, mounts=mounts)
    if folders:
        container["volumeMounts"] = [
            {"name": volume, "mountPath": folder, "readOnly": True} for volume, folder in folders.items()
        ]
    pod: dict[str, Any] = {"serviceAccountName": workload.service_account, "containers": [container]}
    if folders:
        pod["volumes"] = [{"name": volume, **_volume(volume, workload, operator)} for volume in folders]
    template: dict[str, Any] = {"spec": pod}
    metadata: dict[str, Any] = {"name": workload.name, "namespace": workload.namespace}
    if workload.restart == "reloader":
        metadata["annotations"] = _reloader(workload, operator)
    if workload.restart == "checksum":
        template["metadata"] = {"annotations": {"checksum/aws-secrets": _checksum(workload, operator)}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"template": template},
    }


def _environment_secrets(workload: Workload) -> list[str]:
    """Return the names of the Kubernetes Secrets that hold variables."""
    return [
        *([workload.environment_from_secret] if workload.environment_from_all else []),
        *([workload.environment_secret] if workload.environment else []),
    ]


def _folders(workload: Workload, *, mounts: bool) -> dict[str, str]:
    """Volume to the folder that it is mounted at."""
    folders = {_VOLUME: workload.mount_path} if mounts else {}
    if workload.authorities:
        folders[_AUTHORITIES_VOLUME] = workload.authorities.folder
    return folders


def _volume(volume: str, workload: Workload, operator: Operator) -> dict[str, Any]:
    if volume == _AUTHORITIES_VOLUME:
        return {"configMap": {"name": workload.authorities_config_map}}
    if operator == "secrets-store-csi":
        return {
            "csi": {
                "driver": "secrets-store.csi.k8s.io",
                "readOnly": True,
                "volumeAttributes": {"secretProviderClass": workload.name},
            }
        }
    items = [{"key": key, "path": path} for path, key in sorted(external_secrets.file_keys(workload).items())]
    return {"secret": {"secretName": workload.files_secret, "items": items}}


def _reloader(workload: Workload, operator: Operator) -> dict[str, str]:
    """What Stakater's Reloader watches for: the Kubernetes objects that change with the values.

    It sees files of the CSI driver only where it runs with --enable-csi-integration.
    """
    secrets = _environment_secrets(workload)
    found = {}
    if workload.files and operator == "external-secrets":
        secrets.append(workload.files_secret)
    elif workload.files:
        found["secretproviderclass.reloader.stakater.com/reload"] = workload.name
    if workload.authorities:
        found["configmap.reloader.stakater.com/reload"] = workload.authorities_config_map
    if secrets:
        found["secret.reloader.stakater.com/reload"] = ",".join(secrets)
    return found


def _checksum(workload: Workload, operator: Operator) -> str:
    """Of what is read, not of values: pods restart when the declaration changes."""
    text = json.dumps(manifests(workload, operator), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
