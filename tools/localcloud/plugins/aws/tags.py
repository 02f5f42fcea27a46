"""Tags of AWS objects between Pulumi's map and AWS's lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.localcloud.plugins.values import Properties


def as_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return a map as AWS's list of pairs."""
    return [{key: name, value: text} for name, text in tags.items()]


def as_map(pairs: Sequence[Mapping[str, str]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Return AWS's list of pairs as a map, without AWS's own tags."""
    return {pair[key]: pair[value] for pair in pairs if not pair[key].startswith("aws:")}


def own(tags: Mapping[str, str]) -> dict[str, str]:
    """Return a map of tags without AWS's own."""
    return {name: text for name, text in tags.items() if not name.startswith("aws:")}


def outputs(found: Mapping[str, str], given: Properties, default_tags: Mapping[str, str]) -> Properties:
    """Return `tags` and `tagsAll` of an object: what the provider adds is not in `tags`."""
    own = given.get("tags") or {}
    tags = {name: text for name, text in found.items() if name in own or default_tags.get(name) != text}
    return {"tags": tags, "tagsAll": dict(found)}


@dataclass(frozen=True)
class TagChange:
    """Tags to set and tags to remove."""

    put: dict[str, str]
    remove: list[str]


def change(olds: Properties, news: Properties) -> TagChange:
    """Return the change from the old `tagsAll` to the new."""
    old, new = olds.get("tagsAll") or {}, news.get("tagsAll") or {}
    return TagChange(
        put={name: text for name, text in new.items() if old.get(name) != text},
        remove=[name for name in old if name not in new],
    )
