"""Where the first value of a secret's key comes from."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Literal, TypeAlias
from urllib.parse import quote

import pulumi
import pulumi_random as random

Encoding: TypeAlias = Literal["hex", "base64", "base64url"]


@dataclass(frozen=True, kw_only=True)
class Random:
    """A random text of `length` characters, with the options of random.RandomPassword.

    `override_special` replaces the provider's special characters `!@#$%&*()-_=+[]{}<>:?`, which are not
    all safe in URLs. A change of any option makes a new text in Pulumi's state; the value in AWS stays.
    """

    length: int
    special: bool = True
    lower: bool = True
    upper: bool = True
    numeric: bool = True
    min_special: int = 0
    min_lower: int = 0
    min_upper: int = 0
    min_numeric: int = 0
    override_special: str | None = None
    keepers: Mapping[str, str] = field(default_factory=dict)
    generation: int = 1


@dataclass(frozen=True, kw_only=True)
class RandomBytes:
    """`length` random bytes as text: lower-case hex, base64 (RFC 4648 section 4, padded) or base64url.

    base64url is RFC 4648 section 5 without padding, the form that tokens and URLs use.
    """

    length: int
    encoding: Encoding = "hex"
    keepers: Mapping[str, str] = field(default_factory=dict)
    generation: int = 1


@dataclass(frozen=True, kw_only=True)
class Given:
    """A value that the caller supplies; a secret Output stays secret."""

    value: pulumi.Input[str]
    generation: int = 1


@dataclass(frozen=True, kw_only=True)
class Structure:
    """A value that is no text: what JSON takes, such as a number, a list or a mapping. It is not secret."""

    value: object
    generation: int = 1


@dataclass(frozen=True, kw_only=True)
class Part:
    """The value of another key of the same secret; `quoted` for a part of a URL (RFC 3986, section 2.1)."""

    key: str
    quoted: bool = False


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Texts and values of other keys one after the other, which the writer joins."""

    pieces: Sequence[pulumi.Input[str] | Part]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A value that a component makes of others; Pulumi's state keeps it in the initial version alone.

    `recipe` says how the writer makes it.
    """

    value: pulumi.Input[str]
    recipe: Random | Joined


@dataclass(frozen=True, kw_only=True)
class FilledByHand:
    """An empty placeholder that a person fills in AWS; `hint` says where to get the value."""

    hint: str


Source: TypeAlias = Random | RandomBytes | Given | FilledByHand
InitialValue: TypeAlias = Source | Structure | Made | Joined


@dataclass(frozen=True, kw_only=True)
class Text:
    """A secret that is one text; AWS takes no empty one."""

    source: Source


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A secret that is binary.

    A Given value holds the bytes in base64; RandomBytes have the encoding base64, in which Pulumi's provider
    and the writer take them.
    """

    source: RandomBytes | Given | FilledByHand


Whole: TypeAlias = Text | Binary

PLACEHOLDER = "\n"
"""What a whole secret holds until a person fills it: AWS takes no empty value; readers strip a line end."""


