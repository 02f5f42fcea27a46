"""A value is found in the output of every encoder: properties with real encoders."""

import base64
import csv
import html
import io
import json
import shlex
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Final

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from operations.value_forms import SHORTEST_ANYWHERE, Finder, _levels, forms

MASK: Final = "\N{BLACK SQUARE}"


def go_json(value: str) -> str:
    """Encode like Go's encoding/json, which the engine and most providers use."""
    text = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def csv_cell(value: str) -> str:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerow([value])
    return written.getvalue()


ENCODERS: Mapping[str, Callable[[str], str]] = {
    "verbatim": str,
    "JSON": json.dumps,
    "JSON with other letters": lambda value: json.dumps(value, ensure_ascii=False),
    "Go": go_json,
    "JSON with capital digits": lambda value: (
        json.dumps(value).replace("\\u00", "\\u00").replace("<", "\\u003C")
    ),
    "PHP": lambda value: json.dumps(value).replace("/", "\\/"),
    "all escaped": lambda value: "".join(
        f"\\u{unit:04X}"
        for unit in (
            int.from_bytes(value.encode("utf-16-be")[at : at + 2], "big")
            for at in range(0, len(value.encode("utf-16-be")), 2)
        )
    ),
    "Python": repr,
    "Python's bytes": lambda value: repr(value.encode()),
    "YAML": lambda value: yaml.safe_dump({"key": value}, width=1000),
    "YAML in double quotes": lambda value: yaml.safe_dump({"key": value}, default_style='"', width=1000),
    "YAML in single quotes": lambda value: yaml.safe_dump([value], default_style="'", width=1000),
    "shell": shlex.quote,
    "shell with backslashes": lambda value: "".join(
        character if character.isalnum() else f"\\{character}" for character in value
    ),
    "SQL": lambda value: "'" + value.replace("'", "''") + "'",
    "CSV": csv_cell,
    "HTML": html.escape,
    "HTML by numbers": lambda value: "".join(f"&#{ord(character)};" for character in value),
    "HTML by hexadecimal numbers": lambda value: "".join(f"&#x{ord(character):X};" for character in value),
    "percent": lambda value: urllib.parse.quote(value, safe=""),
    "percent in a path": urllib.parse.quote,
    "percent with small digits": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "form": urllib.parse.quote_plus,
    "hexadecimal": lambda value: value.encode().hex(),
    "HEXADECIMAL": lambda value: value.encode().hex().upper(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64url": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "MIME": lambda value: base64.encodebytes(value.encode()).decode(),
    "UTF-16": lambda value: value.encode("utf-16-le").decode("latin-1") if value.isascii() else value,
    "base64 of UTF-16": lambda value: base64.b64encode(value.encode("utf-16-le")).decode(),
}

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
VALUES = st.one_of(
    st.text(CHARACTERS, min_size=SHORTEST_ANYWHERE, max_size=60),
    st.text("ab 1<>&%+/=?#'\"\\!$`{}:;,.\u00fc\u20ac\U0001f511", min_size=SHORTEST_ANYWHERE, max_size=40),
    st.text("ab\n\t \\\"'%&", min_size=SHORTEST_ANYWHERE, max_size=40),
).filter(lambda value: all(len(level.text.strip()) >= SHORTEST_ANYWHERE for level in _levels(value)))
# Without anything that looks like an escape, so that nested encodings can always be decoded.
PLAIN = st.text("ab1 <>=?#!$/:;,.\u00fc\u20ac\U0001f511", min_size=SHORTEST_ANYWHERE, max_size=40).filter(
    lambda value: len(value.strip()) >= SHORTEST_ANYWHERE
)
SURROUNDINGS = st.sampled_from(["", " ", "\n", '"', "'", "key=", "key: ", "(", "x", "0", "a/", "~", "é"])


@pytest.mark.parametrize("encoder", ENCODERS)
@settings(max_examples=30, deadline=None)
@given(value=VALUES, before=SURROUNDINGS, after=SURROUNDINGS)
def test_a_value_is_found_in_every_encoding(encoder: str, value: str, before: str, after: str) -> None:
    # YAML folds the lines of a value, which is undone reliably only if nothing looks like an escape
    assume(not (encoder.startswith("YAML") and "\n" in value and set(value) & set("\\%&'\"+")))
    encoded = ENCODERS[encoder](value)
    if len(encoded) < SHORTEST_ANYWHERE:
        return
    assert Finder([value]).spans(f"{before}{encoded}{after}"), (encoder, encoded)


@settings(max_examples=150, deadline=None)
@given(
    value=PLAIN,
    inner=st.sampled_from(sorted(ENCODERS)),
    outer=st.sampled_from(["JSON", "Go", "HTML", "percent"]),
)
def test_a_value_is_found_in_nested_encodings(value: str, inner: str, outer: str) -> None:
    text = ENCODERS["JSON"](ENCODERS[outer](ENCODERS[inner](value)))
    assert Finder([value]).spans(text), (inner, outer, text)


@settings(max_examples=150, deadline=None)
@given(
    value=st.binary(min_size=7, max_size=40).map(lambda random: base64.b85encode(random).decode()),
    before=st.binary(max_size=20),
    after=st.binary(max_size=20),
    encode=st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_base64_of_longer_data_is_redacted_to_the_bit(
    value: str, before: bytes, after: bytes, encode: Callable[[bytes], bytes]
) -> None:
    text = encode(before + value.encode() + after).decode()
    masked = Finder([value]).masked(text, MASK)
    begin, end, _ = *masked.partition(MASK)[::2], None
    assert MASK in masked
    known = base64.urlsafe_b64decode(begin.replace("+", "-").replace("/", "_") + "A" * (-len(begin) % 4))
    # the remainder in front contains only bytes from before the value
    assert len(begin) * 6 // 8 <= len(before)
    assert known[: len(begin) * 6 // 8] == before[: len(begin) * 6 // 8]
    assert len(end.rstrip("=")) * 6 // 8 <= len(after)


@settings(max_examples=150, deadline=None)
@given(value=VALUES, text=st.text(CHARACTERS, max_size=60))
def test_a_redacted_text_contains_no_form_of_the_value(value: str, text: str) -> None:
    masked = Finder([value]).masked(f"{text}{value}{text}{go_json(value)}", "")
    assert MASK not in masked
    assert value not in Finder([value]).masked(f"{text}{value}{text}", MASK)


@settings(max_examples=150, deadline=None)
@given(text=st.text(CHARACTERS | st.sampled_from("\\u0%&;'\"\n+"), max_size=200))
def test_a_text_without_values_is_not_changed(text: str) -> None:
    assert Finder(["a-value-that-does-not-occur", "four"]).masked(text, MASK) in {
        text,
        text.replace("four", MASK),
    }
    assert Finder([]).masked(text, MASK) == text


@settings(max_examples=100, deadline=None)
@given(
    value=VALUES,
    texts=st.lists(st.from_regex(r"[ ,.][xy ,.\n]{0,8}[ ,.]", fullmatch=True), min_size=2, max_size=4),
)
def test_only_the_value_is_masked_in_a_text_without_escapes(value: str, texts: list[str]) -> None:
    letters = value.encode().hex()  # a value that the surrounding text cannot contain
    text = letters.join(texts)
    assert Finder([letters]).masked(text, MASK) == MASK.join(texts)


def test_single_lines_of_a_value_are_found() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
    finder = Finder([key])
    assert finder.masked("+ MIIEvQIBADANBgkq\n- hkiG9w0BAQEFAASC", MASK) == f"+ {MASK}\n- {MASK}"
    indented = key.replace("\n", "\n    ")
    assert finder.masked(f"key: |\n    {indented}end", MASK).count(MASK) >= 1
    assert "MIIE" not in finder.masked(f"key: |\n    {indented}end", MASK)


@pytest.mark.parametrize(
    "text", ["\\u", "%", "&#", "&#x110000;", "\\U00110000", "\\u{110000}", "\\ud83d", "\\x", "\\9"]
)
def test_an_incomplete_escape_does_not_hide_a_value(text: str) -> None:
    assert Finder(["a-value"]).masked(f"{text}a-value{text}", MASK) == f"{text}{MASK}{text}"


def test_a_short_value_has_no_forms() -> None:
    assert forms("four5") == frozenset()
    assert forms("123456") >= {"123456", "MTIzNDU2", "313233343536"}
