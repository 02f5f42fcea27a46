"""Whether policies allow a request, as IAM decides: a deny wins, and what nobody allows is denied.

Source: AWS IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators". Not
modelled: dates, addresses and binary values in conditions; a policy that uses them is refused whole.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeAlias

Policy: TypeAlias = Mapping[str, Any]


class Decision(Enum):
    """What one set of policies says."""

    ALLOW = "allow"
    SILENT = "implicit deny"
    DENY = "explicit deny"


class UnmodelledError(Exception):
    """A policy has a condition that this evaluation does not know."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked.

    Attributes:
        action: `service:Operation`.
        resource: ARN; None where the operation's resources are not modelled: then every resource matches.
        context: condition keys in lower case to their values.
    """

    action: str
    resource: str | None
    context: Mapping[str, tuple[str, ...]]


def decide(
    policies: Sequence[Policy], request: Request, principals: frozenset[str] | None = None
) -> Decision:
    """What these policies together say.

    Args:
        policies: policy documents.
        request: what is asked.
        principals: the ARNs and ids by which a resource policy may name the caller; None for identity
            policies, which name none.

    Raises:
        UnmodelledError: one has a condition operator that is not known.
    """
    found = Decision.SILENT
    for policy in policies:
        for statement in _listed(policy.get("Statement")):
            if not _applies(statement, request, principals):
                continue
            if statement.get("Effect") == "Deny":
                return Decision.DENY
            found = Decision.ALLOW
    return found


def _applies(statement: Mapping[str, Any], request: Request, principals: frozenset[str] | None) -> bool:
    return (
        _names_action(statement, request.action)
        and _names_resource(statement, request)
        and (principals is None or _names_principal(statement, principals))
        and _conditions_hold(statement.get("Condition") or {}, request.context)
    )


def _names_action(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement["NotAction"]))
    return any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement.get("Action")))


def _names_resource(statement: Mapping[str, Any], request: Request) -> bool:
    if request.resource is None:
        return True
    if "NotResource" in statement:
        patterns = _listed(statement["NotResource"])
        return not any(_like(_filled(pattern, request.context), request.resource) for pattern in patterns)
    patterns = _listed(statement.get("Resource", "*"))
    return any(_like(_filled(pattern, request.context), request.resource) for pattern in patterns)


def _names_principal(statement: Mapping[str, Any], principals: frozenset[str]) -> bool:
    if "NotPrincipal" in statement:
        return not principals & _principals(statement["NotPrincipal"])
    named = _principals(statement.get("Principal"))
    return "*" in named or bool(principals & named)


def _principals(element: object) -> set[str]:
    if isinstance(element, dict):
        return {str(name) for kind in element.values() for name in _listed(kind)}
    return {str(name) for name in _listed(element)}


def _conditions_hold(conditions: Mapping[str, Any], context: Mapping[str, tuple[str, ...]]) -> bool:
    return all(
        _condition_holds(operator, key.lower(), [str(value) for value in _listed(wanted)], context)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition_holds(
    operator: str, key: str, wanted: Sequence[str], context: Mapping[str, tuple[str, ...]]
) -> bool:
    quantifier, _, name = operator.rpartition(":")
    name, if_exists, _ = name.partition("IfExists")
    found = context.get(key)
    if name == "Null":
        return (found is None) == (wanted[0].lower() == "true")
    if found is None:
        return bool(if_exists) or quantifier == "ForAllValues" or name in _NEGATED
    compare = _compare(name)
    filled = [_filled(value, context) for value in wanted]
    matches = [compare(filled, value) for value in found]
    return any(matches) if quantifier == "ForAnyValue" else all(matches)


def _compare(name: str) -> Callable[[Sequence[str], str], bool]:
    """Whether one value of the request satisfies what a condition lists."""
    positive = _NEGATED.get(name, name)
    comparison = _COMPARISONS.get(positive)
    if comparison is None:
        raise UnmodelledError(name)
    if positive != name:
        return lambda wanted, value: not any(comparison(one, value) for one in wanted)
    return lambda wanted, value: any(comparison(one, value) for one in wanted)


_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnLike",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
}


def _like(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"([*?])", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts), re.DOTALL)


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
    "NumericEquals": lambda wanted, value: float(value) == float(wanted),
    "NumericLessThan": lambda wanted, value: float(value) < float(wanted),
    "NumericLessThanEquals": lambda wanted, value: float(value) <= float(wanted),
    "NumericGreaterThan": lambda wanted, value: float(value) > float(wanted),
    "NumericGreaterThanEquals": lambda wanted, value: float(value) >= float(wanted),
}


def _filled(text: str, context: Mapping[str, tuple[str, ...]]) -> str:
    """With policy variables replaced; one that has no value makes a text that matches nothing."""

    def value(found: re.Match[str]) -> str:
        values = context.get(found[1].lower(), ())
        return values[0] if len(values) == 1 else "\0"

    return re.sub(r"\$\{([^}*?$][^}]*)\}", value, text)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
