"""Read the function's event: what to write into a secret, or which keys to roll back.

{"Action": "write", "SecretId": ARN, "Keys": {key: {one source, "generation"?}}, "RemovedKeys": [key, ...]}
{"Action": "write", "SecretId": ARN, "Text": {one source, "generation"?}}
{"Action": "write", "SecretId": ARN, "Binary": {one source, "generation"?}}

The second and third form are for a secret whose whole value is one text, or binary; bytes are in base64.

A source is one of "random", "randomBytes", "value", "json", "filledByHand" and "joined". "Salt" may be
anything.

{"Action": "rollback", "SecretId": ARN, "SourceVersion": id, "CurrentVersion": id, "KeyNames": [key, ...]}

An error names the place in the event, never its content, which may be a value.
"""

import base64
import json
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any, TypeAlias, get_args

from . import protocol
from .errors import OperatorError
from .protocol import Encoding, RandomBytesOptions, RandomOptions, event_name

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""The special characters of random.RandomPassword, according to its documentation of overrideSpecial."""

LARGEST_GENERATION = 9_999
"""A higher number would not fit into the record of 60 keys, see `generation_labels.py`."""

_LONGEST_VALUE = 65_536  # bytes of a secret's value. Source: AWS Secrets Manager User Guide, "Quotas"
_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+")


@dataclass(frozen=True)
class CharacterClass:
    """A class of characters of a random text.

    Attributes:
        characters: the characters.
        allowed: whether they may appear anywhere.
        minimum: least number of them, even if they are not allowed otherwise, as in random.RandomPassword.
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
    """A value that the request contains."""

    value: str


@dataclass(frozen=True)
class FilledByHand:
    """A placeholder: an empty value to be filled in manually in AWS."""


@dataclass(frozen=True)
class Reference:
    """The value of another key; `quoted` percent-encodes it for a URL."""

    key: str
    quoted: bool


@dataclass(frozen=True)
class Joined:
    """A concatenation of texts and the values of other keys."""

    pieces: tuple[str | Reference, ...]


@dataclass(frozen=True)
class Structure:
    """A value that the request contains, of any JSON type."""

    value: object


Source: TypeAlias = Random | RandomBytes | Given | Structure | FilledByHand | Joined


@dataclass(frozen=True)
class Key:
    """A declared key; a `generation` above the recorded one regenerates its value."""

    source: Source
    generation: int


class Form(Enum):
    """The form of a secret's value; each is the key of the event that declares it."""

    OBJECT = protocol.KEYS
    TEXT = protocol.TEXT
    BINARY = protocol.BINARY


WHOLE = ""
"""The key of a whole value, which has none; a declared key is never empty."""


@dataclass(frozen=True)
class Request:
    """The declared content of one secret.

    Attributes:
        arn: the secret's full ARN.
        keys: keys that must exist; for a whole value only WHOLE.
        removed: keys that must not exist.
        form: the form of the value.
    """

    arn: str
    keys: Mapping[str, Key]
    removed: frozenset[str]
    form: Form = Form.OBJECT


@dataclass(frozen=True)
class Rollback:
    """Keys of one secret to roll back.

    Attributes:
        arn: the secret's full ARN.
        source: id of the version whose values the keys get.
        current: id of the version that keeps all others; another current version is an error.
        keys: the keys.
    """

    arn: str
    source: str
    current: str
    keys: tuple[str, ...]


def shown(names: Iterable[str]) -> str:
    """Return keys as messages name them."""
    return ", ".join("the whole value" if name == WHOLE else repr(name) for name in sorted(names))


class _MalformedError(Exception):
    """The request is malformed; the message names the place."""


def read(event: object) -> Request | Rollback:
    """Read an event.

    Raises:
        OperatorError: the event is malformed; the message names the place.
    """
    arn = event.get(protocol.SECRET_ID) if isinstance(event, Mapping) else None
    secret = (
        f"Secret {arn}" if isinstance(arn, str) and _ARN.fullmatch(arn) else "A secret without a full ARN"
    )
    try:
        return _request(event)
    except _MalformedError as error:
        raise OperatorError(
            f"{secret}: the request is malformed: {error} Nothing was changed. Correct the request; if "
            "`pulumi up` sent it, deploy function and program from the same version."
        ) from None


