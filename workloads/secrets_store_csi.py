"""Manifests for the Secrets Store CSI driver with AWS's provider (secrets-store.csi.x-k8s.io/v1)."""

import hashlib
import json
from collections.abc import Iterator
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
        ValueError: templates or whole sets of keys are declared, which the driver does not make, or a whole
            secret is two files.
    """
    if workload.environment_from_all:
        raise ValueError(f"{workload.name}: the driver makes no variables by itself")
    metadata: dict[str, Any] = {"name": workload.name, "namespace": workload.namespace}
    if any("/" in path for path in workload.files):
        metadata["annotations"] = {"aws-secrets/requires": _FOLDERS}
    spec: dict[str, Any] = {"provider": "aws", "parameters": _parameters(workload)}
    if workload.environment:
        wholes = {arn: alias for alias, arn in _whole_files(workload).items()}
        spec["secretObjects"] = [
            {
                "secretName": workload.environment_secret,
                "type": "Opaque",
                "data": [
                    {
                        "objectName": wholes[source.secret_arn]
                        if source.key is None
                        else variable_file(variable),
                        "key": variable,
                    }
                    for variable, source in sorted(sources(workload.name, workload.environment).items())
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
    """Return one entry for each secret: older releases of the provider refuse a second one."""
    wholes = {arn: alias for alias, arn in _whole_files(workload).items()}
    found: dict[str, dict[str, Any]] = {}
    for alias, source, permission in _files(workload):
        arn = source.secret_arn
        # The provider mounts the whole secret too, whatever keys are named: for root alone unless it is a
        # declared file, as are the files that only the driver reads.
        whole = wholes.get(arn, f".whole@{_digest(source.secret_name)}")
        of_whole = _EVERYBODY if whole in workload.files else _ROOT_ALONE
        entry = found.setdefault(arn, {"objectName": arn, "objectAlias": whole, "filePermission": of_whole})
        if source.key is not None:
            key = {"path": json.dumps(source.key), "objectAlias": alias}
            if _EVERYBODY in {permission, of_whole}:  # else it has the permission of the whole
                key["filePermission"] = permission
            entry.setdefault("jmesPath", []).append(key)
    return [found[arn] for arn in sorted(found)]


def _files(workload: Workload) -> Iterator[tuple[str, Source, str]]:
    """Yield the name, source and permission of every file: those that become variables, then the declared."""
    for variable, source in sorted(sources(workload.name, workload.environment).items()):
        yield variable_file(variable), source, _ROOT_ALONE
    for path, source in sorted(sources(workload.name, workload.files).items()):
        yield path, source, _EVERYBODY


def _whole_files(workload: Workload) -> dict[str, str]:
    """Return the file of each whole secret to the secret's ARN; the provider makes one file of a secret."""
    files: dict[str, str] = {}
    for path, source in sorted(sources(workload.name, workload.files).items()):
        if source.key is None:
            if source.secret_arn in files.values():
                raise ValueError(f"{workload.name}: the driver makes one file of a whole secret")
            files[path] = source.secret_arn
    for variable, source in sorted(sources(workload.name, workload.environment).items()):
        if source.key is None and source.secret_arn not in files.values():
            files[variable_file(variable)] = source.secret_arn
    return files


def _digest(name: str) -> str:
    """The same whatever other secrets there are, and without the slashes of a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
