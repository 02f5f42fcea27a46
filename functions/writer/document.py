"""A secret's value: a JSON object, in which only the members that are changed are written anew, or a whole.

A whole value, one text or binary, has one member, WHOLE: everything that compares documents takes both.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from .errors import OperatorError
from .request import WHOLE, Form

LARGEST = 65_536
"""Bytes of a secret's value. Source: AWS Secrets Manager User Guide, "Quotas"."""

_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Member:
    """A member's value, and the whole member as it stands in the document: `"key": value`.

    Of a whole value the text is that, or bytes in base64.
    """

    value: object
    text: str


@dataclass(frozen=True)
class Document:
    """A value; members that stay keep their text, so that no number or escape changes its form."""

    members: Mapping[str, Member]
    form: Form = Form.OBJECT

    def __contains__(self, key: str) -> bool:
        return key in self.members

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def agrees(self, key: str, other: "Document") -> bool:
        """Whether both have the key with the same value, or neither has it."""
        mine, others = self.members.get(key), other.members.get(key)
        if mine is None or others is None:
            return mine is others
        return _identical(mine.value, others.value)

    def text_of(self, key: str) -> str:
        """A value as a text: itself, or its JSON if it is something else."""
        value = self.members[key].value
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def is_unfilled(self, key: str) -> bool:
        """Return whether a key still waits for a person; blanks alone count as nothing in a whole value."""
        if key not in self:
            return False
        if self.form is Form.BINARY:
            return not base64.b64decode(self.members[key].text).strip()
        text = self.text_of(key)
        return not (text.strip() if self.form is Form.TEXT else text)

    def with_value(self, key: str, value: object) -> "Document":
        """The document with a new value for a key, at its place, or at the end if the key is new."""
        name, text = (json.dumps(part, ensure_ascii=False) for part in (key, value))
        return Document({**self.members, key: Member(value, f"{name}: {text}")})

    def without(self, keys: Iterable[str]) -> "Document":
        """The document without some keys."""
        gone = set(keys)
        return Document({key: member for key, member in self.members.items() if key not in gone})

    def text(self) -> str:
        """The JSON object, or the whole text, as it is written; bytes in base64."""
        if self.form is not Form.OBJECT:
            return self.members[WHOLE].text
        return "{" + ", ".join(member.text for member in self.members.values()) + "}"

    def content(self) -> str | bytes:
        """The value as Secrets Manager takes it."""
        return base64.b64decode(self.text()) if self.form is Form.BINARY else self.text()

    def size(self) -> int:
        """Bytes of the value."""
        content = self.content()
        return len(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)


EMPTY = Document({})

PLACEHOLDER = "\n"
"""What a whole value is until a person fills it: AWS takes no empty one."""


def whole(text: str, form: Form) -> Document:
    """Return a whole value; bytes are given in base64."""
    # a text and bytes are never the same value
    value = {"binary": text} if form is Form.BINARY else text
    return Document({WHOLE: Member(value, text)}, form)


def as_whole(content: str | bytes) -> Document:
    """Return a value as a whole, whatever it is."""
    if isinstance(content, bytes):
        return whole(base64.b64encode(content).decode(), Form.BINARY)
    return whole(content, Form.TEXT)


def parse(content: str | bytes, where: str) -> Document:
    """Read a JSON object.

    Args:
        content: the value.
        where: names secret and version, for the message.

    Raises:
        OperatorError: it is no JSON object.
    """
    members = None
    if isinstance(content, str):
        try:
            members = dict(_members(content))
        except (ValueError, RecursionError):  # json's own errors hold the whole document
            members = None
    if members is None:
        kind = "binary" if isinstance(content, bytes) else "not a JSON object"
        raise OperatorError(
            f"{where} is {kind}, and keys can be written into a JSON object only. Nothing was changed. Give "
            'the secret a JSON object such as {"KEY": "value"} as its value, or declare no keys for it.'
        )
    return Document(members)


def _members(text: str) -> Iterator[tuple[str, Member]]:
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = _expect(text, _space(text, 0), "{")
    if text[at : at + 1] == "}":
        at += 1
    else:
        while True:
            start = at
            key, at = decoder.raw_decode(text, at)
            if not isinstance(key, str):
                raise ValueError  # noqa: TRY004  the one error for what is not JSON
            at = _expect(text, _space(text, at), ":")
            value, at = decoder.raw_decode(text, at)
            yield key, Member(value, text[start:at])
            at = _space(text, at)
            if text[at : at + 1] == "}":
                at += 1
                break
            at = _expect(text, at, ",")
    if _space(text, at) != len(text):
        raise ValueError


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int, expected: str) -> int:
    if text[at : at + 1] != expected:
        raise ValueError
    return at + 1


def _expect(text: str, at: int, expected: str) -> int:
    return _space(text, _after(text, at, expected))


def _refuse(_constant: str) -> NoReturn:
    raise ValueError  # NaN and Infinity, which Python reads and JSON has not


def _identical(one: object, other: object) -> bool:
    """As JSON has it: Python calls true and 1 equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
