"""Permissions that a request needs before it is served."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.localcloud.emulator.authorization import Request, ResourcePolicy
from tools.localcloud.emulator.policy_conditions import Context


@dataclass(frozen=True)
class Need:
    """One permission that a request needs.

    Attributes:
        request: action, resource and condition keys.
        resource: the policy of that resource, and whose it is; None if the caller's account has it, with no
            policy of its own.
        shown: how a refusal names the resource, where AWS repeats what was asked for; else its ARN.
        in_kms: asked of KMS by another service, which says of a refusal no more than that.
        impossible: what AWS answers although every policy allows it.
    """

    request: Request
    resource: ResourcePolicy | None = None
    shown: str | None = None
    in_kms: bool = False
    impossible: str | None = None


@dataclass(frozen=True)
class Asked:
    """A request of another service than Secrets Manager; `service` is the prefix of its actions.

    `query` and `copy_source` are what S3 has of its own: the query string, and from where it copies.
    """

    service: str
    name: str
    region: str
    account: str
    path: str
    body: Mapping[str, Any]
    context: Context
    query: str = ""
    copy_source: str = ""

    def need(self, resource: str | None, name: str | None = None, **more: str) -> Need:
        """Return a need on this resource; `more` are condition keys with __ for the colon."""
        added = {key.replace("__", ":"): (value,) for key, value in more.items()}
        context = {**self.context, **added}
        return Need(Request(action=f"{self.service}:{name or self.name}", resource=resource, context=context))

    def arn(self, resource: str, *, everywhere: bool = False) -> str:
        """Return the ARN of a resource of this service in the caller's account."""
        return f"arn:aws:{self.service}:{'' if everywhere else self.region}:{self.account}:{resource}"


def tag_context(tags: object, keys: object = None) -> dict[str, tuple[str, ...]]:
    """Return condition keys for the tags of a request, however the service spells them."""
    found: dict[str, str] = {}
    if isinstance(tags, Mapping):
        found = {str(key): str(value) for key, value in tags.items()}
    elif isinstance(tags, Iterable) and not isinstance(tags, str):
        for tag in tags:
            if isinstance(tag, Mapping):
                key = tag.get("Key", tag.get("TagKey", tag.get("key", "")))
                found[str(key)] = str(tag.get("Value", tag.get("TagValue", tag.get("value", ""))))
    listed = [str(key) for key in keys] if isinstance(keys, list) else []
    context: dict[str, tuple[str, ...]] = {
        f"aws:requesttag/{key.lower()}": (value,) for key, value in found.items()
    }
    if found or listed:
        context["aws:tagkeys"] = (*found, *listed)
    return context
