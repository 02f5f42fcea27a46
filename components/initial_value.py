"""Sources of the initial values of a secret: generated, configured, or filled in by a person."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TypeAlias, get_args
from urllib.parse import quote

import pulumi
import pulumi_random as random

from .checks import ArgumentError, check_choice, check_number, check_text, is_later, not_a_source
from .lambdas.writer import protocol

Encoding: TypeAlias = protocol.Encoding


@dataclass(frozen=True, kw_only=True)
class Random(protocol.RandomOptions):
    """A random string, with the options of random.RandomPassword.

    A changed option regenerates the string in Pulumi's state; the value in AWS stays.

    Attributes:
        length: number of characters.
        special: include special characters. Default: True.
        lower: include lower-case letters. Default: True.
        upper: include upper-case letters. Default: True.
        numeric: include digits. Default: True.
        min_special: at least this many special characters. Default: 0.
        min_lower: at least this many lower-case letters. Default: 0.
        min_upper: at least this many upper-case letters. Default: 0.
        min_numeric: at least this many digits. Default: 0.
        override_special: special characters to use. Default: the provider's `!@#$%&*()-_=+[]{}<>:?`, which
            are not all safe in URLs.
        keepers: any strings; a change regenerates the string in Pulumi's state. Default: none.
        generation: raise it to regenerate the value in AWS, in the modes managed and account. Default: 1.

    Raises:
        ArgumentError: no character is allowed, or fewer than the minimums ask for.
    """

    keepers: Mapping[str, str] = field(default_factory=dict)
    generation: int = 1

    def __post_init__(self) -> None:
        check_number("Random", "length", self.length, 1)
        check_number("Random", "generation", self.generation, 1)
        least = (self.min_special, self.min_lower, self.min_upper, self.min_numeric)
        if sum(least) > self.length:
            raise ArgumentError(f"Random: the minimums add up to {sum(least)}, above length {self.length}")
        if not (self.special or self.lower or self.upper or self.numeric or self.override_special):
            raise ArgumentError("Random: no characters are allowed: leave one of the classes on")


@dataclass(frozen=True, kw_only=True)
class RandomBytes(protocol.RandomBytesOptions):
    """Random bytes, encoded as text.

    Attributes:
        length: number of bytes.
        encoding: hex (lower case), base64 (RFC 4648 section 4, padded) or base64url (section 5 without
            padding, the form that tokens and URLs use). Default: hex.
        keepers: any strings; a change regenerates the bytes in Pulumi's state. Default: none.
        generation: raise it to regenerate the value in AWS, in the modes managed and account. Default: 1.

    Raises:
        ArgumentError: no such length or encoding.
    """

    keepers: Mapping[str, str] = field(default_factory=dict)
    generation: int = 1

    def __post_init__(self) -> None:
        check_number("RandomBytes", "length", self.length, 1)
        check_number("RandomBytes", "generation", self.generation, 1)
        check_choice("RandomBytes", "encoding", self.encoding, get_args(Encoding))


@dataclass(frozen=True, kw_only=True)
class Given:
    """A configured value.

    Attributes:
        value: the value; a secret Output stays secret.
        generation: raise it to write a changed value to AWS, in the modes managed and account. Default: 1.

    Raises:
        ArgumentError: it is not text.
    """

    value: pulumi.Input[str]
    generation: int = 1

    def __post_init__(self) -> None:
        check_number("Given", "generation", self.generation, 1)
        if not isinstance(self.value, str) and not is_later(self.value):
            raise ArgumentError("Given: value is not text: use Structure(value=...) to store it as JSON")


@dataclass(frozen=True, kw_only=True)
class Structure:
    """A value that is not text: a JSON number, list, object, true, false or null. It is not secret.

    Attributes:
        value: the value.
        generation: raise it to write a changed value to AWS, in the modes managed and account. Default: 1.

    Raises:
        ArgumentError: JSON has no such value.
    """

    value: object
    generation: int = 1

    def __post_init__(self) -> None:
        check_number("Structure", "generation", self.generation, 1)
        try:
            json.dumps(self.value)
        except (TypeError, ValueError):
            raise ArgumentError(
                "Structure: value is not JSON: use numbers, strings, booleans, None, lists and dicts of them"
            ) from None


@dataclass(frozen=True, kw_only=True)
class Part:
    """The value of another key of the same secret.

    Attributes:
        key: the other key.
        quoted: quote it as a part of a URL (RFC 3986, section 2.1). Default: False.
    """

    key: str
    quoted: bool = False


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Texts and values of other keys, which the writer joins; for the mode account.

    Attributes:
        pieces: the texts and keys, in order.
    """

    pieces: Sequence[pulumi.Input[str] | Part]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A value that a component derives; Pulumi's state holds it in the initial version alone.

    Attributes:
        value: the value.
        recipe: how the writer makes it.
    """

    value: pulumi.Input[str]
    recipe: Random | Joined


@dataclass(frozen=True, kw_only=True)
class FilledByHand:
    """An empty placeholder for a value that a person enters in AWS.

    Attributes:
        hint: where to get the value, for the person.

    Raises:
        ArgumentError: the hint is empty.
    """

    hint: str

    def __post_init__(self) -> None:
        check_text("FilledByHand", "hint", self.hint)


Source: TypeAlias = Random | RandomBytes | Given | FilledByHand
InitialValue: TypeAlias = Source | Structure | Made | Joined


@dataclass(frozen=True, kw_only=True)
class Text:
    """A secret that is one text, without JSON keys.

    Attributes:
        source: source of the text; AWS accepts no empty one.

    Raises:
        ArgumentError: the source is not one, or an empty text.
    """

    source: Source

    def __post_init__(self) -> None:
        if not isinstance(self.source, Source):
            raise not_a_source("Text: source", self.source)
        if isinstance(self.source, Given):
            check_text("Text", "the configured value", self.source.value)


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A binary secret.

    Attributes:
        source: RandomBytes with the encoding base64, Given with the bytes in base64, or FilledByHand.

    Raises:
        ArgumentError: the source is not one of these.
    """

    source: RandomBytes | Given | FilledByHand

    def __post_init__(self) -> None:
        if isinstance(self.source, Random):
            raise ArgumentError("Binary: source is Random, which is text: use RandomBytes(encoding='base64')")
        if not isinstance(self.source, (RandomBytes, Given, FilledByHand)):
            raise not_a_source("Binary: source", self.source)
        if isinstance(self.source, RandomBytes):
            check_choice("Binary", "encoding", self.source.encoding, ("base64",))


