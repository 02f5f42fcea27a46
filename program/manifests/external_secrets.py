"""Manifests for the External Secrets Operator (external-secrets.io/v1)."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from program.manifests.contract import Source, Template, Value, Workload
from stack_file.template import Placeholder

_DIGEST_LENGTH = 12
_LONGEST_KEY = 253  # of a Kubernetes Secret
_API = "external-secrets.io/v1"
# Keys that a Kubernetes Secret cannot hold. The operator would rename some of them, perhaps to another key's
# name, and one such key can fail the whole Secret. It leaves out keys whose new name is empty.
_IMPOSSIBLE_KEYS = rf"^([\s\S]*[^-._a-zA-Z0-9][\s\S]*|\.|\.\..*|.{{{_LONGEST_KEY + 1},}})$"


def manifests(workload: Workload) -> list[dict[str, Any]]:
    """Return a SecretStore, and an ExternalSecret each for whole secrets, variables and files."""
    objects = [_store(workload)]
    if workload.environment_from_all:
        objects.append(_extracting(workload))
    if workload.environment:
        objects.append(_external_secret(workload, workload.environment_secret, workload.environment))
    if workload.files:
        keyed = {key: workload.files[path] for path, key in file_keys(workload).items()}
        objects.append(_external_secret(workload, workload.files_secret, keyed))
    return objects


def file_keys(workload: Workload) -> dict[str, str]:
    """Return the key of each file in the Kubernetes Secret, where a key cannot have a slash."""
    return {path: _file_key(path) for path in sorted(workload.files)}


def _file_key(path: str) -> str:
    """Return a key that is unique to the path and does not depend on other files."""
    digest = hashlib.sha256(path.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{digest}.{path.rpartition('/')[2]}"[:_LONGEST_KEY]


def _store(workload: Workload) -> dict[str, Any]:
    aws: dict[str, Any] = {"service": "SecretsManager", "region": workload.region}
    if workload.assumed_role:
        aws["role"] = workload.assumed_role
    else:
        aws["auth"] = {"jwt": {"serviceAccountRef": {"name": workload.service_account}}}
    return {
        "apiVersion": _API,
        "kind": "SecretStore",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {"provider": {"aws": aws}},
    }


def _extracting(workload: Workload) -> dict[str, Any]:
    """Return an ExternalSecret of all keys that the secrets have in AWS and a Kubernetes Secret can hold.

    Of equal keys, the last one wins.
    """
    name = workload.environment_from_secret
    spec = {
        **_refreshed(workload),
        "target": _target(name),
        "dataFrom": [
            {
                "extract": {"key": source.secret_arn},
                "rewrite": [{"regexp": {"source": _IMPOSSIBLE_KEYS, "target": ""}}],
            }
            for source in workload.environment_from_all
        ],
    }
    return {**_named(workload, name), "spec": spec}


def _named(workload: Workload, name: str) -> dict[str, Any]:
    return {
        "apiVersion": _API,
        "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": workload.namespace},
    }


def _refreshed(workload: Workload) -> dict[str, Any]:
    return {
        "refreshInterval": f"{workload.refresh_seconds}s",
        "secretStoreRef": {"kind": "SecretStore", "name": workload.name},
    }


def _target(name: str) -> dict[str, Any]:
    return {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain"}


def _external_secret(workload: Workload, name: str, values: Mapping[str, Value]) -> dict[str, Any]:
    target = _target(name)
    if any(isinstance(value, Template) for value in values.values()):
        # Replace: a key that only templates read does not become a variable or a file
        target["template"] = {
            "engineVersion": "v2",
            "mergePolicy": "Replace",
            "data": {key: _go_template(key, value) for key, value in sorted(values.items())},
        }
    return {
        **_named(workload, name),
        "spec": {
            **_refreshed(workload),
            "target": target,
            "data": [
                {
                    "secretKey": key,
                    # the ARN: a role of another account cannot find a secret by its name
                    "remoteRef": {"key": source.secret_arn, **_property(source.key)},
                }
                for key, source in sorted(_fetched(values))
            ],
        },
    }


def _fetched(values: Mapping[str, Value]) -> Iterator[tuple[str, Source]]:
    for key, value in values.items():
        if isinstance(value, Source):
            yield key, value
        else:
            yield from ((_part_key(key, name), source) for name, source in value.sources.items())


def _part_key(key: str, name: str) -> str:
    """Return the key under which a template finds a value, unique to the template."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_LENGTH]}.{name}"


def _go_template(key: str, value: Value) -> str:
    """Return a value as a Go template with Sprig's functions, which the operator evaluates."""
    if isinstance(value, Source):
        return _inserted(key)
    return "".join(
        _inserted(_part_key(key, piece.name), url=piece.url)
        if isinstance(piece, Placeholder)
        else _literal(piece)
        for piece in value.pieces
    )


def _inserted(key: str, *, url: bool = False) -> str:
    # urlquery is for queries, where a space is a plus sign
    encoded = ' | urlquery | replace "+" "%20"' if url else ""
    return f'{{{{ index . "{key}"{encoded} }}}}'


def _literal(text: str) -> str:
    """Return a text for a Go template; with a brace in it, as a string literal, whose syntax is JSON's."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if "{" in text else text


def _property(key: str | None) -> dict[str, str]:
    """Return a JSON key as the escaped gjson path that the operator evaluates; {} for the whole secret."""
    if key is None:
        return {}
    path = re.sub(r"([.*?|#@!{}\[\]()=<>%\\])", r"\\\1", key)
    return {"property": path}
