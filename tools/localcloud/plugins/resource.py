"""Resources of a stand-in plugin, and what they have in common: Check, Diff, previews, refreshes."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.property_types import Described, Failure, checked_object, snake_case
from tools.localcloud.plugins.values import UNKNOWN, Properties, Secret, unwrapped

# How the bridge tells of an attribute for time-outs; it is kept in state and otherwise unused here.
TIMEOUTS = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource token.

    Attributes:
        token: for example `aws:kms/key:Key`.
        inputs, outputs, types: the recorded schema: property to {type, required, replace, secret}, and the
            properties of the object types that they name.
        create: inputs to the id, by which the outputs are then read, or to the outputs.
        read: id and last known outputs (none for an import) to outputs, or None if it is gone.
        update: id, old outputs, new inputs; to None, after which the outputs are read, or to the outputs.
        delete: id, old outputs.
        defaults: inputs that Check fills in.
        fixed_defaults: what outputs hold for an input that is left out and that Check does not fill in.
        planned: inputs to inputs, with what else they imply.
        autoname: template of the automatic name, `{}` for the logical name with a random suffix.
        named: the property that holds the name; with `Prefix` behind it, what a name may be made from.
        conflicts: inputs of which only one may be given.
        policies: properties that are JSON policy documents, compared by meaning.
        normal_policy: a policy document as the provider keeps it.
        sets: lists whose order says nothing.
        equivalent: property to whether an old output and a new input mean the same.
        computed_parts: parts of objects that AWS fills in when they are left out, as `vpcConfig.vpcId`.
        left_out: optional properties to what AWS has for one that is left out.
        renewed: new inputs and the names of what changed, to outputs that get another value by it.
        unreadable: outputs that AWS does not tell; after a failed update the old value stays, so that the
            next update tries again.
        timeouts: operation to seconds, which the bridge records in `__meta`.
        check: further refusals, of inputs that have the declared types or are UNKNOWN.
        meta_replacements: properties whose change replaces the resource, which the bridge lays to `__meta`;
            given new inputs.
        plugin_framework: whether the real resource is of Terraform's newer plugin framework, whose bridge
            keeps no list of defaults in inputs.
    """

    token: str
    inputs: Described
    outputs: Described
    create: Callable[[Any, Properties], str | Properties]
    read: Callable[[Any, str, Properties], Properties | None]
    update: Callable[[Any, str, Properties, Properties], Properties | None]
    delete: Callable[[Any, str, Properties], None]
    types: Mapping[str, Described] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed_defaults: Mapping[str, Any] = field(default_factory=dict)
    planned: Callable[[Properties], Properties] = lambda inputs: inputs
    autoname: str | None = None
    named: str = "name"
    conflicts: tuple[frozenset[str], ...] = ()
    normal_policy: Callable[[object], object] = policies.normal
    policies: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    equivalent: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)
    computed_parts: frozenset[str] = frozenset()
    left_out: Mapping[str, Any] = field(default_factory=dict)
    renewed: Callable[[Properties, frozenset[str]], frozenset[str]] = lambda _, __: frozenset()
    unreadable: frozenset[str] = frozenset()
    timeouts: Mapping[str, int] = field(default_factory=dict)
    check: Callable[[Properties], list[Failure]] = lambda _: []
    meta_replacements: Callable[[Properties], frozenset[str]] = lambda _: frozenset()
    plugin_framework: bool = False

    @property
    def secrets(self) -> frozenset[str]:
        """Properties that are secret by the schema."""
        described = {**self.outputs, **self.inputs}
        return frozenset(name for name, about in described.items() if about.get("secret"))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The arguments of Check.

    Attributes:
        olds, news: the last inputs and the program's.
        seed: of the automatic name.
        naming: the operator's `pulumi:autonaming`: propose, enforce or disable, and the proposed name.
        default_tags, region: what the provider's configuration adds.
    """

    logical_name: str
    olds: Properties
    news: Properties
    seed: bytes
    naming: tuple[str, str] | None = None
    default_tags: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None


def check(resource: Resource, asked: Checked) -> tuple[Properties, list[Failure]]:
    """Return inputs with defaults, and what is rejected."""
    inputs, failures = checked_object(resource.inputs, resource.types, asked.news)
    failures += _conflicts(resource, inputs)
    defaulted = []
    named = resource.named
    if resource.autoname and not {named, f"{named}Prefix"} & inputs.keys():
        kept = asked.olds.get(named) if named in asked.olds.get("__defaults", []) else None
        name = kept or _automatic_name(resource.autoname, asked)
        if name is None:
            failures.append(Failure("", "automatic naming is disabled but no explicit name was provided"))
        else:
            inputs[named] = name
            defaulted.append(named)
    for name, value in resource.defaults.items():
        if name not in inputs:
            inputs[name] = value
            defaulted.append(name)
    if asked.region and "region" in resource.inputs:
        inputs.setdefault("region", asked.region)
    if "tagsAll" in resource.outputs:
        tags = inputs.get("tags", {})
        known = tags if isinstance(tags, dict) else {}
        inputs["tagsAll"] = UNKNOWN if tags is UNKNOWN else {**asked.default_tags, **known}
    for name in sorted(resource.policies & inputs.keys()):
        failures += policies.refusals(name, inputs[name])
    refused = {_top(failure.path) for failure in failures}
    failures += resource.check({name: value for name, value in inputs.items() if name not in refused})
    for name in resource.secrets & inputs.keys():
        inputs[name] = Secret(inputs[name])
    if not resource.plugin_framework:
        inputs = {
            name: _with_defaults(resource.inputs.get(name, {}).get("type"), resource.types, value)
            for name, value in inputs.items()
        }
        inputs["__defaults"] = sorted(defaulted)
    return inputs, failures


def _with_defaults(declared: Any, types: Mapping[str, Described], value: Any) -> Any:  # noqa: ANN401  JSON
    """Return an input with the bridge's list of defaults in each object of a declared type."""
    if isinstance(declared, list) and isinstance(value, list):
        return [_with_defaults(declared[0], types, item) for item in value]
    if not isinstance(declared, str) or declared not in types or not isinstance(value, dict):
        return value
    parts = types[declared]
    found = {
        name: _with_defaults(parts.get(name, {}).get("type"), types, item) for name, item in value.items()
    }
    return {"__defaults": [], **found}