Whole: TypeAlias = Text | Binary

PLACEHOLDER = protocol.PLACEHOLDER
"""The value of a whole secret that is not filled in yet: AWS accepts no empty one; readers strip it."""


def check_source(where: str, value: object) -> None:
    """Check that a value is a source of an initial value.

    Raises:
        ArgumentError: it is something else, such as plain text; the message does not repeat it.
    """
    if not isinstance(value, InitialValue):
        raise not_a_source(where, value)


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
    """Return the logical name of a key's random resource.

    A secret's name has no ":", so two secrets never share a name. Pulumi shows it, so a key is quoted unless
    it consists of letters, digits and `_ . / -`.
    """
    return f"{component}-random:{quote(key, safe='/')}"


def resolve(name: str, value: InitialValue, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """Return the initial value of a key; declare its random resource if it needs one.

    Args:
        name: logical name of the random resource.
        value: source of the value.
        opts: options of the random resource.

    Returns:
        The value; a secret Output for every random one.

    Raises:
        TypeError: a value that only the writer makes, or that is not text.
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
            raise TypeError("the writer makes a joined value: use Made where Pulumi writes the initial value")
        case Structure():
            raise TypeError("a structure is not text")


def resolve_whole(name: str, value: Whole, opts: pulumi.ResourceOptions) -> dict[str, pulumi.Input[str]]:
    """Return the SecretVersion argument with the initial value of a whole secret; see `resolve`."""
    text = PLACEHOLDER if isinstance(value.source, FilledByHand) else resolve(name, value.source, opts)
    if isinstance(value, Text):
        return {"secret_string": text}
    if isinstance(value.source, FilledByHand):
        text = base64.b64encode(PLACEHOLDER.encode()).decode()
    return {"secret_binary": text}


def origin(value: InitialValue) -> pulumi.Input[object]:
    """Return the source of an initial value as a component input, which the engine compares with its state.

    Returns:
        `{"random": options}`, `{"randomBytes": options}`, `{"made": True}`, `{"json": text}` or
        `{"filledByHand": hint}`, with the options that are not the default; a configured value as it is,
        secret if it is. A generation above 1 is added as `generation`; a configured value is then `value`.
    """
    match value:
        case Made() | Joined():
            return {"made": True}
        case Given(generation=1):
            return value.value
        case Structure():
            # as text: the engine gives some keys a meaning of its own
            declared: dict[str, object] = {"json": json.dumps(value.value, sort_keys=True)}
            return declared if value.generation == 1 else {**declared, "generation": value.generation}
        case _:
            return declaration(value, with_keepers=True)


def declaration(value: InitialValue, *, with_keepers: bool = False) -> dict[str, object]:
    """Return a key's entry in the writer's request (lambdas/writer/request.py).

    Only a configured value is in it as such.
    """
    match value:
        case Random():
            declared: dict[str, object] = {protocol.RANDOM: _options(value, with_keepers=with_keepers)}
        case RandomBytes():
            declared = {protocol.RANDOM_BYTES: _options(value, with_keepers=with_keepers)}
        case Given():
            declared = {protocol.VALUE: value.value}
        case Structure():
            declared = {protocol.JSON: value.value}
        case FilledByHand():
            return {protocol.FILLED_BY_HAND: value.hint}
        case Made():
            return declaration(value.recipe)
        case Joined():
            return {protocol.JOINED: [_piece(piece) for piece in value.pieces]}
    return declared if value.generation == 1 else {**declared, protocol.GENERATION: value.generation}


def _piece(piece: pulumi.Input[str] | Part) -> object:
    return (
        {protocol.REFERENCE_KEY: piece.key, protocol.REFERENCE_QUOTED: piece.quoted}
        if isinstance(piece, Part)
        else piece
    )


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
            found[protocol.event_name(option.name)] = dict(chosen) if isinstance(chosen, Mapping) else chosen
    return found
