"""Where secrets are now: read from the states, which know what an interrupted update made, too."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from automation import errors
from automation.fleet.division import Division
from automation.fleet.errors import Move
from automation.stack import Stack

_SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105  the name of a type
_OURS = "aws-secrets:index:"

# Stack to its secrets: name in AWS to the URN of the component that it goes with.
Placed = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class _Resource:
    urn: str
    type: str
    parent: str
    name_in_aws: str


def placed(stacks: Iterable[Stack], at_once: int) -> Placed:
    """What the states of these stacks have. Values in them stay encrypted, and are not kept.

    Raises:
        AutomationError: a state cannot be read.
    """
    known = list(stacks)
    with ThreadPoolExecutor(max(1, at_once)) as threads:  # each waits for a process
        return dict(zip([stack.name for stack in known], threads.map(_secrets, known), strict=True))


def moves(division: Division, found: Placed, called: Callable[[str], str]) -> list[Move]:
    """Secrets that are in another stack than the one of their group.

    Args:
        division: what each stack makes.
        found: see `placed`.
        called: a stack's name in URNs to the one by which Pulumi is asked for it.
    """
    elsewhere = []
    for stack, secrets in found.items():
        for secret, urn in secrets.items():
            group = division.group_of(secret)
            if group and called(group.stack) != stack:
                elsewhere.append(Move(secret=secret, urn=urn, source=stack, target=called(group.stack)))
    return sorted(elsewhere, key=lambda move: (move.source, move.secret))


def _secrets(stack: Stack) -> dict[str, str]:
    told: dict[str, Any] = json.loads(stack.cli.run(stack.name, "stack", "export"))
    deployment = told.get("deployment") or {}
    if not isinstance(deployment, dict):
        raise errors.EngineFailure(stack.name, "its state has a form that this program does not know")
    resources = {resource.urn: resource for resource in _resources(deployment)}
    return {
        resource.name_in_aws: _top(resource, resources)
        for resource in resources.values()
        if resource.type == _SECRET and resource.name_in_aws
    }


def _resources(deployment: Mapping[str, Any]) -> Iterator[_Resource]:
    # what a killed update was making may be there; what waits for its deletion is replaced already
    begun = [operation["resource"] for operation in deployment.get("pending_operations") or ()]
    for resource in (*begun, *(deployment.get("resources") or ())):
        if not resource.get("delete"):
            yield _Resource(
                urn=resource["urn"],
                type=resource["type"],
                parent=resource.get("parent", ""),
                name_in_aws=str((resource.get("inputs") or {}).get("name", "")),
            )


def _top(resource: _Resource, resources: Mapping[str, _Resource]) -> str:
    """URN of the outermost component that it is part of."""
    parent = resources.get(resource.parent)
    if parent is None or not parent.type.startswith(_OURS):
        return resource.urn
    return _top(parent, resources)