def _without_defaults(value: Any) -> Any:  # noqa: ANN401  any property value
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_defaults(item) for name, item in value.items() if name != "__defaults"}
    return value


def _automatic_name(template: str, asked: Checked) -> str | None:
    """Return a name for a resource that was given none, or None if that is forbidden."""
    if asked.naming is None:
        suffix = hashlib.sha256(asked.seed or os.urandom(32)).hexdigest()[:7]
        return template.format(f"{asked.logical_name}-{suffix}")
    mode, proposed = asked.naming
    return {"enforce": proposed, "propose": template.format(proposed)}.get(mode)


def _conflicts(resource: Resource, inputs: Properties) -> list[Failure]:
    return [
        Failure(
            name,
            f'Conflicting configuration arguments. "{snake_case(name)}": conflicts with {snake_case(other)}',
        )
        for group in resource.conflicts
        for name in sorted(group & inputs.keys())
        for other in sorted(group & inputs.keys() - {name})
    ]


def _planned(resource: Resource, inputs: Properties) -> Properties:
    given: Properties = _without_defaults(resource.planned(inputs))
    return {**resource.fixed_defaults, **given}


def preview(resource: Resource, inputs: Properties) -> Properties:
    """Return what a preview knows of a resource that does not exist yet."""
    planned = _planned(resource, inputs)
    found = {name: _known_in_preview(resource, name, planned) for name in resource.outputs}
    if resource.timeouts:
        found["__meta"] = json.dumps({"_new_extra_shim": {}, **_timeouts(resource)}, separators=(",", ":"))
    return finished(resource, {**found, "id": UNKNOWN})


