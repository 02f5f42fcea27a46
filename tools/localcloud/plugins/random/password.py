"""The resource random:index/randomPassword:RandomPassword.

Its value is in Pulumi's state only: nothing is called, and a refresh returns the state.
"""

import secrets
import string
from typing import Any

import bcrypt

from tools.localcloud.plugins.property_types import Failure
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import UNKNOWN, Properties

# The official provider's special characters, from its documentation of override_special.
_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_BCRYPT_BYTES = 72  # bcrypt reads no further

_INPUTS: dict[str, Any] = {
    "keepers": {"type": {"*": "string"}, "replace": True},
    "length": {"type": "integer", "required": True, "replace": True},
    **{
        name: {"type": "boolean", "replace": True}
        for name in ("lower", "number", "numeric", "special", "upper")
    },
    **{
        name: {"type": "integer", "replace": True}
        for name in ("minLower", "minNumeric", "minSpecial", "minUpper")
    },
    "overrideSpecial": {"type": "string", "replace": True},
}
_GENERATED = {"type": "string", "required": True, "secret": True}
_DEFAULTS: Properties = {
    **dict.fromkeys(("lower", "special", "upper"), True),
    **dict.fromkeys(("minLower", "minNumeric", "minSpecial", "minUpper"), 0),
}


def _planned(inputs: Properties) -> Properties:
    """Return inputs in which `number`, the older name of `numeric`, has the same value."""
    numeric = inputs.get("numeric", inputs.get("number", True))
    return {**inputs, "number": numeric, "numeric": numeric}


def _classes(inputs: Properties) -> list[tuple[str, bool, int]]:
    """Return each class's characters, whether they are allowed, and their minimum."""
    given = {**_DEFAULTS, **_planned(inputs)}
    return [
        (given.get("overrideSpecial") or _SPECIAL, given["special"], given["minSpecial"]),
        (string.ascii_lowercase, given["lower"], given["minLower"]),
        (string.ascii_uppercase, given["upper"], given["minUpper"]),
        (string.digits, given["numeric"], given["minNumeric"]),
    ]


def _check(inputs: Properties) -> list[Failure]:
    if UNKNOWN in inputs.values() or "length" not in inputs:
        return []
    length, classes = inputs["length"], _classes(inputs)
    minimums = sum(minimum for _, _, minimum in classes)
    reasons = []
    if length < 1:
        reasons.append(f"Attribute length value must be at least 1, got: {length}")
    if minimums > length:
        sums = "min_upper + min_lower + min_numeric + min_special"
        reasons.append(f"Attribute length value must be at least sum of {sums}, got: {length}")
    failures = [Failure("length", f"Invalid Attribute Value. {reason}") for reason in reasons]
    if not failures and minimums < length and not any(allowed for _, allowed, _ in classes):
        # the official plugin crashes over this in its creation; these are its words for an ephemeral password
        reason = "At least one attribute out of [special,upper,lower,numeric] must be specified as true"
        failures.append(Failure("numeric", f"Invalid Attribute Combination. {reason}"))
    return failures


def _generate(inputs: Properties) -> str:
    classes = _classes(inputs)
    alphabet = "".join(characters for characters, allowed, _ in classes if allowed)
    # a minimum counts even for a class that is not allowed otherwise
    chosen = [secrets.choice(characters) for characters, _, minimum in classes for _ in range(minimum)]
    chosen += [secrets.choice(alphabet) for _ in range(inputs["length"] - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _outputs(inputs: Properties, result: str) -> Properties:
    return {
        **dict.fromkeys(_INPUTS),
        **_DEFAULTS,
        **{name: value for name, value in _planned(inputs).items() if name in _INPUTS},
        "bcryptHash": bcrypt.hashpw(result.encode()[:_BCRYPT_BYTES], bcrypt.gensalt(10)).decode(),
        "id": "none",
        "result": result,
    }


def _create(_context: object, inputs: Properties) -> Properties:
    return _outputs(inputs, _generate(inputs))


def _read(_context: object, identity: str, known: Properties) -> Properties:
    """Return the state; an import takes its id as the value."""
    return known or _outputs({"length": len(identity.encode())}, identity)


def _nothing_to_do(*_: object) -> None:
    """Do nothing: deleting forgets the value, and every changed input replaces."""


def _is_no_alphabet(old: object, new: object) -> bool:
    return not old and not new


RANDOM_PASSWORD = Resource(
    token="random:index/randomPassword:RandomPassword",  # noqa: S106  a type's name, not a password
    inputs=_INPUTS,
    outputs={**_INPUTS, "bcryptHash": _GENERATED, "result": _GENERATED},
    create=_create,
    read=_read,
    update=_nothing_to_do,
    delete=_nothing_to_do,
    check=_check,
    planned=_planned,
    fixed_defaults=_DEFAULTS,
    equivalent={"overrideSpecial": _is_no_alphabet},
    plugin_framework=True,
)
