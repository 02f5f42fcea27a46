"""Where the first value of a secret's key comes from."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

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


@dataclass(frozen=True, kw_only=True)
class RandomBytes:
    """`length` random bytes as text: lower-case hex, base64 (RFC 4648 section 4, padded) or base64url.

    base64url is RFC 4648 section 5 without padding, the form that tokens and URLs use.
    """

    length: int
    encoding: Encoding = "hex"
    keepers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A value that the caller supplies; a secret Output stays secret."""

    value: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class FilledByHand:
    """An empty placeholder that a person fills in AWS; `hint` says where to get the value."""

    hint: str


InitialValue: TypeAlias = Random | RandomBytes | Given | FilledByHand


def _base64url(padded: str) -> str:
    return base64.urlsafe_b64encode(base64.b64decode(padded)).decode().rstrip("=")


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
    generated = random.RandomBytes(name, length=value.length, keepers=dict(value.keepers) or None, opts=opts)
    if value.encoding == "hex":
        return pulumi.Output.secret(generated.hex)
    encoded = pulumi.Output.secret(generated.base64)
    return encoded.apply(_base64url) if value.encoding == "base64url" else encoded


def resolve(name: str, value: InitialValue, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """The text for a key's first value, with the random resource behind it if it has one.

    Args:
        name: logical name of that random resource.
        value: where the text comes from.
        opts: options of that random resource.

    Returns:
        The text; a secret Output for every random value.
    """
    match value:
        case Random():
            return _random_text(name, value, opts)
        case RandomBytes():
            return _random_bytes(name, value, opts)
        case Given():
            return value.value
        case FilledByHand():
            return ""
