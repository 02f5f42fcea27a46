"""What a resource of a stand-in plugin is, and what all have in common: Check, Diff and previews."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.plugins.values import UNKNOWN, Properties, Secret, unwrapped

# How the bridge tells of an attribute for time-outs; it is kept in state and otherwise unused here.
TIMEOUTS = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0"


@dataclass(frozen=True)
class Failure:
    """An input that Check refuses: the property's path below the resource's name, and why."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource token.

    Attributes:
        token: for example `aws:kms/key:Key`.
        inputs, outputs: the recorded schema: property to {type, required, replace, secret}.
        defaults: inputs that Check fills in.
        fixed_defaults: what outputs hold for an input that is left out and that Check does not fill in.
        autoname: template of the automatic name, `{}` for the logical name with a random suffix.
        policies: properties that are JSON policy documents, compared by meaning.
        sets: lists whose order says nothing.
        create_timeout: seconds that the bridge records in `__meta`, or None.
        check: further refusals.
        create: inputs to the id, by which the outputs are then read, or to the outputs.
        read: id and last known outputs to outputs, or None if it is gone.
        update: id, old outputs, new inputs.
        delete: id, old outputs.
        meta_replacements: properties whose change replaces the resource, which the bridge lays to `__meta`.
    """

    token: str
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]
    create: Callable[[Any, Properties], str | Properties]
    read: Callable[[Any, str, Properties], Properties | None]
    update: Callable[[Any, str, Properties, Properties], None]
    delete: Callable[[Any, str, Properties], None]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed_defaults: Mapping[str, Any] = field(default_factory=dict)
    autoname: str | None = None
    policies: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    create_timeout: int | None = None
    check: Callable[[Properties], list[Failure]] = lambda _: []
    meta_replacements: frozenset[str] = frozenset()

    @property
    def secrets(self) -> frozenset[str]:
        """Properties that are secret by the schema."""
        described = {**self.outputs, **self.inputs}
        return frozenset(name for name, about in described.items() if about.get("secret"))


def normal_policy(text: object) -> object:
    """A policy document as the provider keeps it: keys sorted, no white space."""
    if not isinstance(text, str):
        return text
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except json.JSONDecodeError:
        return text


def _automatic_name(template: str, logical_name: str, seed: bytes) -> str:
    # alphanumeric names with the separators that AWS's names share
    return template.format(f"{logical_name}-{hashlib.sha256(seed).hexdigest()[:7]}")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What Check is asked: the last inputs, the program's, and what the provider's configuration adds."""

    logical_name: str
    olds: Properties
    news: Properties
    seed: bytes
    default_tags: Mapping[str, str]
    region: str | None


def check(resource: Resource, asked: Checked) -> tuple[Properties, list[Failure]]:
    """Inputs with defaults, and what is refused."""
    inputs = {key: value for key, value in asked.news.items() if value is not None and key != "__defaults"}
    defaulted = []
    if resource.autoname and not {"name", "namePrefix"} & inputs.keys():
        kept = asked.olds.get("name") if "name" in asked.olds.get("__defaults", []) else None
        inputs["name"] = kept or _automatic_name(resource.autoname, asked.logical_name, asked.seed)
        defaulted.append("name")
    for name, value in resource.defaults.items():
        if name not in inputs:
            inputs[name] = value
            defaulted.append(name)
    if asked.region and "region" in resource.inputs:
        inputs.setdefault("region", asked.region)
    if "tagsAll" in resource.outputs:
        tags = inputs.get("tags", {})
        inputs["tagsAll"] = UNKNOWN if tags is UNKNOWN else {**asked.default_tags, **tags}
    failures = [*_wrong_inputs(resource, asked.news), *resource.check(inputs)]
    for name in resource.secrets & inputs.keys():
        inputs[name] = Secret(inputs[name])
    return {**inputs, "__defaults": sorted(defaulted)}, failures


def _wrong_inputs(resource: Resource, news: Properties) -> list[Failure]:
    failures = [
        Failure("", f"Missing required argument. The argument {_snake(name)!r} is required")
        for name, about in resource.inputs.items()
        if about.get("required") and news.get(name) is None
    ]
    for name, value in news.items():
        if name == "__defaults" or value is None or value is UNKNOWN:
            continue
        if name not in resource.inputs:
            failures.append(Failure(name, f"Invalid or unknown key. Examine values at {name!r}"))
        elif not _fits(resource.inputs[name]["type"], value):
            failures.append(Failure(name, f"expected {_type_name(resource.inputs[name]['type'])}"))
    return failures


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)


def _type_name(declared: object) -> str:
    if isinstance(declared, dict):
        return "a map"
    return "a list" if isinstance(declared, list) else f"a {declared}"


_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "string": str,
}


def _fits(declared: object, value: object) -> bool:
    if isinstance(declared, dict):
        return isinstance(value, dict)
    if isinstance(declared, list):
        return isinstance(value, list)
    if not isinstance(declared, str) or declared not in _PYTHON_TYPES:
        return True  # an object type, an asset or an archive: AWS judges it
    return isinstance(value, _PYTHON_TYPES[declared]) and (
        declared == "boolean" or not isinstance(value, bool)
    )