def _request(given: object) -> Request | Rollback:
    event = _mapping(given, "the event")
    if event.get(protocol.ACTION) == protocol.ROLL_BACK:
        return _rollback(event)
    common = {protocol.ACTION, protocol.SECRET_ID, protocol.SALT}
    _only(event, {*common, protocol.REMOVED_KEYS, *(form.value for form in Form)}, "the event")
    if event.get(protocol.ACTION) != protocol.WRITE:
        raise _MalformedError(f'{protocol.ACTION} must be "{protocol.WRITE}" or "{protocol.ROLL_BACK}".')
    arn = _arn(event)
    whole = [form for form in (Form.TEXT, Form.BINARY) if form.value in event]
    if whole:
        _only(event, {*common, whole[0].value}, "the event of a whole value")
        return Request(arn, {WHOLE: _whole_value(event[whole[0].value], whole[0])}, frozenset(), whole[0])
    keys = {
        _text(name, f"{protocol.KEYS}[{name!r}]"): _key(value, f"{protocol.KEYS}[{name!r}]")
        for name, value in _mapping(event.get(protocol.KEYS, {}), protocol.KEYS).items()
    }
    removed = _texts(event.get(protocol.REMOVED_KEYS, []), protocol.REMOVED_KEYS)
    if both := sorted(keys.keys() & set(removed)):
        raise _MalformedError(
            f"{', '.join(map(repr, both))} is in both {protocol.KEYS} and {protocol.REMOVED_KEYS}."
        )
    if WHOLE in keys or WHOLE in removed:
        raise _MalformedError("a key must not be empty.")
    return Request(arn, keys, frozenset(removed))


def _rollback(event: Mapping[str, object]) -> Rollback:
    versions = (protocol.SOURCE_VERSION, protocol.CURRENT_VERSION)
    _only(event, {protocol.ACTION, protocol.SECRET_ID, *versions, protocol.KEY_NAMES}, "a rollback's event")
    source, current = (_text(event.get(name), name) for name in versions)
    keys = _texts(event.get(protocol.KEY_NAMES), protocol.KEY_NAMES)
    if not keys or not all(keys) or len(set(keys)) < len(keys):
        raise _MalformedError(f"{protocol.KEY_NAMES} must list different keys, and at least one.")
    return Rollback(_arn(event), source, current, tuple(keys))


def _arn(event: Mapping[str, object]) -> str:
    arn = event.get(protocol.SECRET_ID)
    if not isinstance(arn, str) or not _ARN.fullmatch(arn):
        raise _MalformedError(f"{protocol.SECRET_ID} must be the secret's full ARN.")
    return arn


def _key(given: object, place: str) -> Key:
    source = dict(_mapping(given, place))
    generation_at = f"{place}.{protocol.GENERATION}"
    generation = _integer(source.pop(protocol.GENERATION, 1), generation_at, 1, LARGEST_GENERATION)
    if len(source) != 1 or not source.keys() <= _SOURCES.keys():
        raise _MalformedError(
            f"{place} must have exactly one of {', '.join(_SOURCES)}, and optionally {protocol.GENERATION}."
        )
    kind, value = source.popitem()
    if kind == protocol.FILLED_BY_HAND and generation > 1:
        raise _MalformedError(f"{generation_at}: a value that is filled in manually cannot be regenerated.")
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
            raise _MalformedError(f"{form.value} does not support {protocol.JOINED} and {protocol.JSON}.")
        case Random() if form is Form.BINARY:
            raise _MalformedError("Binary.random is not supported. Use randomBytes.")
        case RandomBytes(length, _) if form is Form.BINARY:
            # binary values are base64 in this program
            return Key(RandomBytes(length, "base64"), key.generation)
    return key


def _random(given: object, place: str) -> Random:
    options = RandomOptions(**_options(given, RandomOptions, place))
    classes = (
        CharacterClass(options.override_special or SPECIAL, options.special, options.min_special),
        CharacterClass(string.ascii_lowercase, options.lower, options.min_lower),
        CharacterClass(string.ascii_uppercase, options.upper, options.min_upper),
        CharacterClass(string.digits, options.numeric, options.min_numeric),
    )
    least = sum(kind.minimum for kind in classes)
    if least > options.length:
        raise _MalformedError(f"{place}.length must be at least the sum of the minimums.")
    if least < options.length and not any(kind.allowed for kind in classes):
        raise _MalformedError(f"{place} must allow one of special, lower, upper, numeric.")
    return Random(options.length, classes)


