"""Documents: a change affects only the declared keys."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.lambdas.writer import document
from components.lambdas.writer.errors import OperatorError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=5)


@given(OBJECTS, st.booleans(), st.sampled_from([None, 2]))
def test_a_document_reads_and_writes_what_json_does(
    value: dict[str, Any], ascii_: bool, indent: int | None
) -> None:
    read = document.parse(json.dumps(value, ensure_ascii=ascii_, indent=indent), "Secret x")
    assert {key: member.value for key, member in read.members.items()} == value
    assert list(read) == list(value)
    assert json.loads(read.text()) == value
    plain = json.dumps(value, ensure_ascii=False)
    assert document.parse(plain, "Secret x").text() == plain


@given(OBJECTS, st.text(max_size=4), st.text(max_size=5))
def test_a_new_value_changes_one_key_and_keeps_its_place(value: dict[str, Any], key: str, text: str) -> None:
    changed = document.parse(json.dumps(value), "Secret x").with_value(key, text)
    assert json.loads(changed.text()) == {**value, key: text}
    assert list(json.loads(changed.text())) == list({**value, key: text})


@pytest.mark.parametrize(
    "kept", ["1.10", "1e400", '"\\ud800"', "1E2", "-0", "123456789012345678901234567890"]
)
def test_numbers_and_escapes_keep_their_form(kept: str) -> None:
    read = document.parse(f'{{ "a" :{kept},\n"b": ""}}', "Secret x").with_value("c", "é").without(["b"])
    assert read.text() == f'{{"a" :{kept}, "c": "é"}}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hidden",
        '"hidden"',
        "[1]",
        '{"a": "hidden"',
        '{"a": NaN}',
        '{"a": 1,}',
        '{"a": 1} x',
        "{a: 1}",
        "\ufeff{}",
        "{1: 2}",
        "null",
        "[" * 100_000,
        '{"a": ' + "[" * 100_000,
        '{"a" "b"}',
    ],
)
def test_anything_but_a_json_object_is_rejected_without_repeating_it(text: str) -> None:
    with pytest.raises(OperatorError, match="not a JSON object") as raised:
        document.parse(text, "Secret x")
    assert "hidden" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
