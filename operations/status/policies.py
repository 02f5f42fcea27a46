"""Compare resource policies by meaning, not by spelling."""

import json
import re
from collections.abc import Mapping
from typing import Any

_LISTS = ("Action", "NotAction", "Resource", "NotResource")
_PRINCIPALS = ("Principal", "NotPrincipal")
_ACCOUNT = re.compile(r"\d{12}")


def differences(
    declared: Mapping[str, Any] | None, actual: Mapping[str, Any] | None
) -> tuple[list[str], list[str]]:
    """Return the statements, in words, that only the declared or only the actual policy has."""
    ours, theirs = _statements(declared), _statements(actual)
    return (
        [_in_words(statement) for key, statement in ours.items() if key not in theirs],
        [_in_words(statement) for key, statement in theirs.items() if key not in ours],
    )


def _statements(policy: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """Return each statement by its canonical text."""
    if policy is None:
        return {}
    statements = _list(policy.get("Statement") or [])
    version = str(policy.get("Version", ""))
    return {f"{version} {json.dumps(_canonical(one), sort_keys=True)}": one for one in statements}


def _canonical(statement: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for key, value in statement.items():
        if key in _LISTS:
            known[key] = sorted(
                str(item).lower() if key.endswith("Action") else str(item) for item in _list(value)
            )
        elif key in _PRINCIPALS:
            known[key] = _principals(value)
        elif key == "Condition":
            known[key] = {
                operator: {name: sorted(map(_text, _list(values))) for name, values in tests.items()}
                for operator, tests in value.items()
            }
        else:
            known[key] = value
    return known


def _principals(value: object) -> object:
    if not isinstance(value, dict):
        return {"AWS": ["*"]} if value == "*" else value
    return {kind: sorted({_principal(str(one)) for one in _list(listed)}) for kind, listed in value.items()}


def _principal(one: str) -> str:
    """Return a principal as AWS stores it: an account id as the ARN of the account's root."""
    return f"arn:aws:iam::{one}:root" if _ACCOUNT.fullmatch(one) else one


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _in_words(statement: Mapping[str, Any]) -> str:
    actions = ", ".join(map(str, _list(statement.get("Action") or f"not {statement.get('NotAction')}")))
    principals = statement.get("Principal")
    if principals is None and "NotPrincipal" in statement:
        who = "everyone except some principals"
    elif isinstance(principals, dict):
        who = ", ".join(str(one) for listed in principals.values() for one in _list(listed))
    else:
        who = str(principals)
    when = " under conditions" if statement.get("Condition") else ""
    return f"{statement.get('Effect')} {actions} for {who}{when}"
