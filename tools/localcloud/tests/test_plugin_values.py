# ruff: noqa: ANN401  property values are of any type
"""Property values between the engine's protocol and Python, and what Diff says of them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.localcloud.plugins.aws.plugin import PLUGIN
from tools.localcloud.plugins.property_types import Described
from tools.localcloud.plugins.resource import Resource, diff
from tools.localcloud.plugins.values import UNKNOWN, Asset, Secret, from_struct, to_struct

quickly = settings(max_examples=40, deadline=None)
TEXTS = st.text(max_size=8)
# numbers travel as doubles
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=8,
)
ANY = st.recursive(
    PLAIN | st.just(UNKNOWN),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(TEXTS, values, max_size=3)
        | st.builds(Secret, values)
        | st.tuples(values)
    ),
    max_leaves=8,
)


def as_received(value: Any) -> Any:
    """Return what arrives: secrets without their mark, tuples as lists."""
    if isinstance(value, Secret):
        return as_received(value.value)
    if isinstance(value, list | tuple):
        return [as_received(item) for item in value]
    if isinstance(value, dict):
        return {key: as_received(item) for key, item in value.items()}
    return value


def secrets_in(value: Any) -> list[Any]:
    if isinstance(value, Secret):
        return [as_received(value.value), *secrets_in(value.value)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in secrets_in(item)]
    if isinstance(value, dict):
        return [found for item in value.values() for found in secrets_in(item)]
    return []


def marked_in(sent: Any) -> list[Any]:
    """Return the values that the protocol's form marks as secret, in the same order."""
    if isinstance(sent, list):
        return [found for item in sent for found in marked_in(item)]
    if not isinstance(sent, dict):
        return []
    if sent.get("4dabf18193072939515e22adb298388d") == "1b47061264138c4ac30d75fd1eb44270":
        inner = from_struct(to_struct({"inner": sent["value"]}))["inner"]
        return [inner, *marked_in(sent["value"])]
    return [found for item in sent.values() for found in marked_in(item)]


@quickly
@given(st.dictionaries(TEXTS, ANY, max_size=4))
def test_properties_arrive_as_they_were_sent(properties: dict[str, Any]) -> None:
    assert from_struct(to_struct(properties)) == as_received(properties)


@quickly
@given(st.dictionaries(TEXTS, ANY, max_size=4))
def test_properties_survive_the_wire(properties: dict[str, Any]) -> None:
    struct = to_struct(properties)
    assert type(struct).FromString(struct.SerializeToString()) == struct


@quickly
@given(st.dictionaries(TEXTS, ANY, max_size=4))
def test_every_secret_is_sent_with_its_mark_and_nothing_else_is(properties: dict[str, Any]) -> None:
    sent = json_format.MessageToDict(to_struct(properties))
    found, expected = marked_in(sent), secrets_in(properties)
    assert len(found) == len(expected)
    assert all(item in expected for item in found)
    assert all(item in found for item in expected)


@quickly
@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_arrives_as_one(number: int) -> None:
    received = from_struct(to_struct({"number": number}))["number"]
    assert received == number
    assert isinstance(received, int)
    assert not isinstance(received, bool)


@pytest.mark.parametrize("value", [True, False, "", "1", {}, [], None])
def test_small_values_keep_their_type(value: object) -> None:
    received = from_struct(to_struct({"value": value}))["value"]
    assert received == value
    assert type(received) is type(value)


@quickly
@given(TEXTS.filter(lambda text: text not in "            [<secret>]"))
def test_a_secret_never_shows_its_value(text: str) -> None:
    secret = Secret({"inner": [text, Secret(text)]})
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]!r}", f"{secret!r:>20}"):
        assert text not in shown


