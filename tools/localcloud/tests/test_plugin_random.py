# ruff: noqa: ANN401  protobuf and property values are of any type
"""RandomPassword of the stand-in plugin: every combination of options, as the engine asks for them."""

import string
from collections.abc import Iterator
from typing import Any

import bcrypt
import pytest
from google.protobuf import json_format
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pulumi.runtime.proto import provider_pb2

from tools.localcloud.plugins.random import password
from tools.localcloud.plugins.random.plugin import PLUGIN
from tools.localcloud.plugins.serve import Servicer
from tools.localcloud.plugins.values import UNKNOWN, from_struct, to_struct

URN = "urn:pulumi:test::app::random:index/randomPassword:RandomPassword::key"
OFFICIAL_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
MARK = "4dabf18193072939515e22adb298388d"

CLASSES = ("special", "lower", "upper", "numeric")
MINIMUMS = {"special": "minSpecial", "lower": "minLower", "upper": "minUpper", "numeric": "minNumeric"}
SPECIALS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=6)
OPTIONS = st.fixed_dictionaries(
    {"length": st.integers(-1, 60)},
    optional={
        **{name: st.booleans() for name in CLASSES},
        **{name: st.integers(0, 12) for name in MINIMUMS.values()},
        "overrideSpecial": SPECIALS,
    },
)


def characters_of(options: dict[str, Any]) -> dict[str, str]:
    return {
        "special": options.get("overrideSpecial", OFFICIAL_SPECIAL),
        "lower": string.ascii_lowercase,
        "upper": string.ascii_uppercase,
        "numeric": string.digits,
    }


def minimums_of(options: dict[str, Any]) -> dict[str, int]:
    return {name: options.get(minimum, 0) for name, minimum in MINIMUMS.items()}


def is_possible(options: dict[str, Any]) -> bool:
    return (
        options["length"] >= 1
        and sum(minimums_of(options).values()) <= options["length"]
        and (
            any(options.get(name, True) for name in CLASSES)
            or sum(minimums_of(options).values()) == options["length"]
        )
    )


@pytest.fixture(scope="module", autouse=True)
def quick_hash() -> Iterator[None]:
    """Use the least work that bcrypt allows: these passwords protect nothing."""
    gensalt = bcrypt.gensalt
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bcrypt, "gensalt", lambda _rounds: gensalt(4))
        yield


def check(options: dict[str, Any]) -> Any:
    return Servicer(PLUGIN).Check(provider_pb2.CheckRequest(urn=URN, news=to_struct(options)), None)


def created(options: dict[str, Any], *, preview: bool = False) -> Any:
    inputs = check(options).inputs
    return Servicer(PLUGIN).Create(
        provider_pb2.CreateRequest(urn=URN, properties=inputs, preview=preview), None
    )


@settings(max_examples=150, deadline=None)
@given(OPTIONS)
def test_a_password_satisfies_all_of_its_options(options: dict[str, Any]) -> None:
    assume(is_possible(options))
    assert not check(options).failures
    result = from_struct(created(options).properties)["result"]
    assert len(result) == options["length"]
    characters, minimums = characters_of(options), minimums_of(options)
    for name, minimum in minimums.items():
        assert sum(character in characters[name] for character in result) >= minimum
    allowed = "".join(characters[name] for name in CLASSES if options.get(name, True) or minimums[name])
    assert set(result) <= set(allowed)


@settings(max_examples=150, deadline=None)
@given(OPTIONS)
def test_impossible_options_and_only_they_are_refused_before_anything_is_made(
    options: dict[str, Any],
) -> None:
    assert bool(check(options).failures) == (not is_possible(options))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"length": 0}, "length"),
        ({"length": 3, "minLower": 2, "minUpper": 2}, "min_lower"),
        ({"length": 8, **dict.fromkeys(CLASSES, False)}, "[special,upper,lower,numeric]"),
        ({}, "length"),
    ],
)
def test_a_refusal_names_the_option_and_the_resource(options: dict[str, Any], word: str) -> None:
    reasons = [failure.reason for failure in check(options).failures]
    assert any(word in reason for reason in reasons), reasons


def test_options_that_are_not_known_yet_are_not_refused() -> None:
    assert not check({"length": UNKNOWN, "minLower": 5}).failures


@pytest.mark.parametrize("preview", [True, False])
def test_the_password_and_its_hash_are_secret_and_nothing_else_is(*, preview: bool) -> None:
    found = json_format.MessageToDict(created({"length": 20}, preview=preview).properties)
    marked = {name for name, value in found.items() if isinstance(value, dict) and MARK in value}
    assert marked == {"result", "bcryptHash"}


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 100))
def test_the_hash_verifies_the_password(length: int) -> None:
    found = from_struct(created({"length": length}).properties)
    # bcrypt reads no more than 72 bytes
    assert bcrypt.checkpw(found["result"].encode()[:72], found["bcryptHash"].encode())
    assert not bcrypt.checkpw(b"another", found["bcryptHash"].encode())


def test_a_preview_makes_no_password() -> None:
    found = from_struct(created({"length": 20}, preview=True).properties)
    assert found["result"] is UNKNOWN
    assert found["bcryptHash"] is UNKNOWN


def test_a_thousand_passwords_differ() -> None:
    made = {password._generate({"length": 20}) for _ in range(1000)}
    assert len(made) == 1000


def test_every_allowed_character_occurs() -> None:
    seen = set("".join(password._generate({"length": 100}) for _ in range(200)))
    assert seen == set(string.ascii_letters + string.digits + OFFICIAL_SPECIAL)


def test_characters_that_a_minimum_asks_for_stand_anywhere() -> None:
    options = {"length": 10, "minNumeric": 1, "numeric": False}
    places = {
        next(place for place, character in enumerate(made) if character in string.digits)
        for made in (password._generate(options) for _ in range(300))
    }
    assert places == set(range(10))


@settings(max_examples=30, deadline=None)
@given(OPTIONS, st.sampled_from(["length", *CLASSES, *MINIMUMS.values(), "overrideSpecial"]))
def test_a_refresh_keeps_the_password_and_a_changed_option_replaces_it(
    options: dict[str, Any], changed: str
) -> None:
    assume(is_possible(options))
    servicer, inputs = Servicer(PLUGIN), check(options).inputs
    outputs = created(options).properties
    request = provider_pb2.ReadRequest(urn=URN, id="none", properties=outputs, inputs=inputs)
    read = servicer.Read(request, None)
    assert from_struct(read.properties) == from_struct(outputs)
    assert from_struct(read.inputs) == from_struct(inputs)

    def replaces(news: dict[str, Any]) -> list[str]:
        checked = servicer.Check(provider_pb2.CheckRequest(urn=URN, olds=inputs, news=to_struct(news)), None)
        return list(
            servicer.Diff(
                provider_pb2.DiffRequest(urn=URN, id="none", olds=outputs, news=checked.inputs), None
            ).replaces
        )

    assert replaces(options) == []
    known = from_struct(outputs)[changed]
    other: Any = f"{known}~"
    if isinstance(known, int):
        other = not known if isinstance(known, bool) else known + 1
    assert changed in replaces({**options, changed: other})
