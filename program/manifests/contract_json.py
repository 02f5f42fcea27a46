"""A workload's contract as JSON: the stack exports it, and the command that renders manifests reads it."""

from collections.abc import Mapping
from typing import Any

from program.manifests.contract import Authorities, Source, Template, Value, Workload
from stack_file.template import Placeholder

VERSION = 1


class ContractError(ValueError):
    """An output is not a contract that this version reads."""


def to_json(workload: Workload) -> dict[str, Any]:
    """Return a contract as JSON data; no secret value."""
    authorities = workload.authorities
    return {
        "version": VERSION,
        "name": workload.name,
        "region": workload.region,
        "operator": workload.operator,
        "namespace": workload.namespace,
        "serviceAccount": workload.service_account,
        "refreshSeconds": workload.refresh_seconds,
        "restart": workload.restart,
        "podIdentity": workload.pod_identity,
        "environment": {name: _value(value) for name, value in workload.environment.items()},
        "environmentFromAll": [_source(source) for source in workload.environment_from_all],
        "files": {path: _value(value) for path, value in workload.files.items()},
        "mountPath": workload.mount_path,
        **({"assumedRole": workload.assumed_role} if workload.assumed_role else {}),
        **({"authorities": _authorities(authorities)} if authorities else {}),
    }


def from_json(data: Mapping[str, Any]) -> Workload:
    """Return the contract that `to_json` made.

    Raises:
        ContractError: the data is not a contract of this version.
    """
    if data.get("version") != VERSION:
        raise ContractError(f"not a contract of version {VERSION}")
    try:
        return _workload(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"not a contract of version {VERSION}: {error!r}") from None


def _workload(data: Mapping[str, Any]) -> Workload:
    authorities = data.get("authorities")
    return Workload(
        name=data["name"],
        region=data["region"],
        operator=data["operator"],
        namespace=data["namespace"],
        service_account=data["serviceAccount"],
        refresh_seconds=int(data["refreshSeconds"]),
        restart=data["restart"],
        pod_identity=data["podIdentity"],
        environment={name: _read_value(value) for name, value in data["environment"].items()},
        environment_from_all=tuple(map(_read_source, data["environmentFromAll"])),
        files={path: _read_value(value) for path, value in data["files"].items()},
        mount_path=data["mountPath"],
        assumed_role=data.get("assumedRole"),
        authorities=Authorities(
            pem=authorities["pem"], path=authorities["path"], variables=tuple(authorities["variables"])
        )
        if authorities
        else None,
    )


def _authorities(authorities: Authorities) -> dict[str, Any]:
    return {"path": authorities.path, "pem": authorities.pem, "variables": list(authorities.variables)}


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, Source):
        return _source(value)
    return {
        "template": [_piece(piece) for piece in value.pieces],
        "sources": {name: _source(source) for name, source in value.sources.items()},
    }


def _source(source: Source) -> dict[str, str]:
    key = {} if source.key is None else {"key": source.key}
    return {"secretName": source.secret_name, "secretArn": source.secret_arn, **key}


def _piece(piece: str | Placeholder) -> str | dict[str, Any]:
    return {"placeholder": piece.name, "url": piece.url} if isinstance(piece, Placeholder) else piece


def _read_value(data: Mapping[str, Any]) -> Value:
    if "template" not in data:
        return _read_source(data)
    return Template(
        pieces=tuple(map(_read_piece, data["template"])),
        sources={name: _read_source(source) for name, source in data["sources"].items()},
    )


def _read_source(data: Mapping[str, Any]) -> Source:
    return Source(secret_name=data["secretName"], secret_arn=data["secretArn"], key=data.get("key"))


def _read_piece(data: str | Mapping[str, Any]) -> str | Placeholder:
    return data if isinstance(data, str) else Placeholder(data["placeholder"], url=data["url"])
