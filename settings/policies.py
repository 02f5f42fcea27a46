"""Checks a secret's resource policy, as far as it can be known without AWS.

Source: IAM User Guide, "Grammar of the IAM JSON policy language".
"""

from collections.abc import Mapping
from typing import Any

from settings.mistakes import refusal

_VERSIONS = ("2012-10-17", "2008-10-17")
_EFFECTS = ("Allow", "Deny")
_PRINCIPALS = ("AWS", "CanonicalUser", "Federated", "Service")
_EVERYONE = "*"


def check_policy(policy: dict[str, Any]) -> dict[str, Any]:
    """Return the policy document if IAM's grammar takes it and it does not make the secret public."""
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise refusal(
            'a policy needs a list "Statement"',
            "AWS would refuse the policy",
            "Write the IAM policy document in YAML: Statement: [{Effect: ..., Principal: ..., Action: ..., "
            'Resource: "*"}]',
        )
    if policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise refusal(
            "this is not a policy language version",
            "AWS would refuse the policy (YAML reads an unquoted date as a time)",
            'Write Version: "2012-10-17" in quotes, or leave it out',
        )
    for statement in statements:
        _check_statement(statement)
    return policy


def _check_statement(statement: object) -> None:
    if not isinstance(statement, dict) or not {"Effect", "Action", "Resource"} <= statement.keys() | {
        "Action" if "NotAction" in statement else "",
        "Resource" if "NotResource" in statement else "",
    }:
        raise refusal(
            "a statement of this policy lacks Effect, Action or Resource",
            "AWS would refuse the policy",
            'Give each statement all three; Resource: "*" stands for this secret',
        )
    if statement["Effect"] not in _EFFECTS:
        raise refusal(
            "Effect of a statement is neither Allow nor Deny",
            "AWS would refuse the policy",
            "Write one of the two, as text",
        )
    for key in ("Action", "NotAction", "Resource", "NotResource"):
        if key in statement and not _is_text_or_texts(statement[key]):
            raise _not_texts(key)
    everyone = _names_everyone(statement, "Principal")
    excluding = "NotPrincipal" in statement
    if excluding:
        _names_everyone(statement, "NotPrincipal")
    if statement["Effect"] == "Allow" and (everyone or excluding) and not statement.get("Condition"):
        raise refusal(
            "a statement of this policy grants access to everyone",
            "The secret would be public; AWS would block it",
            "Name the principals, or add a Condition that limits them",
        )


def _names_everyone(statement: Mapping[str, Any], key: str) -> bool:
    """Return whether the principals include everyone, after checking their form."""
    principal = statement.get(key)
    if principal is None:
        return False
    if principal == _EVERYONE:
        return True
    if not isinstance(principal, dict) or not principal:
        raise refusal(
            f"{key} of a statement is neither * nor a map",
            "AWS would refuse the policy",
            f"Write {key}: {{AWS: ARN}}, with one of {', '.join(_PRINCIPALS)} as the key",
        )
    for kind, names in principal.items():
        if kind not in _PRINCIPALS:
            raise refusal(
                f"{key} of a statement has a kind that IAM does not know",
                "AWS would refuse the policy",
                f"Use {', '.join(_PRINCIPALS)}",
            )
        if not _is_text_or_texts(names):
            raise _not_texts(key)
    named = principal.get("AWS", ())
    return _EVERYONE in ([named] if isinstance(named, str) else named)


def _is_text_or_texts(value: object) -> bool:
    several = value if isinstance(value, list) else [value]
    return bool(several) and all(isinstance(one, str) and one for one in several)


def _not_texts(key: str) -> Exception:
    return refusal(
        f"{key} of a statement is neither text nor a list of texts",
        "AWS would refuse the policy",
        "Write it in quotes; an account number without them is read as a number",
    )
