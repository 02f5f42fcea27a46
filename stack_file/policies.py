"""Check policies, without AWS.

Source: IAM User Guide, "Grammar of the IAM JSON policy language".
"""

from collections.abc import Mapping
from typing import Annotated, Any

from stack_file.mistakes import matching, refusal

_VERSIONS = ("2012-10-17", "2008-10-17")
_EFFECTS = ("Allow", "Deny")
_PRINCIPALS = ("AWS", "CanonicalUser", "Federated", "Service")
_EVERYONE = "*"

PolicyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}",
        "not the ARN of a policy",
        "IAM would reject the stack's roles",
        "Use arn:aws:iam::ACCOUNT:policy/NAME, from the pipeline stack's outputs",
    ),
]


def check_policy(policy: dict[str, Any]) -> dict[str, Any]:
    """Return the policy document; raise a refusal if it is not valid or makes the secret public."""
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise refusal(
            'the policy has no list "Statement"',
            "AWS would reject the policy",
            "Write the IAM policy document in YAML: Statement: [{Effect: ..., Principal: ..., Action: ..., "
            'Resource: "*"}]',
        )
    if policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise refusal(
            "not a valid policy language version",
            "AWS would reject the policy (YAML reads a date without quotes as a time)",
            'Use Version: "2012-10-17" in quotes, or remove it',
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
            "a statement of the policy has no Effect, Action or Resource",
            "AWS would reject the policy",
            'Set all three in each statement; Resource: "*" stands for this secret',
        )
    if statement["Effect"] not in _EFFECTS:
        raise refusal(
            "Effect of a statement is neither Allow nor Deny",
            "AWS would reject the policy",
            "Use one of them, as text",
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
            "a statement of the policy grants access to everyone",
            "The secret would be public; AWS would reject it",
            "List the principals, or add a Condition that limits them",
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
            "AWS would reject the policy",
            f"Use {key}: {{AWS: ARN}}, with one of {', '.join(_PRINCIPALS)} as the key",
        )
    for kind, names in principal.items():
        if kind not in _PRINCIPALS:
            raise refusal(
                f"{key} of a statement has an unknown kind",
                "AWS would reject the policy",
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
        "AWS would reject the policy",
        "Use quotes: YAML reads an account ID without them as a number",
    )
