"""Secrets that are one text or binary: written once, and regenerated only on request."""

import base64
import json
from functools import partial
from typing import Any

import pytest

from components.lambdas.writer import document
from components.lambdas.writer.handler import handle
from components.lambdas.writer.labels import CURRENT, UNFILLED
from components.lambdas.writer.request import WHOLE, Form
from tests.support.writer_world import (
    Point,
    World,
    ended,
    rejection,
)
from tests.support.writer_world import write as ask_for_keys

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n"
KEYSTORE = bytes(range(256))
ENCODED = base64.b64encode(KEYSTORE).decode()
FORMS = ("Text", "Binary")


def ask(arn: str, form: str, source: dict[str, object], generation: int = 1) -> dict[str, Any]:
    request = {
        "Action": "write",
        "SecretId": arn,
        form: {**source, **({} if generation == 1 else {"generation": generation})},
        "Salt": "x",
    }
    answer: dict[str, Any] = json.loads(json.dumps(handle(json.loads(json.dumps(request)))))
    return answer


def given(form: str) -> tuple[dict[str, object], str | bytes]:
    return ({"value": PEM}, PEM) if form == "Text" else ({"value": ENCODED}, KEYSTORE)


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_without_a_value_gets_the_exact_whole_value(world: World, form: str) -> None:
    arn = world.make()
    source, value = given(form)
    answer = ask(arn, form, source)
    assert (answer["Added"], answer["VersionId"]) == ([""], world.holder(arn, CURRENT))
    assert world.content(arn) == value
    before = world.snapshot(arn)
    assert ask(arn, form, source)["Added"] == []
    assert world.snapshot(arn) == before


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("live", ["manual", b"\0manual", '{"K": "manual"}'])
def test_a_live_value_stays_until_the_generation_is_increased(
    world: World, form: str, live: str | bytes
) -> None:
    arn = world.make()
    source, value = given(form)
    ask(arn, form, source)
    world.put(arn, live)
    assert ask(arn, form, source)["Regenerated"] == []
    assert world.content(arn) == live
    assert ask(arn, form, source, generation=2)["Regenerated"] == [""]
    assert world.content(arn) == value
    world.put(arn, live)
    assert ask(arn, form, source, generation=2)["Regenerated"] == []
    assert world.content(arn) == live


def test_an_unknown_value_is_kept_with_a_warning(world: World) -> None:
    arn = world.make("written by others")
    answer = ask(arn, "Text", {"value": PEM}, generation=5)
    assert world.content(arn) == "written by others"
    assert "the whole value keep" in " ".join(answer["Warnings"])


@pytest.mark.parametrize(
    ("form", "source", "length"),
    [
        ("Text", {"random": {"length": 40, "special": False}}, 40),
        ("Text", {"randomBytes": {"length": 32, "encoding": "base64url"}}, 43),
        ("Binary", {"randomBytes": {"length": 32}}, 32),
    ],
)
def test_a_random_whole_value_is_new_with_each_generation(
    world: World, form: str, source: dict[str, object], length: int
) -> None:
    arn = world.make()
    values = []
    for generation in (1, 2, 3):
        ask(arn, form, source, generation)
        values.append(world.content(arn))
    assert {len(value) for value in values} == {length}
    assert len(set(values)) == 3


@pytest.mark.parametrize("form", FORMS)
def test_a_placeholder_is_marked_until_it_is_filled_in(world: World, form: str) -> None:
    arn = world.make()
    ask(arn, form, {"filledByHand": "ask"})
    assert world.content(arn) == ("\n" if form == "Text" else b"\n")
    assert UNFILLED in world.stages(arn)[world.holder(arn, CURRENT) or ""]
    world.put(arn, "filled in")
    ask(arn, form, {"filledByHand": "ask"})
    assert world.content(arn) == "filled in"
    assert UNFILLED not in world.stages(arn)[world.holder(arn, CURRENT) or ""]


def test_only_a_person_changes_keys_to_a_text_and_back(world: World) -> None:
    arn = world.make({"K": "the first one"})
    ask_for_keys(arn, {"K": {"value": "v"}})
    assert ask(arn, "Text", {"value": PEM})["Regenerated"] == []
    assert json.loads(str(world.content(arn))) == {"K": "the first one"}
    ask(arn, "Text", {"value": PEM}, generation=2)
    assert world.content(arn) == PEM
    assert "not a JSON object" in rejection(lambda: ask_for_keys(arn, {"K": {"value": "v"}}))
    assert world.content(arn) == PEM
    world.put(arn, '{"OTHER": "x"}')
    assert ask_for_keys(arn, {"K": {"value": "v"}})["Added"] == ["K"]


@pytest.mark.parametrize(
    "request_",
    [
        {"Text": {"value": ""}},
        {"Text": {"value": "hidden-value", "random": {"length": 3}}},
        {"Text": {"joined": ["hidden-value"]}},
        {"Text": {"value": "hidden-value"}, "Keys": {}},
        {"Text": {"value": "hidden-value"}, "Binary": {"value": "aA=="}},
        {"Text": {"value": "hidden-value"}, "RemovedKeys": []},
        {"Binary": {"value": "hidden-value!"}},
        {"Binary": {"value": ""}},
        {"Binary": {"random": {"length": 3}}},
        {"Binary": "hidden-value"},
        {"Keys": {"": {"value": "hidden-value"}}},
    ],
)
def test_a_malformed_request_is_rejected_without_repeating_its_value(
    world: World, request_: dict[str, object]
) -> None:
    arn = world.make()
    message = rejection(lambda: handle({"Action": "write", "SecretId": arn, **request_}))
    assert "malformed" in message
    assert "hidden" not in message
    assert world.stages(arn) == {}


def test_a_text_larger_than_the_limit_is_rejected(world: World) -> None:
    arn = world.make()
    assert "65537 bytes" in rejection(lambda: ask(arn, "Text", {"value": "é" * 32_768 + "x"}))
    ask(arn, "Text", {"value": "é" * 32_768})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("edited", [False, True])
def test_an_interrupted_write_is_completed_and_overwrites_no_edit(
    world: World, form: str, generation: int, *, edited: bool
) -> None:
    source: dict[str, object] = {"randomBytes": {"length": 24}}
    for at in range(30):
        for after in (False, True):
            arn = world.make()
            if generation > 1:
                ask(arn, form, source)
            stopped = ended(world, Point(at, after), partial(ask, arn, form, source, generation))
            history = world.history.setdefault(arn, [])
            written = len(history) == generation
            if edited and history:
                world.put(arn, "manual")
            ask(arn, form, source, generation)
            ask(arn, form, source, generation)
            if edited and written:
                assert world.content(arn) == "manual"
            assert len(history) <= generation + edited
            assert world.unconfirmed(arn) == []
        if not stopped:
            return
    raise AssertionError("the function makes more calls than this test interrupts")


def test_a_text_differs_from_the_bytes_that_it_encodes() -> None:
    text, binary = (document.whole("aGlkZGVu", form) for form in (Form.TEXT, Form.BINARY))
    assert not text.agrees(WHOLE, binary)
    assert binary.agrees(WHOLE, document.as_whole(b"hidden"))
    assert text.agrees(WHOLE, document.as_whole("aGlkZGVu"))
