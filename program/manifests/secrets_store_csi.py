"""Manifests for the Secrets Store CSI driver with AWS's provider (secrets-store.csi.x-k8s.io/v1)."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from program.manifests.contract import Source, Workload, sources
from program.manifests.yaml_files import render

_FOLDERS = "Files in folders: install AWS's provider with driverWritesSecrets=true, or pods do not start"
_DIGEST_LENGTH = 12
_ROOT_ONLY = "0400"
_EVERYONE = "0444"


def manifests(workload: Workload) -> list[dict[str, Any]]:
    """Return a SecretProviderClass, with a synced Kubernetes Secret for the variables.

    The provider itself cannot write a file whose name has a slash. If the driver writes the files, a slash
    makes a folder.

    Raises:
        ValueError: the workload has templates or keys by pattern, which the driver cannot provide, or a whole
            secret is two files.
    """
    if workload.environment_from_all:
        raise ValueError(f"{workload.name}: the driver does not provide all keys of a secret")
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
    """Return the file from which the driver syncs a variable; paths of declared files have no @."""
    return f".environment@{variable}"


def _parameters(workload: Workload) -> dict[str, str]:
    found = {
        "region": workload.region,
        # keeps a slash in an alias, which makes a folder
        "pathTranslation": "False",
        "objects": render([_objects(workload)]),
    }
    return {**found, "usePodIdentity": "true"} if workload.pod_identity else found


def _objects(workload: Workload) -> list[dict[str, Any]]:
    """Return one entry for each secret: older releases of the provider reject a second one."""
    wholes = {arn: alias for alias, arn in _whole_files(workload).items()}
    found: dict[str, dict[str, Any]] = {}
    for alias, source, permission in _files(workload):
        arn = source.secret_arn
        # The provider always mounts the whole secret too: readable only by root unless it is a declared file,
        # like the files that only the driver reads.
        whole = wholes.get(arn, f".whole@{_digest(source.secret_name)}")
        of_whole = _EVERYONE if whole in workload.files else _ROOT_ONLY
        entry = found.setdefault(arn, {"objectName": arn, "objectAlias": whole, "filePermission": of_whole})
        if source.key is not None:
            key = {"path": json.dumps(source.key), "objectAlias": alias}
            if _EVERYONE in {permission, of_whole}:  # by default it has the permission of the whole
                key["filePermission"] = permission
            entry.setdefault("jmesPath", []).append(key)
    return [found[arn] for arn in sorted(found)]


def _files(workload: Workload) -> Iterator[tuple[str, Source, str]]:
    """Yield the name, source and permission of every file: first those that become variables."""
    for variable, source in sorted(sources(workload.name, workload.environment).items()):
        yield variable_file(variable), source, _ROOT_ONLY
    for path, source in sorted(sources(workload.name, workload.files).items()):
        yield path, source, _EVERYONE


def _whole_files(workload: Workload) -> dict[str, str]:
    """Return the file of each whole secret with the secret's ARN; the provider writes only one per secret."""
    files: dict[str, str] = {}
    for path, source in sorted(sources(workload.name, workload.files).items()):
        if source.key is None:
            if source.secret_arn in files.values():
                raise ValueError(f"{workload.name}: the driver writes only one file of a whole secret")
            files[path] = source.secret_arn
    for variable, source in sorted(sources(workload.name, workload.environment).items()):
        if source.key is None and source.secret_arn not in files.values():
            files[variable_file(variable)] = source.secret_arn
    return files


def _digest(name: str) -> str:
    """Return a part of a file name that is unique to the secret and has no slash."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
