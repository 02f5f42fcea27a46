"""Recover a stack whose last command was killed: its lock, and creations of unknown outcome.

The engine records a creation before it calls AWS. Killed in between, it cannot know whether the object
exists, and leaves that to the operator (`pulumi refresh` asks). Here AWS is asked: what exists is imported
under its id, the rest is created by the next `up`. Creating it blindly would fail for a name that is
taken, and a second version of a secret would take the place of a value that somebody wrote meanwhile.
"""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.localcloud.aws_objects import existing_id
from tools.localcloud.emulator_control import command_line
from tools.localcloud.layout import SetupError
from tools.localcloud.pulumi_commands import Stack, checkpoint, quietly


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """The result of a recovery: whether a lock was removed, the URNs whose object exists, and the others."""

    unlocked: bool
    found: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()


def recover(stack: Stack) -> Recovered:
    """Resolve what an interrupted command left behind, if anything.

    Raises:
        SetupError: The stack is locked by another update.
    """
    unlocked = _unlock(stack)
    pending = checkpoint(stack).get("pending_operations")
    # What was found has no outputs until the refresh below: interrupted before it, we must come back here.
    unfinished = stack.state / "recovery-unfinished"
    if not pending and not unfinished.exists():
        return Recovered(unlocked=unlocked)
    unfinished.touch()
    found, forgotten = _settle_creations(stack) if pending else ((), ())
    # Settles every other kind of pending operation too.
    quietly(stack, "refresh", "--yes", "--skip-preview", "--non-interactive", "--stack", stack.name)
    unfinished.unlink()
    return Recovered(unlocked=unlocked, found=found, forgotten=forgotten)


def _unlock(stack: Stack) -> bool:
    """Remove the locks of processes that have ended, and return whether there were any."""
    locks = list((stack.state / ".pulumi" / "locks").glob(f"**/{stack.project_name}/{stack.name}/*.json"))
    for lock in locks:
        try:
            holder = json.loads(lock.read_text())
        except (OSError, ValueError):  # it ended just now, or was killed while it wrote the lock
            continue
        here = holder.get("hostname") == socket.gethostname()
        command = command_line(int(holder.get("pid", 0)))
        if not here or (command and Path(command[0]).name == "pulumi"):
            raise SetupError(
                f"The stack {stack.name!r} is locked by another update: process {holder.get('pid')} "
                f"on {holder.get('hostname')}, since {holder.get('timestamp')}. Wait for it, or stop it and "
                "run this again."
            )
    if locks:
        quietly(stack, "cancel", "--yes", "--stack", stack.name)
    return bool(locks)


def _settle_creations(stack: Stack) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Turn each pending creation into a resource if its object exists, and drop it if not."""
    document: dict[str, Any] = json.loads(quietly(stack, "stack", "export", "--stack", stack.name))
    deployment = document["deployment"]
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    known = frozenset(str(resource["id"]) for resource in resources if "id" in resource)
    found, forgotten, others = [], [], []
    for operation in deployment.get("pending_operations") or []:
        if operation["type"] != "creating":
            others.append(operation)
            continue
        resource = operation["resource"]
        identifier = existing_id(resource["type"], resource.get("inputs", {}), known, stack.environment)
        if identifier is None:
            forgotten.append(resource["urn"])
            continue
        found.append(resource["urn"])
        for old in resources:
            # Made before the one that it replaces was deleted: the next `up` deletes that one.
            if old["urn"] == resource["urn"]:
                old["delete"] = True
        resources.append({**resource, "id": identifier, "outputs": resource.get("inputs", {})})
    deployment["resources"], deployment["pending_operations"] = resources, others
    quietly(stack, "stack", "import", "--stack", stack.name, given=json.dumps(document))
    return tuple(found), tuple(forgotten)
