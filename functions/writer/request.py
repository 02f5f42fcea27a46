"""What the function is asked to write, read from its event.

{"Action": "write", "SecretId": ARN, "Keys": {key: {one source, "generation"?}}, "RemovedKeys": [key, ...]}
{"Action": "write", "SecretId": ARN, "Text": {one source, "generation"?}}
{"Action": "write", "SecretId": ARN, "Binary": {one source, "generation"?}}

The second and third are of a secret whose whole value is one text, or binary; bytes are in base64.

A source is one of "random", "randomBytes", "value", "json", "filledByHand" and "joined". "Salt" may hold
anything.

A mistake is told by its place and never by what stands there: that may be a value.
"""

import base64
import json
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from .errors import OperatorError

Encoding: TypeAlias = Literal["hex", "base64", "base64url"]

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""The special characters of random.RandomPassword, from its documentation of overrideSpecial."""

LARGEST_GENERATION = 9_999
"""More would not fit into the record of 60 keys, see `record.py`."""

_LONGEST_VALUE = 65_536  # bytes, of a whole secret. Source: AWS Secrets Manager User Guide, "Quotas"
_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+")


@dataclass(frozen=True)
class CharacterClass:
    """Characters, whether they may appear anywhere, and how many there are at least.

    A minimum counts even for a class that is not allowed otherwise, as it does in random.RandomPassword.
    """

    characters: str
    allowed: bool
    minimum: int


@dataclass(frozen=True)
class Random:
    """A random text of `length` characters."""

    length: int
    classes: tuple[CharacterClass, ...]


@dataclass(frozen=True)
class RandomBytes:
    """`length` random bytes as text: lower-case hex, padded base64, or base64url without padding."""

    length: int
    encoding: Encoding


@dataclass(frozen=True)
class Given:
    """A value that comes with the request."""

    value: str


@dataclass(frozen=True)
class FilledByHand:
    """An empty value, which a person fills in AWS."""


@dataclass(frozen=True)
class Reference:
    """Another key's value; `quoted` for a place in a URL."""

    key: str
    quoted: bool


@dataclass(frozen=True)
class Joined:
    """Texts and other keys' values, one after the other."""

    pieces: tuple[str | Reference, ...]


@dataclass(frozen=True)
class Structure:
    """A value that comes with the request and is whatever JSON holds."""

    value: object


Source: TypeAlias = Random | RandomBytes | Given | Structure | FilledByHand | Joined


@dataclass(frozen=True)
class Key:
    """A declared key: a `generation` above the one written last makes a new value."""

    source: Source
    generation: int


class Form(Enum):
    """What a secret's value is."""

    OBJECT = "Keys"
    TEXT = "Text"
    BINARY = "Binary"


WHOLE = ""
"""Stands for the key of a value that has none; no declared key is empty."""


@dataclass(frozen=True)
class Request:
    """What one secret shall have.

    Attributes:
        arn: the secret's full ARN.
        keys: what must be there; of a whole value WHOLE alone.
        removed: keys that must not be there.
        form: of the value.
    """

    arn: str
    keys: Mapping[str, Key]
    removed: frozenset[str]
    form: Form = Form.OBJECT


def shown(names: Iterable[str]) -> str:
    """Return keys as they are in messages."""
    return ", ".join("the whole value" if name == WHOLE else repr(name) for name in sorted(names))


class _MalformedError(Exception):
    """The request cannot be read; the message names the place."""


def read(event: object) -> Request:
    """Read an event.

    Raises:
        OperatorError: it is malformed; the message names the place.
    """
    arn = event.get("SecretId") if isinstance(event, Mapping) else None
    about = f"secret {arn}" if isinstance(arn, str) and _ARN.fullmatch(arn) else "a secret without a full ARN"
    try:
        return _request(event)
    except _MalformedError as error:
        raise OperatorError(
            f"The request for {about} is malformed: {error} Nothing was changed. Correct the request; if "
            "`pulumi up` made it, deploy function and program from the same checkout."
        ) from None


def _request(given: object) -> Request:
    event = _mapping(given, "the event")
    _only(event, {"Action", "SecretId", "RemovedKeys", "Salt", *(form.value for form in Form)}, "the event")
    if event.get("Action") != "write":
        raise _MalformedError('Action must be "write".')
    arn = event.get("SecretId")
    if not isinstance(arn, str) or not _ARN.fullmatch(arn):
        raise _MalformedError("SecretId must be the secret's full ARN.")
    whole = [form for form in (Form.TEXT, Form.BINARY) if form.value in event]
    if whole:
        _only(event, {"Action", "SecretId", "Salt", whole[0].value}, "the event of a whole value")
        return Request(arn, {WHOLE: _whole_value(event[whole[0].value], whole[0])}, frozenset(), whole[0])
    keys = {
        _text(name, f"Keys[{name!r}]"): _key(value, f"Keys[{name!r}]")
        for name, value in _mapping(event.get("Keys", {}), "Keys").items()
    }
    removed = _texts(event.get("RemovedKeys", []), "RemovedKeys")
    if both := sorted(keys.keys() & set(removed)):
        raise _MalformedError(f"{', '.join(map(repr, both))} is both in Keys and in RemovedKeys.")
    if WHOLE in keys or WHOLE in removed:
        raise _MalformedError("a key must have a name.")
    return Request(arn, keys, frozenset(removed))