def preview(resource: Resource, inputs: Properties) -> Properties:
    """What a preview knows of a resource that does not exist yet."""
    found = {name: _known_in_preview(resource, name, inputs) for name in resource.outputs}
    if resource.create_timeout:
        found["__meta"] = json.dumps(
            {"_new_extra_shim": {}, TIMEOUTS: {"create": resource.create_timeout * 10**9}},
            separators=(",", ":"),
        )
    return finished(resource, {**found, "id": UNKNOWN})


def _known_in_preview(resource: Resource, name: str, inputs: Properties) -> object:
    value = inputs.get(name)
    if value is not None and not (name == "tagsAll" and value == {}):
        return normal_policy(value) if name in resource.policies else value
    if name in resource.fixed_defaults:
        return resource.fixed_defaults[name]
    return UNKNOWN if resource.outputs[name].get("required") else None


def finished(resource: Resource, outputs: Properties, *, timeouts: bool = True) -> Properties:
    """Properties with the time-outs that the bridge records in outputs, and secrets marked."""
    if resource.create_timeout and timeouts and "__meta" not in outputs:
        recorded = json.dumps({TIMEOUTS: {"create": resource.create_timeout * 10**9}}, separators=(",", ":"))
        outputs = {"__meta": recorded, **outputs}
    return {
        name: Secret(unwrapped(value)) if name in resource.secrets else value
        for name, value in outputs.items()
    }


def read_inputs(resource: Resource, old_inputs: Properties, outputs: Properties) -> Properties:
    """The inputs that a refresh records: those that were given, as they are now; all, after an import."""
    if not old_inputs:
        given = {
            name: outputs[name]
            for name in resource.inputs
            if name in outputs and outputs[name] not in (None, "", {}, [], False)
        }
        if "tagsAll" in resource.outputs:
            given["tagsAll"] = outputs.get("tagsAll") or {}
        return {**given, "__defaults": []}
    now: Properties = {}
    for name, old in old_inputs.items():
        new = outputs.get(name, old)
        if isinstance(old, dict) and isinstance(new, dict):
            now[name] = {key: new[key] for key in old if key in new}
        elif name in resource.policies and normal_policy(old) == new:
            now[name] = old
        else:
            now[name] = new
    return now


@dataclass(frozen=True)
class Difference:
    """What Diff answers: path to (kind, needs a replacement); kind is ADD, UPDATE or DELETE."""

    details: Mapping[str, tuple[str, bool]]
    stables: list[str]

    @property
    def changed(self) -> list[str]:
        """Top-level properties that differ."""
        return sorted({_top(path) for path in self.details})

    @property
    def replaces(self) -> list[str]:
        """Those whose change replaces the resource."""
        return sorted({_top(path) for path, (_, replaces) in self.details.items() if replaces})


def _top(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def diff(resource: Resource, olds: Properties, news: Properties, ignored: list[str]) -> Difference:
    """Compares the last outputs with new inputs, by property and below maps by key."""
    details: dict[str, tuple[str, bool]] = {}
    replacing = {name for name, about in resource.inputs.items() if about.get("replace")}
    names = [*resource.inputs, *(["tagsAll"] if "tagsAll" in resource.outputs else [])]
    for name in names:
        if name in ignored:
            continue
        for path, kind in _changes(resource, name, olds.get(name), news.get(name), given=name in news):
            details[path] = (kind, name in replacing)
            if name in resource.meta_replacements:
                details["__meta"] = ("UPDATE", True)
    return Difference(details, sorted(replacing - {_top(path) for path in details}))


_EMPTY: tuple[object, ...] = (None, "", {}, [], False, 0)


def _changes(
    resource: Resource,
    name: str,
    old: object,
    new: object,
    *,
    given: bool,
) -> list[tuple[str, str]]:
    if not given or new is None:
        computed = resource.outputs.get(name, {}).get("required")
        kept = computed or old in _EMPTY or old == resource.fixed_defaults.get(name)
        return [] if kept else [(name, "DELETE")]
    if _same(resource, name, old, new):
        return []
    if isinstance(new, dict) and isinstance(old, dict):
        return [
            (f"{name}.{key}", "DELETE" if key not in new else "UPDATE" if key in old else "ADD")
            for key in sorted({*old, *new})
            if key not in old or key not in new or old[key] != new[key]
        ]
    return [(name, "ADD" if new is not UNKNOWN and old in (None, {}, []) else "UPDATE")]


def _same(resource: Resource, name: str, old: object, new: object) -> bool:
    if new is UNKNOWN:
        return False
    if name in resource.policies:
        return normal_policy(old) == normal_policy(new)
    if name in resource.sets and isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(any(_is_given(item, found) for found in old) for item in new)
    return bool(old == new) or (old is None and new in ("", {}, [], False))


def _is_given(given: object, found: object) -> bool:
    """Whether an element of a set is what was given; what AWS adds to an object does not count."""
    if isinstance(given, dict) and isinstance(found, dict):
        return all(found.get(key) == item for key, item in given.items() if item)
    return given == found
