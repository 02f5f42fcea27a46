"""Test the comparison of policies against an evaluation of all requests."""

import itertools
import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from operations.report.policies import UnknownPolicyError, Wider, matches, statements, wider

PRINCIPALS = ("AWS arn:a", "AWS arn:b", "Service s")
ACTIONS = ("x:get", "x:getall", "x:put", "y:get")
RESOURCES = ("arn:1", "arn:12", "arn:2")
CONTEXTS: tuple[dict[str, str], ...] = ({}, {"k": "1"}, {"k": "2"}, {"k": "1", "l": "1"})

_conditions = st.dictionaries(
    st.sampled_from(["StringEquals", "StringNotEquals", "StringEqualsIfExists", "StringLike"]),
    st.dictionaries(
        st.sampled_from(["k", "l"]),
        st.lists(st.sampled_from(["1", "2", "3"]), min_size=1, max_size=2, unique=True),
        min_size=1,
    ),
    max_size=2,
)


def _some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


_principals = st.one_of(
    st.just("*"),
    st.fixed_dictionaries({"AWS": _some(["arn:a", "arn:b", "*"])}, optional={"Service": st.just("s")}),
)
_actions = _some(["x:get", "x:GetAll", "x:*", "x:get*", "*:get", "y:get", "*", "x:pu?"])
_resources = _some(["arn:1", "arn:12", "arn:2", "arn:1*", "arn:?", "*"])


@st.composite
def _statements(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        "Principal": draw(_principals),
        draw(st.sampled_from(["Action", "Action", "Action", "NotAction"])): draw(_actions),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(_resources),
        "Condition": draw(_conditions),
    }


_documents = st.lists(_statements(), max_size=3).map(
    lambda found: {"Version": "2012-10-17", "Statement": found}
)


def allowed(document: dict[str, Any]) -> set[tuple[str, ...]]:
    """Return the requests that a document allows, by IAM's documented evaluation logic."""
    requests: set[tuple[str, ...]] = set()
    for number, context in enumerate(CONTEXTS):
        for request in itertools.product(PRINCIPALS, ACTIONS, RESOURCES):
            effects = {
                statement["Effect"]
                for statement in document["Statement"]
                if _applies(statement, request, context)
            }
            if effects == {"Allow"}:
                requests.add((*request, str(number)))
    return requests


def _applies(statement: dict[str, Any], request: tuple[str, ...], context: dict[str, str]) -> bool:
    principal, action, resource = request
    return (
        _is_principal(statement["Principal"], principal)
        and _named(statement, "Action", action)
        and _named(statement, "Resource", resource)
        and all(
            _holds(operator, values, context.get(key))
            for operator, keys in statement["Condition"].items()
            for key, values in keys.items()
        )
    )


def _is_principal(declared: Any, principal: str) -> bool:  # noqa: ANN401  whatever JSON holds
    if declared == "*":
        return principal.startswith("AWS ")
    kind, _, name = principal.partition(" ")
    return name in declared.get(kind, []) or "*" in declared.get(kind, [])


def _named(statement: dict[str, Any], key: str, name: str) -> bool:
    patterns: list[str] = statement[key] if key in statement else statement[f"Not{key}"]
    found = any(fnmatchcase(name, pattern.lower()) for pattern in patterns)
    return found == (key in statement)


def _holds(operator: str, values: list[str], actual: str | None) -> bool:
    if operator == "StringNotEquals":
        return actual not in values
    if actual is None:
        return operator.endswith("IfExists")
    return actual in values


@settings(max_examples=200, deadline=None)
@given(old=_documents, new=_documents)
def test_document_that_is_not_wider_allows_nothing_more(old: dict[str, Any], new: dict[str, Any]) -> None:
    if not wider(statements(json.dumps(old)), statements(json.dumps(new))):
        assert allowed(new) <= allowed(old)


@settings(max_examples=200, deadline=None)
@given(old=_documents, data=st.data())
def test_changed_element_that_allows_more_is_found(old: dict[str, Any], data: st.DataObject) -> None:
    new = json.loads(json.dumps(old))
    if not new["Statement"]:
        return
    number = data.draw(st.integers(0, len(new["Statement"]) - 1))
    statement, other = new["Statement"][number], data.draw(_statements())
    key = data.draw(st.sampled_from(sorted(statement.keys() & other.keys())))
    statement[key] = other[key]
    if not wider(statements(json.dumps(old)), statements(json.dumps(new))):
        assert allowed(new) <= allowed(old)


@settings(max_examples=100, deadline=None)
@given(document=_documents)
def test_document_is_not_wider_than_itself_reformatted(document: dict[str, Any]) -> None:
    found = statements(json.dumps(document))
    turned = {**document, "Statement": [dict(reversed(part.items())) for part in document["Statement"]][::-1]}
    assert not wider(found, statements(json.dumps(turned, indent=4)))