def _key(given: object, place: str) -> Key:
    fields = dict(_mapping(given, place))
    generation = _whole(fields.pop("generation", 1), f"{place}.generation", 1, LARGEST_GENERATION)
    if len(fields) != 1 or not fields.keys() <= _SOURCES.keys():
        raise _MalformedError(f"{place} must have one of {', '.join(_SOURCES)}, and perhaps generation.")
    kind, value = fields.popitem()
    if kind == "filledByHand" and generation > 1:
        raise _MalformedError(f"{place}.generation: a value that a person fills in is not made anew.")
    return Key(_SOURCES[kind](value, f"{place}.{kind}"), generation)


def _whole_value(given: object, form: Form) -> Key:
    key = _key(given, form.value)
    match key.source:
        case Given(value) if form is Form.BINARY:
            try:
                raw = base64.b64decode(value, validate=True)
            except ValueError:
                raise _MalformedError("Binary.value must be base64.") from None
            if not raw:
                raise _MalformedError("Binary.value must not be empty.")
        case Given(""):
            raise _MalformedError("Text.value must not be empty.")
        case Joined() | Structure():
            raise _MalformedError(f"{form.value} takes no joined value and no JSON.")
        case Random() if form is Form.BINARY:
            raise _MalformedError("Binary.random is not possible; randomBytes is.")
        case RandomBytes(length, _) if form is Form.BINARY:
            # the form in which bytes are kept here
            return Key(RandomBytes(length, "base64"), key.generation)
    return key


def _random(given: object, place: str) -> Random:
    fields = _mapping(given, place)
    names = ("special", "lower", "upper", "numeric")
    minimums = {name: f"min{name.title()}" for name in names}
    _only(fields, {"length", "overrideSpecial", "keepers", *names, *minimums.values()}, place)
    special = fields.get("overrideSpecial")
    if special is not None and not isinstance(special, str):
        raise _MalformedError(f"{place}.overrideSpecial must be a text.")
    characters = {
        "special": special or SPECIAL,
        "lower": string.ascii_lowercase,
        "upper": string.ascii_uppercase,
        "numeric": string.digits,
    }
    classes = tuple(
        CharacterClass(
            characters[name],
            allowed=_boolean(fields.get(name, True), f"{place}.{name}"),
            minimum=_whole(fields.get(least, 0), f"{place}.{least}", 0, _LONGEST_VALUE),
        )
        for name, least in minimums.items()
    )
    length = _whole(fields.get("length"), f"{place}.length", 1, _LONGEST_VALUE)
    least = sum(kind.minimum for kind in classes)
    if least > length:
        raise _MalformedError(f"{place}.length must be at least the sum of the minimums.")
    if least < length and not any(kind.allowed for kind in classes):
        raise _MalformedError(f"{place} must allow one of {', '.join(names)}.")
    return Random(length, classes)


def _random_bytes(given: object, place: str) -> RandomBytes:
    fields = _mapping(given, place)
    _only(fields, {"length", "encoding", "keepers"}, place)
    encoding = fields.get("encoding", "hex")
    if encoding not in {"hex", "base64", "base64url"}:
        raise _MalformedError(f"{place}.encoding must be hex, base64 or base64url.")
    length = _whole(fields.get("length"), f"{place}.length", 1, _LONGEST_VALUE)
    return RandomBytes(length, encoding)


def _given(given: object, place: str) -> Given:
    return Given(_text(given, place))


def _structure(given: object, place: str) -> Structure:
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _MalformedError(f"{place} holds half of a surrogate pair, which is no text.") from None
    return Structure(given)


def _filled_by_hand(given: object, place: str) -> FilledByHand:
    _text(given, place)
    return FilledByHand()


def _joined(given: object, place: str) -> Joined:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise _MalformedError(f"{place} must be a list of texts and keys.")
    return Joined(tuple(_piece(piece, f"{place}[{number}]") for number, piece in enumerate(given)))


def _piece(given: object, place: str) -> str | Reference:
    if isinstance(given, str):
        return _text(given, place)
    fields = _mapping(given, place)
    _only(fields, {"key", "quoted"}, place)
    key = _text(fields.get("key"), f"{place}.key")
    return Reference(key, _boolean(fields.get("quoted", False), f"{place}.quoted"))


_SOURCES: Mapping[str, Callable[[object, str], Source]] = {
    "random": _random,
    "randomBytes": _random_bytes,
    "value": _given,
    "json": _structure,
    "filledByHand": _filled_by_hand,
    "joined": _joined,
}


def _mapping(given: object, place: str) -> Mapping[str, object]:
    if not isinstance(given, Mapping):
        raise _MalformedError(f"{place} must be an object.")
    return given


def _only(fields: Mapping[str, object], known: set[str], place: str) -> None:
    if unknown := sorted(fields.keys() - known):
        raise _MalformedError(f"{place} has no field {', '.join(map(repr, unknown))}.")


def _texts(given: object, place: str) -> list[str]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise _MalformedError(f"{place} must be a list of keys.")
    return [_text(item, f"{place}[{number}]") for number, item in enumerate(given)]


def _text(given: object, place: str) -> str:
    if not isinstance(given, str):
        raise _MalformedError(f"{place} must be a text.")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise _MalformedError(f"{place} holds half of a surrogate pair, which is no text.") from None
    return given


def _boolean(given: object, place: str) -> bool:
    if not isinstance(given, bool):
        raise _MalformedError(f"{place} must be true or false.")
    return given


def _whole(given: object, place: str, least: int, most: int) -> int:
    """A whole number; Pulumi's engine knows only floats, so that 32.0 is one too."""
    number = int(given) if isinstance(given, float) and given.is_integer() else given
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise _MalformedError(f"{place} must be a whole number from {least} to {most}.")
    return number
