"""A secret's value: a JSON object whose unchanged members keep their text, or a whole value.

A whole value, one text or binary, has a single member, WHOLE, so that both kinds are compared in the same
way.
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
    """A member of a document.

    Attributes:
        value: the parsed value.
        text: the member as the document has it, `"key": value`; of a whole value the text itself, or its
            bytes in base64.
    """

    value: object
    text: str


@dataclass(frozen=True)
class Document:
    """A secret's value. Unchanged members keep their text, so that no number or escape is rewritten."""

    members: Mapping[str, Member]
    form: Form = Form.OBJECT

    def __contains__(self, key: str) -> bool:
        return key in self.members

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def agrees(self, key: str, other: "Document") -> bool:
        """Return whether both have the key with the same value, or neither has it."""
        mine, others = self.members.get(key), other.members.get(key)
        if mine is None or others is None:
            return mine is others
        return _identical(mine.value, others.value)

    def text_of(self, key: str) -> str:
        """Return a key's value as a string: itself, or its JSON if it is not a string."""
        value = self.members[key].value
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def is_unfilled(self, key: str) -> bool:
        """Return whether a key is still to be filled in; a whole value of blanks counts as empty."""
        if key not in self:
            return False
        if self.form is Form.BINARY:
            return not base64.b64decode(self.members[key].text).strip()
        text = self.text_of(key)
        return not (text.strip() if self.form is Form.TEXT else text)

    def with_value(self, key: str, value: object) -> "Document":
        """Return the document with a new value for a key, which is appended if it is new."""
        name, text = (json.dumps(part, ensure_ascii=False) for part in (key, value))
        return Document({**self.members, key: Member(value, f"{name}: {text}")})

    def with_member(self, key: str, other: "Document") -> "Document":
        """Return the document with a key as another one has it, to the letter."""
        return Document({**self.members, key: other.members[key]})

    def without(self, keys: Iterable[str]) -> "Document":
        """Return the document without some keys."""
        removed = set(keys)
        return Document({key: member for key, member in self.members.items() if key not in removed})

    def text(self) -> str:
        """Return the JSON object or the whole text; bytes in base64."""
        if self.form is not Form.OBJECT:
            return self.members[WHOLE].text
        return "{" + ", ".join(member.text for member in self.members.values()) + "}"

    def content(self) -> str | bytes:
        """Return the value for Secrets Manager."""
        return base64.b64decode(self.text()) if self.form is Form.BINARY else self.text()

    def size(self) -> int:
        """Return the number of bytes of the value."""
        content = self.content()
        return len(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)


EMPTY = Document({})


def whole(text: str, form: Form) -> Document:
    """Return a document of a whole value; bytes are passed in base64."""
    # a text and bytes are never the same value
    value = {"binary": text} if form is Form.BINARY else text
    return Document({WHOLE: Member(value, text)}, form)


def as_whole(content: str | bytes) -> Document:
    """Return a document of any value, as a whole."""
    if isinstance(content, bytes):
        return whole(base64.b64encode(content).decode(), Form.BINARY)
    return whole(content, Form.TEXT)


def parse(content: str | bytes, where: str) -> Document:
    """Parse a JSON object.

    Args:
        content: the value.
        where: secret and version, for the message.

    Raises:
        OperatorError: the value is not a JSON object.
    """
    members = None
    if isinstance(content, str):
        try:
            members = dict(_members(content))
        except (ValueError, RecursionError):  # json's own errors contain the whole document
            members = None
    if members is None:
        kind = "binary" if isinstance(content, bytes) else "not a JSON object"
        raise OperatorError(
            f"{where}: the value is {kind}, so keys cannot be written into it. Nothing was changed. Put a "
            "JSON "
            'object such as {"KEY": "value"} into the secret, or declare no keys for it.'
        )
    return Document(members)


def _members(text: str) -> Iterator[tuple[str, Member]]:
    decoder = json.JSONDecoder(parse_constant=_reject)
    at = _expect(text, _space(text, 0), "{")
    if text[at : at + 1] == "}":
        at += 1
    else:
        while True:
            start = at
            key, at = decoder.raw_decode(text, at)
            if not isinstance(key, str):
                raise ValueError  # noqa: TRY004  the one error for invalid JSON
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
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _after(text: str, at: int, expected: str) -> int:
    if text[at : at + 1] != expected:
        raise ValueError
    return at + 1


def _expect(text: str, at: int, expected: str) -> int:
    return _space(text, _after(text, at, expected))


def _reject(_constant: str) -> NoReturn:
    raise ValueError  # NaN and Infinity, which Python accepts and JSON does not


def _identical(one: object, other: object) -> bool:
    """Return whether two values are the same in JSON: in Python, True equals 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
