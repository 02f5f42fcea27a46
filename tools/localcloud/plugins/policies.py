"""JSON policy documents: how the provider stores, compares and rejects them."""

import json
from collections.abc import Callable

from tools.localcloud.plugins.property_types import Failure, snake_case


def text(document: object) -> str:
    """Return a policy document as AWS keeps it, of which boto3 makes an object."""
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def normal(text: object) -> object:
    """Return a policy document as the provider keeps it: keys sorted, no white space."""
    if not isinstance(text, str):
        return text
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except json.JSONDecodeError:
        return text


def version_first(text: object) -> object:
    """Return a policy document as some resources keep it: as `normal`, with `Version` before all else."""
    kept = normal(text)
    if not isinstance(kept, str):
        return kept
    try:
        document = json.loads(kept)
    except json.JSONDecodeError:
        return kept
    if not isinstance(document, dict) or "Version" not in document:
        return kept
    ordered = {"Version": document["Version"], **document}
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)


def as_known(known: object, found: str | None, normal_form: Callable[[object], object] = normal) -> object:
    """Return the policy for the outputs: the known text if AWS's answer means the same."""
    if not found:
        return ""
    return normal_form(known) if same(known, found) else normal_form(found)


def same(one: object, other: object) -> bool:
    """Return whether two documents mean the same; an empty one is none at all."""
    return _meaning(one) == _meaning(other)


def _meaning(document: object) -> object:
    if document in (None, "", "{}"):
        return None
    try:
        return _comparable(json.loads(str(document)))
    except json.JSONDecodeError:
        return document


def _comparable(part: object) -> object:
    """Return a document without the order of lists, and with one entry equal to a list of one."""
    if isinstance(part, dict):
        return {key: _comparable(item) for key, item in part.items()}
    if isinstance(part, list):
        items = [_comparable(item) for item in part]
        return (
            items[0] if len(items) == 1 else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
        )
    return part


def refusals(name: str, text: object) -> list[Failure]:
    """Return why an input is not a valid policy document, in the provider's words."""
    if not isinstance(text, str) or text == "{}":
        return []
    about = snake_case(name)
    if not text.strip():
        return [Failure(name, f'"{about}" is an empty string, which is not a valid JSON value')]
    if not text.lstrip().startswith("{"):
        return [Failure(name, f'"{about}" contains an invalid JSON policy: not a JSON object')]
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"{error.msg}, at byte offset {error.pos}"
        return [Failure(name, f'"{about}" contains an invalid JSON policy: {reason}')]
    return []