def _random_bytes(given: object, place: str) -> RandomBytes:
    options = RandomBytesOptions(**_options(given, RandomBytesOptions, place))
    if options.encoding not in get_args(Encoding):
        raise _MalformedError(f"{place}.encoding must be hex, base64 or base64url.")
    return RandomBytes(options.length, options.encoding)


def _options(given: object, kind: type[RandomOptions | RandomBytesOptions], place: str) -> dict[str, Any]:
    """Check a source's options by the type of their defaults; return those that the event contains."""
    event = _mapping(given, place)
    names = {event_name(option.name): option for option in fields(kind)}
    _only(event, {*names, protocol.KEEPERS}, place)
    options: dict[str, Any] = {}
    for name, option in names.items():
        at = f"{place}.{name}"
        if option.default is MISSING:
            options[option.name] = _integer(event.get(name), at, 1, _LONGEST_VALUE)
        elif name not in event or (event[name] is None and option.default is None):
            continue
        elif isinstance(option.default, bool):
            options[option.name] = _boolean(event[name], at)
        elif isinstance(option.default, int):
            options[option.name] = _integer(event[name], at, 0, _LONGEST_VALUE)
        else:
            options[option.name] = _text(event[name], at)
    return options


def _given(given: object, place: str) -> Given:
    return Given(_text(given, place))


def _structure(given: object, place: str) -> Structure:
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _MalformedError(f"{place} contains an unpaired surrogate, which is not valid text.") from None
    return Structure(given)


def _filled_by_hand(given: object, place: str) -> FilledByHand:
    _text(given, place)
    return FilledByHand()


def _joined(given: object, place: str) -> Joined:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise _MalformedError(f"{place} must be a list of strings and references to keys.")
    return Joined(tuple(_piece(piece, f"{place}[{number}]") for number, piece in enumerate(given)))


def _piece(given: object, place: str) -> str | Reference:
    if isinstance(given, str):
        return _text(given, place)
    reference = _mapping(given, place)
    key, quoted = protocol.REFERENCE_KEY, protocol.REFERENCE_QUOTED
    _only(reference, {key, quoted}, place)
    return Reference(
        _text(reference.get(key), f"{place}.{key}"),
        _boolean(reference.get(quoted, False), f"{place}.{quoted}"),
    )


_SOURCES: Mapping[str, Callable[[object, str], Source]] = {
    protocol.RANDOM: _random,
    protocol.RANDOM_BYTES: _random_bytes,
    protocol.VALUE: _given,
    protocol.JSON: _structure,
    protocol.FILLED_BY_HAND: _filled_by_hand,
    protocol.JOINED: _joined,
}


def _mapping(given: object, place: str) -> Mapping[str, object]:
    if not isinstance(given, Mapping):
        raise _MalformedError(f"{place} must be an object.")
    return given


def _only(given: Mapping[str, object], known: set[str], place: str) -> None:
    if unknown := sorted(given.keys() - known):
        raise _MalformedError(f"{place} has unknown fields: {', '.join(map(repr, unknown))}.")


def _texts(given: object, place: str) -> list[str]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise _MalformedError(f"{place} must be a list of keys.")
    return [_text(item, f"{place}[{number}]") for number, item in enumerate(given)]


def _text(given: object, place: str) -> str:
    if not isinstance(given, str):
        raise _MalformedError(f"{place} must be a string.")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise _MalformedError(f"{place} contains an unpaired surrogate, which is not valid text.") from None
    return given


def _boolean(given: object, place: str) -> bool:
    if not isinstance(given, bool):
        raise _MalformedError(f"{place} must be true or false.")
    return given


def _integer(given: object, place: str, least: int, most: int) -> int:
    """Return an integer; 32.0 is one too, because Pulumi's engine has only floating-point numbers."""
    number = int(given) if isinstance(given, float) and given.is_integer() else given
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise _MalformedError(f"{place} must be a whole number from {least} to {most}.")
    return number
