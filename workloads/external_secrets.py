"""Manifests for the External Secrets Operator (external-secrets.io/v1)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from workloads.contract import Source, Workload

_DIGEST_LENGTH = 12
_LONGEST_KEY = 253  # of a Kubernetes Secret
_API = "external-secrets.io/v1"


def manifests(workload: Workload) -> list[dict[str, Any]]:
    """A SecretStore, an ExternalSecret for the variables, and one for the files."""
    found = [_store(workload)]
    if workload.environment:
        found.append(_external_secret(workload, workload.environment_secret, workload.environment))
    if workload.files:
        keyed = {key: workload.files[path] for path, key in file_keys(workload).items()}
        found.append(_external_secret(workload, workload.files_secret, keyed))
    return found


def file_keys(workload: Workload) -> dict[str, str]:
    """Path of each file to its key in the Kubernetes Secret, in which no key has a slash."""
    return {path: _file_key(path) for path in sorted(workload.files)}


def _file_key(path: str) -> str:
    """Distinct for each path, and the same whatever other files there are."""
    digest = hashlib.sha256(path.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{digest}.{path.rpartition('/')[2]}"[:_LONGEST_KEY]


def _store(workload: Workload) -> dict[str, Any]:
    aws: dict[str, Any] = {"service": "SecretsManager", "region": workload.region}
    if not workload.pod_identity:
        aws["auth"] = {"jwt": {"serviceAccountRef": {"name": workload.service_account}}}
    # Else the operator reads with its own role: it cannot take one that Pod Identity gives to another's pods.
    return {
        "apiVersion": _API,
        "kind": "SecretStore",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {"provider": {"aws": aws}},
    }


def _external_secret(workload: Workload, name: str, data: Mapping[str, Source]) -> dict[str, Any]:
    return {
        "apiVersion": _API,
        "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": workload.namespace},
        "spec": {
            "refreshInterval": f"{workload.refresh_seconds}s",
            "secretStoreRef": {"kind": "SecretStore", "name": workload.name},
            "target": {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain"},
            "data": [
                {
                    "secretKey": key,
                    # The ARN: by its name, a role of another account would find nothing.
                    "remoteRef": {"key": source.secret_arn, "property": _property(source.key)},
                }
                for key, source in sorted(data.items())
            ],
        },
    }


def _property(key: str) -> str:
    """A JSON key as a path of gjson, which the operator evaluates: a dot would lead to an object within."""
    return re.sub(r"([.*?|#@!{}\[\]()=<>%\\])", r"\\\1", key)
