"""The part of a Deployment that reads the secrets, as a patch for Kustomize or to copy."""

import hashlib
import json
from typing import Any

from program.manifests import external_secrets
from program.manifests.contract import Workload
from program.manifests.kubernetes import manifests

_VOLUME = "aws-secrets"
_AUTHORITIES_VOLUME = "database-authorities"


def pod_part(workload: Workload) -> dict[str, Any]:
    """Return a strategic merge patch of a Deployment and a container with the workload's name."""
    mounts = bool(workload.files) or workload.operator == "secrets-store-csi"
    container: dict[str, Any] = {"name": workload.name}
    # of two variables with the same name, the later source wins
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
        pod["volumes"] = [{"name": volume, **_volume(volume, workload)} for volume in folders]
    template: dict[str, Any] = {"spec": pod}
    metadata: dict[str, Any] = {"name": workload.name, "namespace": workload.namespace}
    if workload.restart == "reloader":
        metadata["annotations"] = _reloader(workload)
    if workload.restart == "checksum":
        template["metadata"] = {"annotations": {"checksum/aws-secrets": _checksum(workload)}}
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
    """Return each volume with the folder that it is mounted at."""
    folders = {_VOLUME: workload.mount_path} if mounts else {}
    if workload.authorities:
        folders[_AUTHORITIES_VOLUME] = workload.authorities.folder
    return folders


def _volume(volume: str, workload: Workload) -> dict[str, Any]:
    if volume == _AUTHORITIES_VOLUME:
        return {"configMap": {"name": workload.authorities_config_map}}
    if workload.operator == "secrets-store-csi":
        return {
            "csi": {
                "driver": "secrets-store.csi.k8s.io",
                "readOnly": True,
                "volumeAttributes": {"secretProviderClass": workload.name},
            }
        }
    items = [{"key": key, "path": path} for path, key in sorted(external_secrets.file_keys(workload).items())]
    return {"secret": {"secretName": workload.files_secret, "items": items}}


def _reloader(workload: Workload) -> dict[str, str]:
    """Return the annotations for Stakater's Reloader: the Kubernetes objects that change with the values.

    Reloader sees files of the CSI driver only if it runs with --enable-csi-integration.
    """
    secrets = _environment_secrets(workload)
    annotations = {}
    if workload.files and workload.operator == "external-secrets":
        secrets.append(workload.files_secret)
    elif workload.files:
        annotations["secretproviderclass.reloader.stakater.com/reload"] = workload.name
    if workload.authorities:
        annotations["configmap.reloader.stakater.com/reload"] = workload.authorities_config_map
    if secrets:
        annotations["secret.reloader.stakater.com/reload"] = ",".join(secrets)
    return annotations


def _checksum(workload: Workload) -> str:
    """Return a checksum of the declaration, which does not change with the values."""
    text = json.dumps(manifests(workload), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
