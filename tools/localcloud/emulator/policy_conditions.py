"""Evaluate a policy's Condition element, and its texts with variables and wildcards.

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators", "Policy variables", "Condition
operators for multiple keys and values".
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

# Condition keys in lower case to the values that a request has for them.
Context: TypeAlias = Mapping[str, tuple[str, ...]]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ARN_PARTS = 6


class UnmodelledError(Exception):
    """A policy uses something that is not modelled, so it cannot be evaluated."""


def conditions_hold(conditions: object, context: Context, *, variables: bool) -> bool:
    """Return whether all conditions of a statement hold.

    Args:
        conditions: operator to key to one value or several.
        context: of the request.
        variables: whether `${...}` means something, as from version 2012-10-17 of the policy language on.

    Raises:
        UnmodelledError: an operator is not known, whatever the others say.
    """
    if not isinstance(conditions, Mapping):
        raise UnmodelledError("a Condition that is not an object")
    judged = [
        (_operator(operator), str(key).lower(), _texts(wanted))
        for operator, keys in conditions.items()
        for key, wanted in _keys(keys).items()
    ]
    return all(judge(key, wanted, context, variables) for judge, key, wanted in judged)


def _keys(keys: object) -> Mapping[str, object]:
    if not isinstance(keys, Mapping):
        raise UnmodelledError("a Condition that is not an object")
    return keys


def _texts(wanted: object) -> list[str]:
    listed = wanted if isinstance(wanted, list) else [wanted]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in listed]


_Judge: TypeAlias = Callable[[str, Sequence[str], Context, bool], bool]


@lru_cache(maxsize=256)
def _operator(whole: str) -> _Judge:
    """Return the test of an operator, with its quantifier and IfExists, for a key and a policy's values."""
    quantifier, _, name = whole.rpartition(":")
    base = name.removesuffix("IfExists")
    negated = _NEGATED.get(base)
    comparison = _COMPARISONS.get(negated or base)
    if quantifier not in {"", "ForAnyValue", "ForAllValues"} or (comparison is None and whole != "Null"):
        raise UnmodelledError(f"the condition operator {whole}")
    if comparison is None:
        return _is_absent
    if name != base:
        without_key = True
    else:
        without_key = quantifier == "ForAllValues" or (quantifier == "" and negated is not None)

    def judge(key: str, wanted: Sequence[str], context: Context, variables: bool) -> bool:
        found = context.get(key, ())
        if not found:
            return without_key

        def satisfies(value: str) -> bool:
            one_does = any(comparison(parts_of(one, context, variables=variables), value) for one in wanted)
            return one_does is (negated is None)

        quantified = any if quantifier == "ForAnyValue" else all
        try:
            return quantified([satisfies(value) for value in found])
        except (ValueError, OverflowError):  # no number, date or address: nothing that could satisfy
            return False

    return judge


def _is_absent(key: str, wanted: Sequence[str], context: Context, _variables: bool) -> bool:
    return any(bool(context.get(key)) is (one.lower() == "false") for one in wanted)


# --- Texts with variables and wildcards

# A text of a policy: literal parts, and the wildcards * and ? between them; None if a variable has no value.
Parts: TypeAlias = tuple[tuple[str, bool], ...] | None


def parts_of(text: str, context: Context, *, variables: bool) -> Parts:
    """Return a policy's text with its variables replaced, whose values are literal whatever they hold."""
    if "${" not in text or not variables:
        return _split(text)
    parts: list[tuple[str, bool]] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        value = _value(found[1], context)
        if value is None:
            return None
        parts += [*(_split(text[end : found.start()])), (value, False)]
        end = found.end()
    return (*parts, *_split(text[end:]))


def _value(variable: str, context: Context) -> str | None:
    if variable in {"*", "?", "$"}:
        return variable
    key, _, default = variable.partition(",")
    values = context.get(key.strip().lower(), ())
    if len(values) == 1:
        return values[0]
    quoted = re.fullmatch(r"\s*'(.*)'\s*", default)
    return quoted[1] if quoted and not values else None


