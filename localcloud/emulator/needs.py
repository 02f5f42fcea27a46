"""What a request must be allowed before it is served."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localcloud.emulator.authorization import Request, ResourcePolicy


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


def tag_context(tags: object, keys: object = None) -> dict[str, tuple[str, ...]]:
    """Condition keys for the tags of a request, however the service spells them."""
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
