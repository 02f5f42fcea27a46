"""What the operators do with our manifests, over any client of Secrets Manager.

Read from their sources: the AWS provider of external-secrets (`providers/v1/aws/secretsmanager`), and AWS's
provider for the Secrets Store CSI driver (`provider/secret_descriptor.go`, `secrets_manager_provider.go`).
"""

import json
from collections.abc import Mapping
from typing import Any

import jmespath
import yaml


def _current(secrets: Any, name: str) -> str:  # noqa: ANN401  boto3 is untyped
    return str(secrets.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"])


def _gjson(document: str, path: str) -> object:
    """What a path of gjson leads to: keys with dots between, a backslash before what is part of a key."""
    keys, escaped = [""], False
    for character in path:
        if escaped or character not in ".\\":
            assert escaped or character not in "*?|#@!{}[]()=<>%", f"{character} has a meaning in gjson"
            keys[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            keys.append("")
    found: Any = json.loads(document)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def external_secrets(secrets: Any, manifests: list[dict[str, Any]]) -> dict[str, dict[str, str]]:  # noqa: ANN401  boto3
    """The Kubernetes Secrets that the operator makes: name to data."""
    stores = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "SecretStore"}
    made = {}
    for manifest in manifests:
        if manifest["kind"] != "ExternalSecret":
            continue
        spec = manifest["spec"]
        assert spec["secretStoreRef"]["name"] in stores
        data = {}
        for entry in spec["data"]:
            remote = entry["remoteRef"]
            document, wanted = _current(secrets, remote["key"]), remote["property"]
            # it looks for the whole text as one key first
            value = _gjson(document, wanted.replace(".", "\\.")) if "." in wanted else None
            value = _gjson(document, wanted) if value is None else value
            assert isinstance(value, str), f"key {wanted} does not exist in secret {remote['key']}"
            data[entry["secretKey"]] = value
        made[spec["target"]["name"]] = data
    return made


def secrets_store_csi(
    secrets: Any,  # noqa: ANN401  boto3 is untyped
    provider_class: dict[str, Any],
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The files that the driver mounts, and the Kubernetes Secrets that it syncs from them."""
    parameters = provider_class["spec"]["parameters"]
    translation = {"": "_", "false": ""}.get(parameters.get("pathTranslation", "").lower(), "_")
    files: dict[str, str] = {}

    def mount(name: str, content: str) -> None:
        path = name.replace("/", translation) if translation else name.lstrip("/")
        assert path not in files, "Name already in use"
        files[path] = content

    for entry in yaml.safe_load(parameters["objects"]):
        document = _current(secrets, entry["objectName"])
        mount(entry.get("objectAlias") or entry["objectName"], document)
        for key in entry.get("jmesPath", []):
            value = jmespath.search(key["path"], json.loads(document))
            assert isinstance(value, str), f"JMES path {key['path']} leads to no text"
            mount(key["objectAlias"], value)
    synced = {
        wanted["secretName"]: {entry["key"]: files[entry["objectName"]] for entry in wanted["data"]}
        for wanted in provider_class["spec"].get("secretObjects", [])
    }
    return files, synced


def container(
    pod: Mapping[str, Any], kubernetes_secrets: Mapping[str, Mapping[str, str]], mounted: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The variables and files of the one container: files by their absolute path."""
    spec = pod["spec"]["template"]["spec"]
    [only] = spec["containers"]
    variables: dict[str, str] = {}
    for source in only.get("envFrom", []):
        variables |= kubernetes_secrets[source["secretRef"]["name"]]
    files: dict[str, str] = {}
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    for mount in only.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        if "secret" in volume:
            data = kubernetes_secrets[volume["secret"]["secretName"]]
            content = {item["path"]: data[item["key"]] for item in volume["secret"]["items"]}
        else:
            content = dict(mounted)
        files |= {f"{mount['mountPath']}/{path}": text for path, text in content.items()}
    return variables, files
