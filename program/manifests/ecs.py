"""The parts of an ECS task definition that give a container secrets and certificate authorities."""

import shlex
from typing import Any

from program.manifests.contract import Authorities, Source, Workload, sources


def container_secrets(workload: Workload) -> list[dict[str, str]]:
    """Return `secrets` for a container definition: `[{"name": VARIABLE, "valueFrom": "ARN:KEY::"}]`.

    Each is the current version of one key, or of the whole secret.

    Raises:
        ValueError: the workload has files, templates or keys by pattern, which ECS cannot provide.

    Source: Amazon ECS Developer Guide, "Pass Secrets Manager secrets through environment variables".
    """
    if workload.files or workload.environment_from_all:
        raise ValueError(f"{workload.name}: ECS provides neither files nor all keys of a secret")
    return [
        {"name": variable, "valueFrom": _value_from(source)}
        for variable, source in sorted(sources(workload.name, workload.environment).items())
    ]


def _value_from(source: Source) -> str:
    return source.secret_arn if source.key is None else f"{source.secret_arn}:{source.key}::"


_NAME = "database-authorities"  # of the volume and of the container that fills it
_PEM_VARIABLE = "DATABASE_AUTHORITIES_PEM"


def database_authorities(authorities: Authorities) -> dict[str, Any]:
    """Return the parts of a task definition that give a container the authorities as a file.

    ECS cannot mount a text as a file, so a container that runs before the workload's own writes the file into
    a shared volume.

    Returns:
        `container` and `volumes` for the task definition; `container` needs an `image` that has `sh`.
        `environment`, `mountPoints` and `dependsOn` for the workload's container definition.

    Source: Amazon ECS API Reference, ContainerDefinition and ContainerDependency.
    """
    path = shlex.quote(authorities.path)
    mount = {"sourceVolume": _NAME, "containerPath": authorities.folder}
    return {
        "container": {
            "name": _NAME,
            "essential": False,
            "user": "0",  # a new volume belongs to root
            "entryPoint": ["sh", "-c"],
            "command": [f'printf %s "${_PEM_VARIABLE}" > {path} && chmod 644 {path}'],
            "environment": [{"name": _PEM_VARIABLE, "value": authorities.pem}],
            "mountPoints": [{**mount, "readOnly": False}],
        },
        "volumes": [{"name": _NAME}],
        "environment": [{"name": name, "value": value} for name, value in authorities.environment.items()],
        "mountPoints": [{**mount, "readOnly": True}],
        "dependsOn": [{"containerName": _NAME, "condition": "SUCCESS"}],
    }