@pytest.mark.parametrize(
    "mark",
    [
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # a string
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # an array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    ],
)
def test_unknown_values_stay_unknown_whatever_their_type(mark: str) -> None:
    assert from_struct(to_struct({"value": [mark, {"inner": mark}]})) == {
        "value": [UNKNOWN, {"inner": UNKNOWN}]
    }


# Diff


def values_of(declared: Any, types: Mapping[str, Described]) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a type, as the recorded schema writes it."""
    if isinstance(declared, list):
        return st.lists(values_of(declared[0], types), max_size=3)
    if isinstance(declared, dict):
        return st.dictionaries(TEXTS.filter(bool), values_of(declared["*"], types), max_size=3)
    if declared in types:
        parts = {name: values_of(about["type"], types) for name, about in types[declared].items()}
        return st.fixed_dictionaries({}, optional=parts)
    return {
        "boolean": st.booleans(),
        "pulumi.json#/Archive": st.builds(Asset, st.just("archive"), TEXTS.filter(bool), st.just({})),
        "integer": st.integers(0, 100),
        "number": st.integers(0, 100),
    }.get(declared, TEXTS)


def inputs_of(resource: Resource) -> st.SearchStrategy[dict[str, Any]]:
    properties = {name: values_of(about["type"], resource.types) for name, about in resource.inputs.items()}
    if "tagsAll" in resource.outputs:
        properties["tagsAll"] = st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=3)
    return st.fixed_dictionaries({}, optional=properties)


def outputs_of(resource: Resource, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what the state has of these inputs."""
    return {**resource.fixed_defaults, **inputs}


CASES = st.sampled_from(list(PLUGIN.resources.values())).flatmap(
    lambda resource: st.tuples(st.just(resource), inputs_of(resource))
)


@quickly
@given(CASES)
def test_a_resource_does_not_differ_from_itself(case: tuple[Resource, dict[str, Any]]) -> None:
    resource, inputs = case
    assert diff(resource, outputs_of(resource, inputs), inputs, []).details == {}


@quickly
@given(CASES, st.randoms(use_true_random=False))
def test_a_set_in_another_order_is_no_difference(case: tuple[Resource, dict[str, Any]], random: Any) -> None:
    resource, inputs = case
    shuffled = {
        name: random.sample(value, len(value)) if name in resource.sets else value
        for name, value in inputs.items()
    }
    assert diff(resource, outputs_of(resource, inputs), shuffled, []).details == {}


@quickly
@given(CASES)
def test_what_is_unknown_yet_may_differ(case: tuple[Resource, dict[str, Any]]) -> None:
    resource, inputs = case
    unknown = dict.fromkeys(inputs, UNKNOWN)
    found = diff(resource, outputs_of(resource, inputs), unknown, [])
    outputs = resource.renewed(unknown, frozenset(inputs)) - inputs.keys()
    assert found.details.keys() - {"__meta"} == inputs.keys() | outputs


@quickly
@given(CASES)
def test_what_is_ignored_never_differs(case: tuple[Resource, dict[str, Any]]) -> None:
    resource, inputs = case
    unknown = dict.fromkeys(inputs, UNKNOWN)
    assert diff(resource, outputs_of(resource, inputs), unknown, list(inputs)).details == {}


@quickly
@given(CASES, CASES)
def test_only_properties_of_the_schema_replace_and_none_both_replaces_and_stays(
    old: tuple[Resource, dict[str, Any]], new: tuple[Resource, dict[str, Any]]
) -> None:
    resource, olds = old
    found = diff(resource, olds, new[1], [])
    replacing = {name for name, about in resource.inputs.items() if about.get("replace")}
    assert set(found.replaces) - {"__meta", "region"} <= replacing
    assert set(found.replaces) <= set(found.changed)
    assert not set(found.stables) & set(found.changed)


SECRET = PLUGIN.resources["aws:secretsmanager/secret:Secret"]
TAG_KEYS = st.text(st.sampled_from("ab:/-"), min_size=1, max_size=6)


@quickly
@given(
    st.dictionaries(TAG_KEYS, TEXTS, min_size=1, max_size=4),
    st.dictionaries(TAG_KEYS, TEXTS, min_size=1, max_size=4),
)
def test_a_changed_key_of_a_map_is_named_by_its_path(olds: dict[str, str], news: dict[str, str]) -> None:
    expected = {f"tags.{key}": ("ADD", False) for key in news.keys() - olds.keys()}
    expected |= {f"tags.{key}": ("DELETE", False) for key in olds.keys() - news.keys()}
    expected |= {
        f"tags.{key}": ("UPDATE", False) for key in news.keys() & olds.keys() if olds[key] != news[key]
    }
    found = diff(SECRET, {"tags": olds}, {"tags": news}, [])
    assert found.details == expected
    assert found.changed == (["tags"] if expected else [])


@quickly
@given(st.permutations(["Version", "Statement"]), st.sampled_from([None, 2]))
def test_a_policy_written_in_another_way_is_no_difference(order: list[str], indent: int | None) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*"}]}
    written = json.dumps({key: document[key] for key in order}, indent=indent)
    old, new = {"policy": json.dumps(document)}, {"policy": written}
    assert diff(SECRET, old, new, []).details == {}
    changed = {"policy": written.replace("Deny", "Allow")}
    assert diff(SECRET, old, changed, []).details == {"policy": ("UPDATE", False)}


def test_another_name_replaces_a_secret_and_another_description_does_not() -> None:
    old = {"name": "a", "description": "x"}
    assert diff(SECRET, old, {**old, "name": "b"}, []).replaces == ["name"]
    assert diff(SECRET, old, {**old, "description": "y"}, []).replaces == []
