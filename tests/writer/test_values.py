"""Generated values have the form of random.RandomPassword's, from the whole alphabet."""

import base64
import string
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.lambdas.writer import values
from components.lambdas.writer.errors import OperatorError
from components.lambdas.writer.request import SPECIAL, RandomBytes
from tests.support.writer_requests import writing

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf"
CLASSES = {
    "special": SPECIAL,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
}


def source_of(**kinds: object) -> Any:
    event = {"Action": "write", "SecretId": ARN, "Keys": {"KEY": kinds}}
    return writing(event).keys["KEY"].source


@given(
    allowed=st.fixed_dictionaries({}, optional={name: st.booleans() for name in CLASSES}),
    minimums=st.fixed_dictionaries({}, optional={name: st.integers(0, 5) for name in CLASSES}),
    more=st.integers(0, 30),
    override=st.none() | st.text("/.~é", max_size=4),
)
def test_a_random_text_has_its_length_classes_and_minimums(
    allowed: dict[str, bool], minimums: dict[str, int], more: int, override: str | None
) -> None:
    least = sum(minimums.values())
    options: dict[str, object] = {
        "length": least + more,
        **allowed,
        **{f"min{name.title()}": least for name, least in minimums.items()},
        **({} if override is None else {"overrideSpecial": override}),
    }
    usable = {name for name in CLASSES if allowed.get(name, True)}
    if least + more == 0 or (more and not usable):
        with pytest.raises(OperatorError, match="malformed"):
            source_of(random=options)
        return
    text = values.random_text(source_of(random=options))
    classes = {**CLASSES, "special": override or SPECIAL}
    assert len(text) == least + more
    for name, characters in classes.items():
        count = sum(text.count(character) for character in set(characters))
        assert count >= minimums.get(name, 0)
        assert name in usable or count == minimums.get(name, 0)
    assert set(text) <= set("".join(classes.values()))


def test_characters_are_evenly_distributed() -> None:
    source = source_of(random={"length": 20, "special": False, "minNumeric": 2})
    texts = [values.random_text(source) for _ in range(5_000)]
    letters = Counter(character for text in texts for character in text if character.isalpha())
    assert set(letters) == set(string.ascii_letters)
    expected = sum(letters.values()) / len(letters)
    assert all(abs(count - expected) < 0.15 * expected for count in letters.values())
    digits_at = Counter(
        place for text in texts for place, character in enumerate(text) if character.isdigit()
    )
    expected = sum(digits_at.values()) / 20
    assert all(abs(digits_at[place] - expected) < 0.15 * expected for place in range(20))
    assert len(set(texts)) == len(texts)


@given(st.binary(max_size=70))
def test_bytes_are_encoded_as_the_rfc_says(raw: bytes) -> None:
    assert bytes.fromhex(values.encoded(raw, "hex")) == raw
    assert values.encoded(raw, "hex") == values.encoded(raw, "hex").lower()
    assert base64.b64decode(values.encoded(raw, "base64"), validate=True) == raw
    url = values.encoded(raw, "base64url")
    assert "=" not in url
    assert base64.urlsafe_b64decode(url + "=" * (-len(url) % 4)) == raw


@pytest.mark.parametrize(("encoding", "length"), [("hex", 64), ("base64", 44), ("base64url", 43)])
def test_random_bytes_have_the_declared_length(encoding: Any, length: int) -> None:
    texts = {values.random_bytes(RandomBytes(32, encoding)) for _ in range(100)}
    assert {len(text) for text in texts} == {length}
    assert len(texts) == 100
    assert source_of(randomBytes={"length": 32.0, "encoding": encoding}) == RandomBytes(32, encoding)


@pytest.mark.parametrize(
    "arn",
    [
        f"{ARN}\x1b[2J",
        f"{ARN}\x00",
        f"{ARN}\u2028::warning::",
        f"{ARN}?",
        f"{ARN},",
        f"{ARN}%0A",
        "x",
        None,
        1,
    ],
)
def test_a_message_does_not_repeat_an_invalid_secret_id(arn: object) -> None:
    with pytest.raises(OperatorError, match="A secret without a full ARN") as raised:
        writing({"Action": "write", "SecretId": arn})
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("event", [None, [], "write", 7, {}, {"Action": "write"}, {"\n::warning::": 1}])
def test_a_malformed_event_is_rejected_in_one_line(event: object) -> None:
    with pytest.raises(OperatorError, match="malformed") as raised:
        writing(event)
    assert str(raised.value).isprintable()
