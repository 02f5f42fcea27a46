"""The resource random:index/randomPassword:RandomPassword.

Its value lives in Pulumi's state only: nothing is called, and a refresh finds what the state has.
"""

import secrets
import string
from typing import Any

import bcrypt

from localcloud.plugins.resource import Failure, Resource
from localcloud.plugins.serve import ProviderError
from localcloud.plugins.values import UNKNOWN, Properties

# The official provider's special characters, from its documentation of override_special.
_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_BCRYPT_BYTES = 72  # bcrypt reads no further


def _shape(inputs: dict[str, Any], required_outputs: dict[str, Any], secret: set[str]) -> dict[str, Any]:
    """All inputs replace the resource; outputs are the inputs and what is generated."""
    with_replace = {name: {**about, "replace": True} for name, about in inputs.items()}
    generated = {
        name: {**about, "required": True, "secret": name in secret}
        for name, about in required_outputs.items()
    }
    return {"inputs": with_replace, "outputs": {**inputs, **generated}}


def _classes(inputs: Properties) -> list[tuple[str, bool, int]]:
    """Characters, whether they are allowed, and how many there must be at least, a class."""
    special = inputs.get("overrideSpecial") or _SPECIAL
    numeric = inputs.get("numeric", inputs.get("number", True))
    return [
        (special, inputs.get("special", True), inputs.get("minSpecial", 0)),
        (string.ascii_lowercase, inputs.get("lower", True), inputs.get("minLower", 0)),
        (string.ascii_uppercase, inputs.get("upper", True), inputs.get("minUpper", 0)),
        (string.digits, numeric, inputs.get("minNumeric", 0)),
    ]


def _check_password(inputs: Properties) -> list[Failure]:
    if UNKNOWN in inputs.values():
        return []
    failures = []
    length = inputs.get("length", 0)
    classes = _classes(inputs)
    minimums = sum(minimum for _, _, minimum in classes)
    if length < 1:
        failures.append(Failure("length", f"Attribute length value must be at least 1, got: {length}."))
    elif minimums > length:
        failures.append(
            Failure(
                "length",
                "Attribute length value must be at least sum of min_upper + min_lower + min_numeric + "
                f"min_special, got: {length}.",
            )
        )
    if not any(allowed for _, allowed, _ in classes):
        failures.append(
            Failure(
                "special", "At least one attribute out of [special, upper, lower, numeric] must be specified."
            )
        )
    return failures


def _generate(inputs: Properties) -> str:
    classes = _classes(inputs)
    alphabet = "".join(characters for characters, allowed, _ in classes if allowed)
    chosen = [secrets.choice(characters) for characters, _, minimum in classes for _ in range(minimum)]
    if not alphabet:
        raise ProviderError("the character set specified is empty")
    chosen += [secrets.choice(alphabet) for _ in range(inputs["length"] - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _nothing_to_do(*_: object) -> None:
    """Deleting forgets the value; an update cannot happen, because every input replaces."""


def _read(_context: object, identity: str, known: Properties) -> Properties | None:
    return {**known, "id": identity}


def _create_password(_context: object, inputs: Properties) -> Properties:
    result = _generate(inputs)
    numeric = inputs.get("numeric", inputs.get("number", True))
    return {
        "bcryptHash": bcrypt.hashpw(result.encode()[:_BCRYPT_BYTES], bcrypt.gensalt(10)).decode(),
        "id": "none",
        "keepers": inputs.get("keepers"),
        "length": inputs["length"],
        "lower": inputs.get("lower", True),
        "minLower": inputs.get("minLower", 0),
        "minNumeric": inputs.get("minNumeric", 0),
        "minSpecial": inputs.get("minSpecial", 0),
        "minUpper": inputs.get("minUpper", 0),
        "number": numeric,
        "numeric": numeric,
        "overrideSpecial": inputs.get("overrideSpecial"),
        "result": result,
        "special": inputs.get("special", True),
        "upper": inputs.get("upper", True),
    }


_KEEPERS = {"keepers": {"type": {"*": "string"}}}
_LENGTH = {"length": {"type": "integer", "required": True}}
_PASSWORD_INPUTS: dict[str, Any] = {
    **_KEEPERS,
    **_LENGTH,
    **{name: {"type": "boolean"} for name in ("lower", "number", "numeric", "special", "upper")},
    **{name: {"type": "integer"} for name in ("minLower", "minNumeric", "minSpecial", "minUpper")},
    "overrideSpecial": {"type": "string"},
}

RANDOM_PASSWORD = Resource(
    token="random:index/randomPassword:RandomPassword",  # noqa: S106  a type's name, not a password
    **_shape(
        _PASSWORD_INPUTS,
        {"bcryptHash": {"type": "string"}, "result": {"type": "string"}},
        {"bcryptHash", "result"},
    ),
    create=_create_password,
    read=_read,
    update=_nothing_to_do,
    delete=_nothing_to_do,
    check=_check_password,
    fixed_defaults={
        **dict.fromkeys(("lower", "number", "numeric", "special", "upper"), True),
        **dict.fromkeys(("minLower", "minNumeric", "minSpecial", "minUpper"), 0),
    },
)