def _encoded(digits: str, encoding: Encoding) -> str:
    raw = bytes.fromhex(digits)
    match encoding:
        case "hex":
            return digits
        case "base64":
            return base64.b64encode(raw).decode()
        case "base64url":
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _random_text(name: str, value: Random, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    password = random.RandomPassword(
        name,
        length=value.length,
        special=value.special,
        lower=value.lower,
        upper=value.upper,
        numeric=value.numeric,
        min_special=value.min_special,
        min_lower=value.min_lower,
        min_upper=value.min_upper,
        min_numeric=value.min_numeric,
        override_special=value.override_special,
        keepers=dict(value.keepers) or None,
        opts=opts,
    )
    return pulumi.Output.secret(password.result)


def _random_bytes(name: str, value: RandomBytes, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    # random.RandomBytes would have its value for its id, in plain text in Pulumi's state
    # (computeRandomBytesID in pulumi-random). Hexadecimal digits chosen at random are random bytes as well.
    digits = Random(
        length=2 * value.length,
        lower=False,
        upper=False,
        numeric=False,
        override_special="0123456789abcdef",
        keepers=value.keepers,
    )
    return _random_text(name, digits, opts).apply(lambda text: _encoded(text, value.encoding))


def random_name(component: str, key: str) -> str:
    """Return the logical name of the random resource behind a key.

    ":" cannot be part of a secret's name, so no two secrets make the same name. The engine shows it, whatever
    a key holds; a key of letters, digits and `_ . / -` stays as it is.
    """
    return f"{component}-random:{quote(key, safe='/')}"


def resolve(name: str, value: InitialValue, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """The text for a key's first value, with the random resource behind it if it has one.

    Args:
        name: logical name of that random resource.
        value: where the text comes from.
        opts: options of that random resource.

    Returns:
        The text; a secret Output for every random value.

    Raises:
        TypeError: a value that the writer alone makes, or that is no text.
    """
    match value:
        case Random():
            return _random_text(name, value, opts)
        case RandomBytes():
            return _random_bytes(name, value, opts)
        case Given() | Made():
            return value.value
        case FilledByHand():
            return ""
        case Joined():
            raise TypeError(
                "a joined value is made by the writer: use Made where Pulumi writes the first value"
            )
        case Structure():
            raise TypeError("a structure is no text")


def resolve_whole(name: str, value: Whole, opts: pulumi.ResourceOptions) -> dict[str, pulumi.Input[str]]:
    """Return the argument of a SecretVersion that has a whole value, as `resolve` finds it."""
    text = PLACEHOLDER if isinstance(value.source, FilledByHand) else resolve(name, value.source, opts)
    if isinstance(value, Text):
        return {"secret_string": text}
    if isinstance(value.source, FilledByHand):
        text = base64.b64encode(PLACEHOLDER.encode()).decode()
    return {"secret_binary": text}


def origin(value: InitialValue) -> pulumi.Input[object]:
    """Where a first value comes from, for the engine to compare with what it knows.

    Returns:
        `{"random": options}`, `{"randomBytes": options}`, `{"made": True}`, `{"json": text}` or
        `{"filledByHand": hint}`, with the options that are not the default; a given value as it is, secret if
        it is. A `generation` above 1 stands beside it, beside a given value that is then called `value`.
    """
    match value:
        case Made() | Joined():
            return {"made": True}
        case Given(generation=1):
            return value.value
        case Structure():
            # as a text: the engine has keys, and marks in values, of its own
            declared: dict[str, object] = {"json": json.dumps(value.value, sort_keys=True)}
            return declared if value.generation == 1 else {**declared, "generation": value.generation}
        case _:
            return declaration(value, with_keepers=True)


def declaration(value: InitialValue, *, with_keepers: bool = False) -> dict[str, object]:
    """What the writer is told of a key (functions/writer/request.py); only a given value is in it."""
    match value:
        case Random():
            declared: dict[str, object] = {"random": _options(value, with_keepers=with_keepers)}
        case RandomBytes():
            declared = {"randomBytes": _options(value, with_keepers=with_keepers)}
        case Given():
            declared = {"value": value.value}
        case Structure():
            declared = {"json": value.value}
        case FilledByHand():
            return {"filledByHand": value.hint}
        case Made():
            return declaration(value.recipe)
        case Joined():
            return {"joined": [_piece(piece) for piece in value.pieces]}
    return declared if value.generation == 1 else {**declared, "generation": value.generation}


def _piece(piece: pulumi.Input[str] | Part) -> object:
    return {"key": piece.key, "quoted": piece.quoted} if isinstance(piece, Part) else piece


def _options(value: Random | RandomBytes, *, with_keepers: bool) -> dict[str, object]:
    found = {}
    # keepers are for Pulumi's own resource alone
    aside = {"generation"} if with_keepers else {"generation", "keepers"}
    for option in fields(value):
        if option.name in aside:
            continue
        default = option.default_factory() if option.default_factory is not MISSING else option.default
        chosen = getattr(value, option.name)
        if chosen != default:
            first, *others = option.name.split("_")
            found[first + "".join(word.title() for word in others)] = (
                dict(chosen) if isinstance(chosen, Mapping) else chosen
            )
    return found
