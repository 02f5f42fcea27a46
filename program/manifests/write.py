"""Write the manifests of workloads to files."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from program.manifests.contract_json import ContractError, from_json
from program.manifests.kubernetes import manifests
from program.manifests.pod import pod_part
from program.manifests.yaml_files import render

_LAYER = "/opt/"
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can store
_READABLE = 0o100644 << 16
_UNIX = 3


def write(outputs: Mapping[str, Mapping[str, Any]], directory: Path) -> list[Path]:
    """Write NAME.yaml and NAME-pod.yaml for pods, NAME.json for other platforms.

    A Lambda function with database authorities also gets NAME-ca.pem, and NAME-layer.zip if their path
    is in a layer.

    Args:
        outputs: the stack's output `workloads`.
        directory: where to write; created if it is missing.

    Returns:
        The files that were written.

    Raises:
        ContractError: an output is not a contract that this version reads; nothing was written.
    """
    texts: dict[str, str] = {}
    for name, output in sorted(outputs.items()):
        texts |= _texts(name, output)
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for file, text in texts.items():
        path = directory / file
        path.write_text(text)
        written.append(path)
    for name, output in sorted(outputs.items()):
        if "environment" in output and "databaseAuthorities" in output:
            written += _write_authorities(directory, name, **output["databaseAuthorities"])
    return written


def rendered(contract: Mapping[str, Any]) -> tuple[str, str]:
    """Return the YAML texts of a workload's manifests and of the pod's part.

    Args:
        contract: `contract` in the output of a workload on Kubernetes.

    Raises:
        ContractError: it is not a contract that this version reads.
    """
    workload = from_json(contract)
    return render(manifests(workload)), render([pod_part(workload)])


def _texts(name: str, output: Mapping[str, Any]) -> dict[str, str]:
    if "containerSecrets" in output or "environment" in output:
        return {f"{name}.json": json.dumps(output, indent=2, sort_keys=True) + "\n"}
    try:
        custom, pod = rendered(output.get("contract") or {})
    except ContractError as error:
        raise ContractError(
            f"workload {name}: {error}. Run pulumi up: another release of this project deployed the stack"
        ) from None
    return {f"{name}.yaml": custom, f"{name}-pod.yaml": pod}


def _write_authorities(directory: Path, name: str, path: str, pem: str) -> list[Path]:
    file, layer = directory / f"{name}-ca.pem", directory / f"{name}-layer.zip"
    file.write_text(pem)
    if not path.startswith(_LAYER):
        return [file]
    # the same bytes for the same authorities, so that a layer is published only if they change
    with zipfile.ZipFile(layer, "w", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo(path.removeprefix(_LAYER), _FIRST_TIME)
        entry.external_attr, entry.create_system = _READABLE, _UNIX
        archive.writestr(entry, pem)
    return [file, layer]