@settings(max_examples=200, deadline=None)
@given(old=_documents, added=_statements())
def test_additional_statement_that_allows_more_is_found(old: dict[str, Any], added: dict[str, Any]) -> None:
    new = {**old, "Statement": [*old["Statement"], added]}
    if not allowed(new) <= allowed(old):
        assert wider(statements(json.dumps(old)), statements(json.dumps(new)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"Action": "x:Get"}, {"Action": ["x:Get", "x:Put"]}, Wider(actions=("x:put",))),
        ({"Resource": "arn:1"}, {"Resource": ["arn:1", "arn:2"]}, Wider(resources=("arn:2",))),
        ({"Principal": {"AWS": "a"}}, {"Principal": {"AWS": ["a", "b"]}}, Wider(principals=("AWS b",))),
        ({"Condition": {"StringEquals": {"K": "1"}}}, {}, Wider(conditions=("k",))),
        (
            {"Condition": {"StringEquals": {"K": "1"}}},
            {"Condition": {"StringEquals": {"K": ["1", "2"]}}},
            Wider(conditions=("k",)),
        ),
        (
            {"Condition": {"StringNotEquals": {"K": ["1", "2"]}}},
            {"Condition": {"StringNotEquals": {"K": "1"}}},
            Wider(conditions=("k",)),
        ),
        (
            {"Condition": {"StringNotEquals": {"K": "1"}}},
            {"Condition": {"StringNotEquals": {"K": ["1", "2"]}}},
            Wider(),
        ),
        (
            {"Action": [], "NotAction": "x:*"},
            {"Action": [], "NotAction": "x:Put"},
            Wider(actions=('not ["x:put"]',)),
        ),
        ({"Action": ["x:Get", "x:Put"]}, {"Action": "x:Get"}, Wider()),
        ({"Action": "x:*"}, {"Action": ["x:Get", "x:G*"]}, Wider()),
        ({"Effect": "Deny"}, {"Effect": "Allow", "Action": "x:Get"}, Wider(denials=1)),
    ],
)
def test_wider_elements_are_named(old: dict[str, Any], new: dict[str, Any], expected: Wider) -> None:
    common = {"Effect": "Allow", "Action": "x:Get", "Resource": "*"}
    old, new = ({key: value for key, value in {**common, **part}.items() if value} for part in (old, new))
    before = [common, {**common, **old}] if old.get("Effect") == "Deny" else [{**common, **old}]
    found = wider(
        statements(json.dumps({"Statement": before})),
        statements(json.dumps({"Statement": {**common, **new}})),
    )
    assert found == expected


def test_account_id_equals_the_arn_of_its_root() -> None:
    documents = [
        json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "x:Get"}})
        for principal in ("123456789012", "arn:aws:iam::123456789012:root")
    ]
    for old, new in itertools.permutations(map(statements, documents)):
        assert not wider(old, new)


@given(_documents, st.data())
def test_split_document_is_equivalent_to_the_whole(document: dict[str, Any], data: st.DataObject) -> None:
    parts: list[dict[str, Any]] = []
    for statement in document["Statement"]:
        contexts = statement["Condition"].get("StringEquals", {})
        places = [
            (element, statement[element])
            for element in ("Resource", "Action")
            if len(statement.get(element, "")) > 1
        ]
        places += [(key, values) for key, values in contexts.items() if len(values) > 1]
        if not places:
            parts.append(statement)
            continue
        place, values = data.draw(st.sampled_from(places))
        for some in (values[:1], values[1:]):
            if place in contexts:
                conditions = {**statement["Condition"], "StringEquals": {**contexts, place: some}}
                parts.append({**statement, "Condition": conditions})
            else:
                parts.append({**statement, place: some})
    whole, divided = (
        statements(json.dumps({"Statement": found})) for found in (document["Statement"], parts)
    )
    assert not wider(whole, divided)
    assert not wider(divided, whole)


def test_new_combination_of_allowed_elements_is_wider() -> None:
    before = [
        {"Effect": "Allow", "Action": "x:Get", "Resource": "arn:1"},
        {"Effect": "Allow", "Action": "x:Put", "Resource": "arn:2"},
    ]
    after = [{"Effect": "Allow", "Action": ["x:Get", "x:Put"], "Resource": "arn:1"}]
    found = wider(statements(json.dumps({"Statement": before})), statements(json.dumps({"Statement": after})))
    assert found.actions == ("x:put",)
    assert found.resources == ("arn:1",)


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "7", "{}", '"text"', '{"Statement": 7}', '{"Statement": [{}]}'),
        '{"Statement": {"Effect": "Perhaps"}}',
        '{"Statement": {"Effect": "Allow", "Action": {"a": 1}}}',
        '{"Statement": {"Effect": "Allow", "Principal": 7}}',
        '{"Statement": {"Effect": "Allow", "Condition": 7}}',
        '{"Statement": {"Effect": "Allow", "Condition": {"StringEquals": 7}}}',
        '{"Statement": {"Effect": "Allow", "NewElement": "*"}}',
        '{"Statement": []}' + " " * 200_000,
        "[" * 100_000,
    ],
)
def test_invalid_policy_is_rejected(text: str) -> None:
    with pytest.raises(UnknownPolicyError):
        statements(text)


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_patterns_match_like_those_of_iam(pattern: str, text: str) -> None:
    assert matches(pattern, text) == fnmatchcase(text, pattern)


@example("a?", "a*", "abb")
@given(st.text("ab*?", max_size=5), st.text("ab*?", max_size=5), st.text("ab", max_size=7))
def test_pattern_that_covers_another_matches_the_same_texts(wide: str, narrow: str, text: str) -> None:
    if matches(wide, narrow) and fnmatchcase(text, narrow):
        assert fnmatchcase(text, wide)