def _timeouts(resource: Resource) -> Properties:
    return {TIMEOUTS: {name: seconds * 10**9 for name, seconds in resource.timeouts.items()}}


def _known_in_preview(resource: Resource, name: str, planned: Properties) -> object:
    value = planned.get(name)
    if value is not None and not (name == "tagsAll" and value == {}):
        return resource.normal_policy(value) if name in resource.policies else _whole(resource, name, value)
    return UNKNOWN if resource.outputs[name].get("required") else None


def _whole(resource: Resource, name: str, value: object) -> object:
    """Return an object with None for the parts that it could have and has not."""
    declared = resource.outputs[name].get("type")
    if not isinstance(value, dict) or not isinstance(declared, str):
        return value
    return {**dict.fromkeys(resource.types.get(declared, {})), **value}


def after_update(resource: Resource, olds: Properties, news: Properties) -> Properties:
    """Return outputs as an update plans them: only what it changes differs."""
    planned = _planned(resource, news)
    given = {
        name: resource.normal_policy(value) if name in resource.policies else value
        for name, value in planned.items()
        if name in resource.outputs
    }
    taken_away = {
        name: None
        for name in resource.inputs
        if name in olds and name not in planned and not resource.outputs.get(name, {}).get("required")
    }
    return {**olds, **taken_away, **given}


def preview_update(resource: Resource, olds: Properties, news: Properties) -> Properties:
    """Return what a preview knows of an update."""
    renewed = resource.renewed(news, frozenset(diff(resource, olds, news, []).changed))
    return {**after_update(resource, olds, news), **dict.fromkeys(renewed, UNKNOWN)}


def after_failed_update(resource: Resource, olds: Properties, news: Properties) -> Properties:
    """Return the outputs to record when an update failed half-way."""
    kept = {name: olds.get(name) for name in resource.unreadable if name in olds}
    return {**after_update(resource, olds, news), **kept}


def without_empty(resource: Resource, planned: Properties, found: Properties) -> Properties:
    """Return outputs as Terraform keeps them after a change.

    What was planned to be an empty list or map stays so, and an optional one that was not given stays None.
    """

    def kept(name: str, value: object) -> object:
        plan = planned.get(name)
        if isinstance(value, (list, dict)) and plan in ([], {}):
            return plan
        optional = not resource.outputs.get(name, {}).get("required")
        return None if optional and value in ([], {}) and plan is None else value

    return {name: kept(name, value) for name, value in found.items()}


def without_ignored(olds: Properties, news: Properties, ignored: list[str]) -> Properties:
    """Return new inputs with the old outputs for properties whose changes are ignored."""
    kept = dict(news)
    for entry in ignored:
        name, _, key = _plain_path(entry).partition(".")
        old = olds.get(name)
        if not key:
            kept[name] = old
        elif isinstance(old, dict) and isinstance(kept.get(name), dict):
            others = {other: item for other, item in kept[name].items() if other != key}
            kept[name] = {**others, **({key: old[key]} if key in old else {})}
    return kept


def without_unknowns(properties: Properties) -> Properties:
    """Return the known properties."""
    return {name: value for name, value in properties.items() if unwrapped(value) is not UNKNOWN}


def finished(resource: Resource, outputs: Properties, *, timeouts: bool = True) -> Properties:
    """Return properties with the timeouts that the bridge records in outputs, and secrets marked."""
    if resource.timeouts and timeouts and "__meta" not in outputs:
        recorded = json.dumps(_timeouts(resource), separators=(",", ":"))
        outputs = {"__meta": recorded, **outputs}
    return {
        name: Secret(unwrapped(value)) if name in resource.secrets else value
        for name, value in outputs.items()
    }


