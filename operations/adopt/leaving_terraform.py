"""Take adopted secrets out of Terraform, so that it destroys none of them.

Source: Terraform's documentation, "Remove resources from state" (`removed`, 1.7 and newer: an address
without instance keys) and "terraform state rm". A `removed` block for a resource that is still in the
configuration is an error, and changes nothing.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache

from operations.adopt.terraform_instance import SECRET, Instance

REMOVED_HEADING = "# Taken over by Pulumi: Terraform forgets them and destroys nothing."
"""First line of a file with `removed` blocks."""

_KEPT_HEADING = (
    "# In the same modules, and still in use: AWS keeps them, and neither Terraform nor Pulumi manages "
    "them.\n# Leave these blocks out for what stays in the configuration.\n"
)


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """The text and commands with which Terraform forgets secrets.

    Attributes:
        removed: the text of a file with `removed` blocks.
        commands: `terraform state rm` for each instance that was taken over.
        kept: the same for what else is in their modules, for when the modules leave the configuration.
        remarks: what to mind, each a sentence.
    """

    removed: str
    commands: Sequence[str]
    kept: Sequence[str]
    remarks: Sequence[str]


def leaving(instances: Sequence[Instance], taken: Iterable[str]) -> Leaving:
    """Return how Terraform forgets what was taken over.

    Args:
        instances: of the state.
        taken: addresses of the instances that were taken over.
    """
    adopted = set(taken)
    kept = {one.address for one in _in_same_modules(instances, adopted)}
    of_resource: dict[str, list[str]] = {}
    for one in instances:
        of_resource.setdefault(plain(one.resource), []).append(one.address)
    whole: list[str] = []
    others: list[str] = []
    remarks: list[str] = []
    for resource, same in of_resource.items():
        if (adopted | kept).issuperset(same):
            (others if adopted.isdisjoint(same) else whole).append(resource)
        elif not adopted.isdisjoint(same):
            remarks.append(
                f"{resource} has instances that were not taken over. A removed block would take out all of "
                "them, so use terraform state rm for those that were"
            )
    if kept:
        resources = dict.fromkeys(plain(one.resource) for one in instances if one.address in kept)
        remarks.append(
            f"The modules of the secrets also have {', '.join(resources)}. If you remove the modules from "
            "the configuration, Terraform destroys them unless it forgets them too; a KMS key, a rotation "
            "function or its role may still be in use"
        )
    text = f"{REMOVED_HEADING}\n{_blocks(whole)}"
    if others:
        text += f"\n{_KEPT_HEADING}{_blocks(others)}"
    return Leaving(
        removed=text if whole else "",
        commands=[_state_rm(one) for one in instances if one.address in adopted],
        kept=[_state_rm(one) for one in instances if one.address in kept],
        remarks=remarks,
    )


def _in_same_modules(instances: Sequence[Instance], adopted: AbstractSet[str]) -> list[Instance]:
    """Return what else leaves the configuration with the secrets' modules, such as their KMS keys.

    With a secret goes the outermost module whose secrets were all taken over and whose resources all depend
    on each other: thoughtbot's random-secret has the passwords, and in a module below it the secret and key.
    """
    enclosing = {one.module: _enclosing(one.module) for one in instances}
    within: dict[str, list[Instance]] = {}
    for one in instances:
        for module in enclosing[one.module]:
            within.setdefault(module, []).append(one)

    @cache
    def is_taken(module: str) -> bool:
        return all(one.address in adopted for one in within[module] if one.type == SECRET)

    @cache
    def is_of_secrets(module: str) -> bool:
        return is_taken(module) and _belong_together(within[module], adopted)

    gone: set[str] = set()
    for secret in instances:
        if secret.type == SECRET and secret.address in adopted and gone.isdisjoint(enclosing[secret.module]):
            around = [module for module in enclosing[secret.module] if is_of_secrets(module)]
            own = [secret.module] if secret.module and is_taken(secret.module) else []
            gone.update([*around, *own][:1])
    return [
        one for one in instances if one.address not in adopted and not gone.isdisjoint(enclosing[one.module])
    ]


def _belong_together(instances: Sequence[Instance], adopted: AbstractSet[str]) -> bool:
    """Return whether dependencies connect each instance with an adopted one."""
    here: dict[str, set[str]] = {}
    for one in instances:
        here.setdefault(plain(one.resource), set()).update(one.dependencies)
    found = {plain(one.resource) for one in instances if one.address in adopted}
    reached: set[str] = set()
    while found != reached:
        reached = set(found)
        for resource, dependencies in here.items():
            if resource in reached:
                found |= dependencies & here.keys()
            elif not reached.isdisjoint(dependencies):
                found.add(resource)
    return len(reached) == len(here)


_MODULE = re.compile(r'module\.[\w-]+(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])?')


def _enclosing(module: str) -> list[str]:
    """Return a module's address and those of the modules around it, the outermost first."""
    parts = _MODULE.findall(module)
    if ".".join(parts) != module:
        return [module] if module else []
    return [".".join(parts[: number + 1]) for number in range(len(parts))]


def plain(address: str) -> str:
    """Return an address without instance keys, which a removed block does not take."""
    plain, depth, quoted, escaped = "", 0, False, False
    for character in address:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"' and depth:
            quoted, escaped = True, False
        elif character == "[":
            depth += 1
        elif character == "]" and depth:
            depth -= 1
        elif not depth:
            plain += character
    return plain


def _state_rm(instance: Instance) -> str:
    return f"terraform state rm {shlex.quote(instance.address)}"


def _blocks(resources: Iterable[str]) -> str:
    return "\n".join(
        f"removed {{\n  from = {resource}\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
        for resource in resources
    )