@lru_cache(maxsize=4096)
def _split(text: str) -> tuple[tuple[str, bool], ...]:
    return tuple((part, part in {"*", "?"}) for part in re.split(r"([*?])", text) if part)


def _plain(parts: Parts) -> str | None:
    return None if parts is None else "".join(text for text, _ in parts)


def is_like(parts: Parts, text: str) -> bool:
    """Compare as StringLike does: * is any text, ? is any one character."""
    return parts is not None and _pattern(parts, ".*", ".").fullmatch(text) is not None


def is_resource(parts: Parts, arn: str) -> bool:
    """Compare as the Resource element does: only a final * matches beyond one part of the ARN."""
    if parts is None:
        return False
    return parts == (("*", True),) or _pattern(parts, "[^:]*", "[^:]").fullmatch(arn) is not None


@lru_cache(maxsize=4096)
def _pattern(parts: tuple[tuple[str, bool], ...], many: str, one: str) -> re.Pattern[str]:
    pieces = []
    for number, (text, wild) in enumerate(parts, 1):
        at_end = number == len(parts) or parts[number][0].startswith(":")
        if not wild:
            pieces.append(re.escape(text))
        elif text == "?":
            pieces.append(one)
        else:
            pieces.append(".*" if at_end else many)
    return re.compile("".join(pieces), re.DOTALL)


def _is_like_arn(parts: Parts, arn: str) -> bool:
    """Compare as ArnLike does: each of an ARN's six parts by itself."""
    if parts is None or parts == (("*", True),):
        return parts is not None
    wanted: list[list[tuple[str, bool]]] = [[]]
    for text, wild in parts:
        pieces = [text] if wild else text.split(":", _ARN_PARTS - len(wanted))
        for number, piece in enumerate(pieces):
            if number:
                wanted.append([])
            if piece:
                wanted[-1].append((piece, wild))
    found = arn.split(":", _ARN_PARTS - 1)
    return len(wanted) == len(found) == _ARN_PARTS and all(
        is_like(tuple(part), text) for part, text in zip(wanted, found, strict=True)
    )


# --- Comparisons of a policy's text with one value of the request


def _equal(parts: Parts, value: str) -> bool:
    return _plain(parts) == value


def _equal_in_any_case(parts: Parts, value: str) -> bool:
    plain = _plain(parts)
    return plain is not None and plain.lower() == value.lower()


def _numbers(compare: Callable[[float, float], bool]) -> Callable[[Parts, str], bool]:
    return lambda parts, value: compare(float(value), float(_plain(parts) or "nan"))


def _dates(compare: Callable[[float, float], bool]) -> Callable[[Parts, str], bool]:
    return lambda parts, value: compare(_moment(value), _moment(_plain(parts) or "nan"))


def _moment(text: str) -> float:
    """Return seconds since 1970, from a date in ISO 8601 or a number."""
    try:
        return float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _is_in_range(parts: Parts, value: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(_plain(parts) or "", strict=False)


def _same_bytes(parts: Parts, value: str) -> bool:
    try:
        return base64.b64decode(_plain(parts) or "", validate=True) == base64.b64decode(value, validate=True)
    except binascii.Error:
        return False


_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": lambda value, wanted: value == wanted,
    "LessThan": lambda value, wanted: value < wanted,
    "LessThanEquals": lambda value, wanted: value <= wanted,
    "GreaterThan": lambda value, wanted: value > wanted,
    "GreaterThanEquals": lambda value, wanted: value >= wanted,
}
_COMPARISONS: Mapping[str, Callable[[Parts, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_in_any_case,
    "StringLike": is_like,
    "ArnEquals": _is_like_arn,
    "ArnLike": _is_like_arn,
    "Bool": _equal_in_any_case,
    "BinaryEquals": _same_bytes,
    "IpAddress": _is_in_range,
    **{f"Numeric{order}": _numbers(compare) for order, compare in _ORDERS.items()},
    **{f"Date{order}": _dates(compare) for order, compare in _ORDERS.items()},
}
_NEGATED: Mapping[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