def refreshed_inputs(resource: Resource, old_inputs: Properties, outputs: Properties) -> Properties:
    """Return the inputs that a refresh records: those that were given, as they are now."""
    now: Properties = {}
    planned = resource.planned(old_inputs)
    for name, old in old_inputs.items():
        normal = resource.normal_policy(old) if name in resource.policies else planned.get(name)
        kept = normal != old and normal == outputs.get(name)
        if kept or name == "__defaults":
            now[name] = old
        elif name in outputs:
            now[name] = _refreshed(old, outputs[name], is_set=name in resource.sets)
    return now


def _refreshed(old: Any, new: Any, *, is_set: bool = False) -> Any:  # noqa: ANN401  any property value
    if isinstance(old, dict) and isinstance(new, dict):
        now = {**new, "__defaults": old.get("__defaults")}
        return {key: _refreshed(item, now[key]) for key, item in old.items() if key in now}
    if isinstance(old, list) and isinstance(new, list):
        found = _matched(old, new) if is_set else new
        return [_refreshed(before, after) for before, after in zip(old, found, strict=False)]
    return new


def _matched(old: list[Any], new: list[Any]) -> list[Any]:
    """Return the elements of a set of objects in the order of the old ones that they resemble most."""
    if not all(isinstance(item, dict) for item in [*old, *new]):
        return new
    left = list(new)
    matched = []
    for item in old:
        if left:
            closest = max(left, key=lambda found: sum(found.get(key) == item[key] for key in item))
            left.remove(closest)
            matched.append(closest)
    return matched


def imported_inputs(resource: Resource, outputs: Properties) -> Properties:
    """Return the inputs that an import records: all that are neither a default nor empty."""
    known_defaults = {**resource.fixed_defaults, **resource.defaults}
    found: Properties = {}
    for name in [*resource.inputs, "tagsAll"]:
        value = outputs.get(name)
        left_out = value == known_defaults[name] if name in known_defaults else value in EMPTY
        if name in outputs and (resource.inputs.get(name, {}).get("required") or not left_out):
            found[name] = {**value, "__defaults": []} if isinstance(value, dict) else value
    return found if resource.plugin_framework else {**found, "__defaults": []}


@dataclass(frozen=True)
class Difference:
    """The answer of Diff.

    Attributes:
        details: path to kind (ADD, UPDATE or DELETE) and whether it needs a replacement.
        stables: properties that keep their value whatever else happens.
        delete_before_replace: whether the old one must go first, because the new one has the same name.
    """

    details: Mapping[str, tuple[str, bool]]
    stables: list[str]
    delete_before_replace: bool

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
    """Compare the last outputs with new inputs."""
    details: dict[str, tuple[str, bool]] = {}
    planned = _planned(resource, news)
    forcing = {name for name, about in resource.inputs.items() if about.get("replace")}
    # another region is another place: nothing can be moved there
    replacing = forcing | ({"region"} if olds.get("region") and planned.get("region") else set())
    names = [*resource.inputs, *(["tagsAll"] if "tagsAll" in resource.outputs else [])]
    meta_replacements = resource.meta_replacements(planned)
    for name in names:
        new = planned.get(name)
        for path, kind in _changes(resource, name, _asked_for(resource, name, olds.get(name), new), new):
            if _is_ignored(path, ignored):
                continue
            details[path] = ("DELETE" if name not in news and kind == "UPDATE" else kind, name in replacing)
            if name in meta_replacements:
                details["__meta"] = ("UPDATE", True)
    for name in resource.renewed(planned, frozenset(map(_top, details))):
        details[name] = ("UPDATE", False)
    replaced = {_top(path) for path, (_, replaces) in details.items() if replaces}
    named = (
        resource.autoname is not None
        and resource.named in news
        and resource.named not in news.get("__defaults", [resource.named])
    )
    return Difference(details, sorted(forcing - replaced), bool(replaced) and named)


