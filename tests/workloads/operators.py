"""What the platforms do with our manifests, over any client of Secrets Manager.

Read from their sources and documents: external-secrets' AWS provider (`providers/v1/aws/secretsmanager`) and
gjson's SYNTAX.md; AWS's provider for the Secrets Store CSI driver (`provider/secret_descriptor.go`,
`provider/secret_value.go`, `server/server.go`) and the driver (`pkg/util/fileutil`, `pkg/util/secretutil`);
Amazon ECS Developer Guide and AWS Secrets Manager User Guide for ECS and Lambda.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jmespath
import yaml

from tests.workloads import go_template

_OTHERS_READ = 0o004
_LONGEST_NAME = 255
_ARN = 7  # parts of a secret's ARN


@dataclass(frozen=True)
class Mounted:
    """A file of a volume."""

    text: str
    mode: int


def _current(secrets: Any, name: str, stage: str = "AWSCURRENT") -> str:  # noqa: ANN401  boto3 is untyped
    """The value; bytes as a text of the characters 0 to 255."""
    answer = secrets.get_secret_value(SecretId=name, VersionStage=stage)
    if "SecretString" in answer:
        return str(answer["SecretString"])
    return str(answer["SecretBinary"].decode("latin-1"))


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
    documents: dict[str, str] = {}
    for manifest in manifests:
        if manifest["kind"] != "ExternalSecret":
            continue
        spec = manifest["spec"]
        assert spec["secretStoreRef"]["name"] in stores
        data: dict[str, str] = {}
        for entry in spec.get("dataFrom", []):
            # of the JSON at its top: texts as they are, all else as JSON
            extracted = json.loads(_current(secrets, entry["extract"]["key"]))
            for key, found in extracted.items():
                assert re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key), "the operator would rename it"
                data[key] = found if isinstance(found, str) else json.dumps(found)
        for entry in spec.get("data", []):
            remote = entry["remoteRef"]
            wanted = remote.get("property", "")
            if remote["key"] not in documents:
                documents[remote["key"]] = _current(secrets, remote["key"])
            document = documents[remote["key"]]
            value: object = document
            if wanted:
                # it looks for the whole text as one key first
                value = _gjson(document, wanted.replace(".", "\\.")) if "." in wanted else None
                value = _gjson(document, wanted) if value is None else value
            assert value is not None, f"key {wanted} does not exist in secret {remote['key']}"
            if not isinstance(value, str):
                value = json.dumps(value, ensure_ascii=False)  # the document's own text, as tests write it
            assert re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", entry["secretKey"]), "no key of a Kubernetes Secret"
            assert entry["secretKey"] not in data, "two sources for one key"
            data[entry["secretKey"]] = value
        made[spec["target"]["name"]] = _templated(spec["target"], data)
    return made


def _templated(target: Mapping[str, Any], data: dict[str, str]) -> dict[str, str]:
    """With a template that replaces, the Kubernetes Secret holds what the template makes and nothing else."""
    template = target.get("template")
    if template is None:
        return data
    assert template["engineVersion"] == "v2"
    assert template["mergePolicy"] == "Replace"
    return {key: go_template.evaluate(text, data) for key, text in template["data"].items()}


def secrets_store_csi(
    secrets: Any,  # noqa: ANN401  boto3 is untyped
    provider_class: dict[str, Any],
    *,
    driver_writes: bool,
) -> tuple[dict[str, Mounted], dict[str, dict[str, str]]]:
    """The files that are mounted, and the Kubernetes Secrets that the driver syncs from them.

    `driver_writes` is how the provider was installed (`driverWritesSecrets`); otherwise it writes itself.
    """
    parameters = provider_class["spec"]["parameters"]
    assert all(isinstance(text, str) for text in parameters.values()), "parameters are texts"
    translation = {"": "_", "false": ""}.get(parameters.get("pathTranslation", "").lower(), "_")
    files: dict[str, Mounted] = {}
    aliases: set[str] = set()
    names: set[str] = set()

    def mount(name: str, content: str, permission: str) -> None:
        assert name not in aliases, f"Name already in use for objectAlias: {name}"
        aliases.add(name)
        path = name.replace("/", translation) if translation else name.lstrip("/")
        if driver_writes:
            items = path.split("/")
            assert not items[0].startswith("..")
            assert not {"", ".", ".."} & set(items)
            assert all(len(item) <= _LONGEST_NAME for item in items), (
                "filenames must be at most 255 characters"
            )
        else:
            assert "/" not in path, "pattern contains path separator"
        assert re.fullmatch("[0-7]{4}", permission), f"Invalid File Permission: {permission}"
        files[path] = Mounted(content, int(permission, 8))

    for entry in yaml.safe_load(parameters["objects"]):
        arn = entry["objectName"].split(":")
        assert arn[2:4] == ["secretsmanager", parameters["region"]], "ARN region must match region"
        assert entry["objectName"] not in names, f"Name already in use for objectName: {entry['objectName']}"
        names.add(entry["objectName"])
        document = _current(secrets, entry["objectName"])
        permission = entry.get("filePermission", "0644")
        mount(entry.get("objectAlias") or entry["objectName"], document, permission)
        for key in entry.get("jmesPath", []):
            value = jmespath.search(key["path"], json.loads(document))
            assert isinstance(value, str), f"JMES path {key['path']} leads to no text"
            mount(key["objectAlias"], value, key.get("filePermission", permission))
    synced = {
        wanted["secretName"]: {entry["key"]: files[entry["objectName"]].text for entry in wanted["data"]}
        for wanted in provider_class["spec"].get("secretObjects", [])
    }
    return files, synced


def container(
    pod: Mapping[str, Any],
    kubernetes_secrets: Mapping[str, Mapping[str, str]],
    mounted: Mapping[str, Mounted],
    objects: Sequence[Mapping[str, Any]] = (),
) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of the one container, and the files that a user other than root reads there.

    ConfigMaps are found among `objects`, which are applied beside the pod.
    """
    config_maps = {
        found["metadata"]["name"]: found["data"] for found in objects if found["kind"] == "ConfigMap"
    }
    spec = pod["spec"]["template"]["spec"]
    [only] = spec["containers"]
    variables: dict[str, str] = {}
    for source in only.get("envFrom", []):
        variables |= kubernetes_secrets[source["secretRef"]["name"]]
    for entry in only.get("env", []):
        variables[entry["name"]] = entry["value"]
    files: dict[str, str] = {}
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    for mount in only.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        if "secret" in volume:
            data = kubernetes_secrets[volume["secret"]["secretName"]]
            content = {item["path"]: data[item["key"]] for item in volume["secret"]["items"]}
        elif "configMap" in volume:
            content = config_maps[volume["configMap"]["name"]]
        else:
            content = {path: file.text for path, file in mounted.items() if file.mode & _OTHERS_READ}
        files |= {f"{mount['mountPath']}/{path}": text for path, text in content.items()}
    return variables, files


def ecs_container(secrets: Any, declared: Sequence[Mapping[str, str]]) -> dict[str, str]:  # noqa: ANN401  boto3
    """The variables of a container of ECS: after the ARN come key, stage and version, each maybe empty."""
    variables = {}
    for entry in declared:
        arn, rest = entry["valueFrom"].split(":")[:_ARN], entry["valueFrom"].split(":")[_ARN:]
        assert len(rest) in {0, 3}, "not a full ARN, or a colon too many"
        key, stage, version = rest or ("", "", "")
        assert not version
        text = _current(secrets, ":".join(arn), stage or "AWSCURRENT")
        variables[entry["name"]] = json.loads(text)[key] if key else text
    return variables


def lambda_function(secrets: Any, environment: Mapping[str, str]) -> dict[str, str]:  # noqa: ANN401  boto3
    """What a function has for each variable, from the extension, which answers as the service does."""
    found = {}
    for name, arn in environment.items():
        if not name.endswith("_SECRET_ARN") or not arn.startswith("arn:"):
            continue
        variable = name.removesuffix("_SECRET_ARN")
        text, key = _current(secrets, arn), environment.get(f"{variable}_SECRET_KEY")
        found[variable] = text if key is None else json.loads(text)[key]
    return found
