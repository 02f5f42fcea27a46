"""Finds the stack that has each secret, in the states, which also record interrupted updates."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from operations import errors
from operations.fleet.errors import Move
from operations.fleet.partition import Partition
from operations.stack import Stack

_SECRET_TYPE = "aws:secretsmanager/secret:Secret"  # noqa: S105  a resource type
_COMPONENT_PREFIX = "aws-secrets:index:"

# Stack to its secrets: name in AWS to the URN of the component to move with it.
Locations = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class _Resource:
    urn: str
    type: str
    parent: str
    name_in_aws: str


def locate_secrets(stacks: Iterable[Stack], limit: int) -> Locations:
    """Read the secrets of stacks from their states, without decrypting values.

    Args:
        stacks: the stacks to read.
        limit: maximum number of states to read at once.

    Raises:
        OperationError: a state cannot be read.
    """
    known = list(stacks)
    with ThreadPoolExecutor(max(1, limit)) as threads:  # each waits for a process
        return dict(zip([stack.name for stack in known], threads.map(_secrets, known), strict=True))


def pending_moves(partition: Partition, locations: Locations, full_name: Callable[[str], str]) -> list[Move]:
    """Return the secrets that are in another stack than their group's.

    Args:
        partition: the groups.
        locations: the result of `locate_secrets`.
        full_name: returns the name to pass to Pulumi for a stack's name in URNs.
    """
    moves = []
    for stack, secrets in locations.items():
        for secret, urn in secrets.items():
            group = partition.group_of(secret)
            if group and full_name(group.stack) != stack:
                moves.append(Move(secret=secret, urn=urn, source=stack, target=full_name(group.stack)))
    return sorted(moves, key=lambda move: (move.source, move.secret))


def _secrets(stack: Stack) -> dict[str, str]:
    state: dict[str, Any] = json.loads(stack.cli.run(stack.name, "stack", "export"))
    deployment = state.get("deployment") or {}
    if not isinstance(deployment, dict):
        raise errors.EngineError(stack.name, "the format of its state is unknown to this program")
    resources = {resource.urn: resource for resource in _resources(deployment)}
    return {
        resource.name_in_aws: _outermost_component(resource, resources)
        for resource in resources.values()
        if resource.type == _SECRET_TYPE and resource.name_in_aws
    }


def _resources(deployment: Mapping[str, Any]) -> Iterator[_Resource]:
    # an interrupted creation may exist in AWS; a resource that is pending deletion is already replaced
    pending = [operation["resource"] for operation in deployment.get("pending_operations") or ()]
    for resource in (*pending, *(deployment.get("resources") or ())):
        if not resource.get("delete"):
            yield _Resource(
                urn=resource["urn"],
                type=resource["type"],
                parent=resource.get("parent", ""),
                name_in_aws=str((resource.get("inputs") or {}).get("name", "")),
            )


def _outermost_component(resource: _Resource, resources: Mapping[str, _Resource]) -> str:
    """Return the URN of the outermost component that contains a resource, or the resource's own."""
    parent = resources.get(resource.parent)
    if parent is None or not parent.type.startswith(_COMPONENT_PREFIX):
        return resource.urn
    return _outermost_component(parent, resources)
