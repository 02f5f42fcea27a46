"""Manifests for the Secrets Store CSI driver with AWS's provider (secrets-store.csi.x-k8s.io/v1)."""

import json
from typing import Any

from workloads.contract import Source, Workload
from workloads.yaml_files import render


def manifests(workload: Workload) -> list[dict[str, Any]]:
    """A SecretProviderClass, with a synced Kubernetes Secret for the variables."""
    spec: dict[str, Any] = {
        "provider": "aws",
        "parameters": {
            "region": workload.region,
            # a slash in an alias makes a folder, as it says
            "pathTranslation": "False",
            "objects": render([_objects(workload)]),
        },
    }
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
            "metadata": {"name": workload.name, "namespace": workload.namespace},
            "spec": spec,
        }
    ]


def variable_file(variable: str) -> str:
    """The file from which the driver syncs a variable; no path of a declared file begins so."""
    return f".environment.{variable}"


def _objects(workload: Workload) -> list[dict[str, Any]]:
    entries: dict[str, list[dict[str, str]]] = {}
    reads = [
        *((variable_file(variable), source) for variable, source in sorted(workload.environment.items())),
        *sorted(workload.files.items()),
    ]
    for alias, source in reads:
        entries.setdefault(source.secret_arn, []).append(_entry(alias, source))
    return [
        {
            "objectName": arn,
            # the provider mounts the whole secret too, whatever keys are named
            "objectAlias": f".whole.{number:03d}",
            "jmesPath": entries[arn],
        }
        for number, arn in enumerate(sorted(entries))
    ]


def _entry(alias: str, source: Source) -> dict[str, str]:
    # a quoted identifier of JMESPath is a JSON string: hyphens, dots and slashes need it
    return {"path": json.dumps(source.key), "objectAlias": alias}