def _asked_for(resource: Resource, name: str, old: object, new: object) -> object:
    """Return an old object without what the new one leaves to AWS or leaves out as empty."""
    declared = resource.inputs.get(name, {}).get("type")
    if not (isinstance(declared, str) and isinstance(old, dict) and isinstance(new, dict)):
        return old
    return {
        part: value
        for part, value in old.items()
        if part in new or (value not in EMPTY and f"{name}.{part}" not in resource.computed_parts)
    }


def _is_ignored(path: str, ignored: list[str]) -> bool:
    plain = map(_plain_path, ignored)
    path = _plain_path(path)
    return any(path == entry or path.startswith((f"{entry}.", f"{entry}[")) for entry in plain)


def _plain_path(path: str) -> str:
    return re.sub(r"\.?\[\"([^\"]*)\"\]", r".\1", path)


EMPTY: tuple[object, ...] = (None, "", {}, [], False, 0)


def _changes(resource: Resource, name: str, old: object, new: object) -> Iterator[tuple[str, str]]:
    computed = resource.outputs.get(name, {}).get("required")
    if new is None or (computed and new == []):
        if not computed and old not in EMPTY and old != resource.left_out.get(name):
            yield name, "DELETE"
        return
    if not _same(resource, name, old, new):
        yield from _differences(name, old, new, is_set=name in resource.sets, top=True)


def _differences(
    path: str,
    old: Any,  # noqa: ANN401  any property value
    new: Any,  # noqa: ANN401  any property value
    *,
    is_set: bool = False,
    top: bool = False,
) -> Iterator[tuple[str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _differences_of_parts(
            {f"{path}{_step(key)}": item for key, item in old.items() if key != "__defaults"},
            {f"{path}{_step(key)}": item for key, item in new.items() if key != "__defaults"},
        )
    elif is_set and isinstance(old, list) and isinstance(new, list):
        yield from _differences_of_sets(path, old, new)
    elif isinstance(old, list) and isinstance(new, list) and (old or not top):
        yield from _differences_of_parts(
            {f"{path}[{at}]": item for at, item in enumerate(old)},
            {f"{path}[{at}]": item for at, item in enumerate(new)},
        )
    elif new is UNKNOWN or old != new:
        yield path, "ADD" if new is not UNKNOWN and old in (None, {}, []) else "UPDATE"


def _step(key: str) -> str:
    """Return a map's key in a path, as the bridge writes it."""
    if not re.search(r"[.\"\[\]]", key):
        return f".{key}"
    quoted = key.replace('"', '\\"')
    return f'.["{quoted}"]'


def _differences_of_parts(old: Properties, new: Properties) -> Iterator[tuple[str, str]]:
    for path in sorted({*old, *new}):
        if path not in new:
            yield path, "DELETE"
        elif path not in old:
            yield path, "ADD"
        else:
            yield from _differences(path, old[path], new[path])


def _differences_of_sets(path: str, old: list[Any], new: list[Any]) -> Iterator[tuple[str, str]]:
    for at, item in enumerate(old):
        if not any(_is_given(given, item) for given in new):
            yield f"{path}[{at}]", "DELETE"
    for at, given in enumerate(new):
        if not any(_is_given(given, item) for item in old):
            yield f"{path}[{at}]", "ADD"


def _same(resource: Resource, name: str, old: object, new: object) -> bool:
    if new is UNKNOWN:
        return False
    if name in resource.policies:
        return policies.same(old, new)
    if name in resource.equivalent and resource.equivalent[name](old, new):
        return True
    if name in resource.sets and isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(any(_is_given(item, found) for found in old) for item in new)
    return bool(old == new) or (old is None and new in ("", {}, [], False))


def _is_given(given: object, found: object) -> bool:
    """Return whether an element of a set is what was given; what AWS adds to an object does not count."""
    if isinstance(given, dict) and isinstance(found, dict):
        return all(found.get(key) == item for key, item in given.items() if item)
    return given is not UNKNOWN and given == found
