"""Manifests for the Secrets Store CSI driver with AWS's provider (secrets-store.csi.x-k8s.io/v1)."""

import hashlib
import json
from typing import Any

from workloads.contract import Source, Workload, sources
from workloads.yaml_files import render

_FOLDERS = "Files in folders: install AWS's provider with driverWritesSecrets=true, or pods do not start"
_DIGEST_LENGTH = 12
_ROOT_ALONE = "0400"
_EVERYBODY = "0444"


def manifests(workload: Workload) -> list[dict[str, Any]]:
    """A SecretProviderClass, with a synced Kubernetes Secret for the variables.

    The provider by itself writes no file whose name has a slash; where the driver writes for it, the slash
    makes a folder.

    Raises:
        ValueError: templates are declared, which the driver does not make.
    """
    metadata: dict[str, Any] = {"name": workload.name, "namespace": workload.namespace}
    if any("/" in path for path in workload.files):
        metadata["annotations"] = {"aws-secrets/requires": _FOLDERS}
    spec: dict[str, Any] = {"provider": "aws", "parameters": _parameters(workload)}
    if workload.environment:
        spec["secretObjects"] = [
            {
                "secretName": workload.environment_secret,
                "type": "Opaque",
                "data": [
                    {"objectName": variable_file(variable), "key": variable}
                    for variable in sorted(workload.environment)
                ],
            }
        ]
    return [
        {
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": metadata,
            "spec": spec,
        }
    ]


def variable_file(variable: str) -> str:
    """The file from which the driver syncs a variable; no path of a declared file has an @."""
    return f".environment@{variable}"


def _parameters(workload: Workload) -> dict[str, str]:
    found = {
        "region": workload.region,
        # a slash in an alias makes a folder, as it says
        "pathTranslation": "False",
        "objects": render([_objects(workload)]),
    }
    return {**found, "usePodIdentity": "true"} if workload.pod_identity else found


def _objects(workload: Workload) -> list[dict[str, Any]]:
    names = {}
    entries: dict[str, list[dict[str, str]]] = {}
    for variable, source in sorted(sources(workload.name, workload.environment).items()):
        names[source.secret_arn] = source.secret_name
        entries.setdefault(source.secret_arn, []).append(_entry(variable_file(variable), source))
    for path, source in sorted(sources(workload.name, workload.files).items()):
        names[source.secret_arn] = source.secret_name
        entry = {**_entry(path, source), "filePermission": _EVERYBODY}
        entries.setdefault(source.secret_arn, []).append(entry)
    return [
        {
            "objectName": arn,
            # The provider mounts the whole secret too, whatever keys are named: for root alone, as are the
            # files that only the driver reads.
            "objectAlias": f".whole@{_digest(names[arn])}",
            "filePermission": _ROOT_ALONE,
            "jmesPath": entries[arn],
        }
        for arn in sorted(entries)
    ]


def _digest(name: str) -> str:
    """The same whatever other secrets there are, and without the slashes of a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]


def _entry(alias: str, source: Source) -> dict[str, str]:
    # a quoted identifier of JMESPath is a JSON string: hyphens, dots and slashes need it
    return {"path": json.dumps(source.key), "objectAlias": alias}
