"""Find declared changes that will not be applied to the live secret, from the inputs of its component."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ONCE = "once"
_WHOLE = {"text": "the text", "binary": "the binary value"}
_CONTENTS = {"keys": "a JSON object", "text": "one text", "binary": "binary"}
_MOST = 1_000_000  # far above what a stack file accepts


def undeployed_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield warnings about an update of a secret.

    Args:
        name: name of the component.
        old: its previous inputs: initialValues (key to source), text or binary (source), mode, removedKeys.
        new: its new inputs.

    Yields:
        Sentences, without values.
    """
    if "initialValues" not in old:
        return
    before, after = declared_values(old), declared_values(new)
    once = new.get("mode", ONCE) == ONCE
    if content_of(old) != content_of(new):
        if once or not replaces_content(new):
            yield _other_content(name, content_of(old), new, once=once)
        return
    came_in = not once and old.get("mode", ONCE) == ONCE
    yield from _added(name, [key for key in after if key not in before], once=once)
    left = [key for key in before if key not in after and key not in new.get("removedKeys", ())]
    yield from _left_behind(name, left, once=once)
    yield from _removed(name, asked_away(old, new), once=once)
    common = [key for key in after if key in before]
    renewed = raised(before, after)
    yield from _raised(name, renewed, once=once, came_in=came_in)
    for key in common:
        if generation_of(after[key]) < generation_of(before[key]):
            yield (
                f"{name}: the generation of {key} was lowered, which has no effect. To regenerate it, write "
                f"more than {generation_of(before[key])}."
            )
    changed = [
        key for key in common if key not in renewed and _origin_of(after[key]) != _origin_of(before[key])
    ]
    yield from _changed(name, changed, before, once=once)


def content_of(inputs: Mapping[str, Any]) -> str:
    """Return the kind of the secret's value, from the component's inputs: keys, text or binary."""
    return next((content for content in _WHOLE if content in inputs), "keys")


def declared_values(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return each key, or the words for the whole value, with its source, from the component's inputs."""
    content = content_of(inputs)
    if content in _WHOLE:
        return {_WHOLE[content]: inputs[content]}
    declared = inputs.get("initialValues")
    return declared if isinstance(declared, Mapping) else {}


def whole_name(inputs: Mapping[str, Any]) -> str | None:
    """Return the words for the whole value; None if the secret has keys."""
    return _WHOLE.get(content_of(inputs))


def replaces_content(new: Mapping[str, Any]) -> bool:
    """Return whether the writer replaces other content with a whole value, unless the secret is new to it."""
    return content_of(new) in _WHOLE and any(generation_of(one) > 1 for one in declared_values(new).values())


def contents_in_words(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str]:
    """Return the words for the secret's old and new kind of value, from the component's inputs."""
    return _CONTENTS[content_of(old)], _CONTENTS[content_of(new)]


def _other_content(name: str, before: str, new: Mapping[str, Any], *, once: bool) -> str:
    content = content_of(new)
    told = (
        f"{name}: the secret changes from {_CONTENTS[before]} to {_CONTENTS[content]}, and AWS keeps "
        "the value it has."
    )
    if content == "keys":
        if once:
            return f"{told} Write a JSON object in AWS by hand."
        return f"{told} The writer adds keys to a JSON object only: write one in AWS by hand first."
    [origin] = declared_values(new).values()
    if isinstance(origin, Mapping) and "filledByHand" in origin:
        return f"{told} Write the new value in AWS by hand."
    if once:
        return f"{told} Write the new value in AWS by hand, or initialValues: managed and then generation: 2."
    return f"{told} To have the new value written there, write generation: 2 next to it."


def generation_of(origin: object) -> int:
    """Return the generation in a key's source; 1 if it has none."""
    known = origin.get("generation", 1) if isinstance(origin, Mapping) else 1
    return int(known) if isinstance(known, (int, float)) and 1 <= known < _MOST else 1


def raised(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the keys whose generation was raised, from their sources."""
    return [key for key in after if key in before and generation_of(after[key]) > generation_of(before[key])]


def asked_away(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys that are newly to be removed, from the component's inputs."""
    known = old.get("removedKeys") or ()
    return [key for key in new.get("removedKeys") or () if key not in known]


def _origin_of(origin: object) -> object:
    if isinstance(origin, Mapping):
        kept = {part: about for part, about in origin.items() if part != "generation"}
        return kept["value"] if kept.keys() == {"value"} else kept
    return origin


def _added(name: str, keys: Sequence[str], *, once: bool) -> Iterator[str]:
    if keys and once:
        yield (
            f"{name}: {_listed(keys)} will not be applied, because the secret has been written already and "
            "initialValues is once. Write initialValues: managed for it, or add the key in AWS by hand."
        )


def _left_behind(name: str, keys: Sequence[str], *, once: bool) -> Iterator[str]:
    if keys:
        remedy = "remove it in AWS by hand" if once else f"write removedKeys: [{', '.join(keys)}]"
        yield f"{name}: {_listed(keys)} stays in AWS. To have it removed there, {remedy}."


def _removed(name: str, keys: Sequence[str], *, once: bool) -> Iterator[str]:
    if keys and once:
        yield (
            f"{name}: {_listed(keys)} in removedKeys stays in AWS, because initialValues is once. Write "
            "initialValues: managed for it, or remove the key in AWS by hand."
        )


def _raised(name: str, keys: Sequence[str], *, once: bool, came_in: bool) -> Iterator[str]:
    if keys and once:
        yield (
            f"{name}: the generation of {_listed(keys)} will not be applied, because initialValues is once. "
            "Write initialValues: managed for it, update, and raise the generation after that."
        )
    elif keys and came_in:
        yield (
            f"{name}: {_listed(keys)} may keep its value: a writer that is new to a secret does "
            "not regenerate. If so, raise the generation once more after this update."
        )


def _changed(name: str, keys: Sequence[str], before: Mapping[str, Any], *, once: bool) -> Iterator[str]:
    for key in keys:
        remedy = (
            "Change it in AWS by hand, or write initialValues: managed and, after an update, raise generation"
            if once
            else f"To have it written there, write generation: {generation_of(before[key]) + 1} next to it"
        )
        yield f"{name}: {key} was changed, and AWS keeps the value it has. {remedy}."


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys)
