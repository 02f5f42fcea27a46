"""Do what the platforms do with our manifests, through any client of Secrets Manager.

Sources: external-secrets' AWS provider (`providers/v1/aws/secretsmanager`) and gjson's SYNTAX.md, held to
what the real operator answers (`tests/manifests/recorded`); AWS's provider for the Secrets Store CSI driver
(`provider/secret_descriptor.go`, `provider/secret_value.go`, `server/server.go`) and the driver
(`pkg/util/fileutil`, `pkg/util/secretutil`);
Amazon ECS Developer Guide and AWS Secrets Manager User Guide for ECS and Lambda.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jmespath
import yaml

from tests.support import go_template

_OTHERS_READ = 0o004
_LONGEST_NAME = 255
_ARN = 7  # parts of a secret's ARN


@dataclass(frozen=True)
class Mounted:
    """A file of a volume."""

    text: str
    mode: int


def _current(secrets: Any, name: str, stage: str = "AWSCURRENT") -> str:
    """Return a secret's value; bytes as a text of the characters 0 to 255."""
    answer = secrets.get_secret_value(SecretId=name, VersionStage=stage)
    if "SecretString" in answer:
        return str(answer["SecretString"])
    return str(answer["SecretBinary"].decode("latin-1"))


class OperatorError(Exception):
    """The External Secrets Operator cannot read; the message is its own."""


def _members(document: str) -> list[tuple[str, str]]:
    """Return the keys of a JSON object with the text of each value as it is written; [] for another JSON."""
    found: list[tuple[str, str]] = []
    decoder, space = json.JSONDecoder(), re.compile(r"[\s,:]*")

    def skip(at: int) -> int:
        match = space.match(document, at)
        assert match
        return match.end()

    at = skip(0)
    if document[at : at + 1] != "{":
        return found
    at = skip(at + 1)
    while document[at] != "}":
        key, at = decoder.raw_decode(document, at)
        start = skip(at)
        _, at = decoder.raw_decode(document, start)
        found.append((key, document[start:at]))
        at = skip(at)
    return found


def _gjson(document: str, path: str) -> str | None:
    """Return the text at a gjson path: keys separated by dots, with backslashes as escapes."""
    keys, escaped = [""], False
    for character in path:
        if escaped or character not in ".\\":
            assert escaped or character not in "*?|#@!{}[]()=<>%", f"{character} is special in gjson"
            keys[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            keys.append("")
    found: str | None = document
    for key in keys:
        # the first of equal keys
        found = None if found is None else dict(reversed(_members(found))).get(key)
    return None if found is None else _gjson_text(found)


def _gjson_text(written: str) -> str:
    """Return a text, "" for null, a number without an exponent, and other JSON as it is written."""
    if written == "null":
        return ""
    if written.startswith('"'):
        return str(json.loads(written))
    if written[0] in "-0123456789" and not re.fullmatch(r"-?\d+", written):
        return format(Decimal(repr(float(written))).normalize(), "f")
    return written


def _extracted(document: str, wanted: Mapping[str, Any], secret: str) -> dict[str, str]:
    """Return all keys of a secret: texts unchanged, "" for null, other JSON as it is written."""
    try:
        json.loads(document)
    except ValueError:
        raise OperatorError(f"unable to unmarshal secret {secret}") from None
    found: dict[str, str] = {}
    for key, written in _members(document):
        for rewrite in wanted["rewrite"]:
            key = re.sub(rewrite["regexp"]["source"], rewrite["regexp"]["target"], key)  # noqa: PLW2901  as it does
        # the operator leaves out keys that are renamed to nothing
        if key:
            assert re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key), "the API server would reject the Secret"
            assert not re.fullmatch(r"\.|\.\..*", key), "the API server would reject the Secret"
            found[key] = _gjson_text(written) if written.startswith(('"', "null")) else written
    return found


def external_secrets(secrets: Any, manifests: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the Kubernetes Secrets that the operator creates: name to data."""
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
            key = entry["extract"]["key"]
            data |= _extracted(_current(secrets, key), entry, key)
        for entry in spec.get("data", []):
            remote = entry["remoteRef"]
            wanted = remote.get("property", "")
            if remote["key"] not in documents:
                documents[remote["key"]] = _current(secrets, remote["key"])
            document = documents[remote["key"]]
            value: str | None = document
            if wanted:
                # the operator first looks for the whole property as one key
                value = _gjson(document, wanted.replace(".", "\\.")) if "." in wanted else None
                value = _gjson(document, wanted) if value is None else value
            if value is None:
                raise OperatorError(f"key {wanted} does not exist in secret {remote['key']}")
            assert re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", entry["secretKey"]), (
                "not a valid key of a Kubernetes Secret"
            )
            assert entry["secretKey"] not in data, "two sources for one key"
            data[entry["secretKey"]] = value
        made[spec["target"]["name"]] = _templated(spec["target"], data)
    return made


def _templated(target: Mapping[str, Any], data: dict[str, str]) -> dict[str, str]:
    """Return the data of a Kubernetes Secret; a template that replaces makes all of it."""
    template = target.get("template")
    if template is None:
        return data
    assert template["engineVersion"] == "v2"
    assert template["mergePolicy"] == "Replace"
    return {key: go_template.evaluate(text, data) for key, text in template["data"].items()}


def secrets_store_csi(
    secrets: Any,
    provider_class: dict[str, Any],
    *,
    driver_writes: bool,
) -> tuple[dict[str, Mounted], dict[str, dict[str, str]]]:
    """Return the mounted files, and the Kubernetes Secrets that the driver syncs from them.

    Args:
        secrets: client of Secrets Manager.
        provider_class: the SecretProviderClass.
        driver_writes: whether the driver writes the files (`driverWritesSecrets`), or the provider.
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
            assert isinstance(value, str), f"JMES path {key['path']} is not a text"
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
    """Return the variables of the only container, and the files that a user other than root can read.

    Args:
        pod: the pod's part.
        kubernetes_secrets: name to data.
        mounted: files that the CSI driver mounts.
        objects: further objects in the cluster, such as ConfigMaps.
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


def ecs_container(secrets: Any, declared: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the variables of an ECS container; key, stage and version may follow the ARN."""
    variables = {}
    for entry in declared:
        arn, rest = entry["valueFrom"].split(":")[:_ARN], entry["valueFrom"].split(":")[_ARN:]
        assert len(rest) in {0, 3}, "not a full ARN, or too many colons"
        key, stage, version = rest or ("", "", "")
        assert not version
        text = _current(secrets, ":".join(arn), stage or "AWSCURRENT")
        variables[entry["name"]] = json.loads(text)[key] if key else text
    return variables


def lambda_function(secrets: Any, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the value of each variable of a Lambda function, as its extension answers."""
    found = {}
    for name, arn in environment.items():
        if not name.endswith("_SECRET_ARN") or not arn.startswith("arn:"):
            continue
        variable = name.removesuffix("_SECRET_ARN")
        text, key = _current(secrets, arn), environment.get(f"{variable}_SECRET_KEY")
        found[variable] = text if key is None else json.loads(text)[key]
    return found
