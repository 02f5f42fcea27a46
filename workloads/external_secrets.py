"""Manifests for the External Secrets Operator (external-secrets.io/v1)."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from workloads.contract import Source, Template, Value, Workload
from workloads.template import Placeholder

_DIGEST_LENGTH = 12
_LONGEST_KEY = 253  # of a Kubernetes Secret
_API = "external-secrets.io/v1"


def manifests(workload: Workload) -> list[dict[str, Any]]:
    """A SecretStore, an ExternalSecret for the variables, one for the files, and one for whole secrets."""
    found = [_store(workload)]
    if workload.environment_from_all:
        found.append(_extracting(workload))
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
    """Return what copies every key that the secrets have in AWS; of two alike the last one counts."""
    name = workload.environment_from_secret
    spec = {
        **_refreshed(workload),
        "target": _target(name),
        "dataFrom": [{"extract": {"key": source.secret_arn}} for source in workload.environment_from_all],
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
        # Replace: what only templates read does not become a variable or a file of its own.
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
                    # The ARN: by its name, a role of another account would find nothing.
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
    """Under which a template finds one of its values: distinct for each key that is made by a template."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_LENGTH]}.{name}"


def _go_template(key: str, value: Value) -> str:
    """A text of Go's text/template, with the functions of Sprig, as the operator evaluates it."""
    if isinstance(value, Source):
        return _inserted(key)
    return "".join(
        _inserted(_part_key(key, piece.name), url=piece.url)
        if isinstance(piece, Placeholder)
        else _literal(piece)
        for piece in value.pieces
    )


def _inserted(key: str, *, url: bool = False) -> str:
    # urlquery is made for queries, where a blank is a plus sign
    encoded = ' | urlquery | replace "+" "%20"' if url else ""
    return f'{{{{ index . "{key}"{encoded} }}}}'


def _literal(text: str) -> str:
    """A brace could begin an action: such a text is written as a string of Go, which JSON's are too."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if "{" in text else text


def _property(key: str | None) -> dict[str, str]:
    """A JSON key as a path of gjson, which the operator evaluates: a dot would lead to an object within.

    Without a property it takes the whole secret.
    """
    if key is None:
        return {}
    path = re.sub(r"([.*?|#@!{}\[\]()=<>%\\])", r"\\\1", key)
    return {"property": path}
