"""The resource aws:lambda/permission:Permission."""

import json
import re
from typing import Any

from tools.localcloud.plugins.aws import names
from tools.localcloud.plugins.aws.account import Account, doing, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties

_REQUEST = {
    "action": "Action",
    "eventSourceToken": "EventSourceToken",
    "function": "FunctionName",
    "functionUrlAuthType": "FunctionUrlAuthType",
    "invokedViaFunctionUrl": "InvokedViaFunctionUrl",
    "principal": "Principal",
    "principalOrgId": "PrincipalOrgID",
    "qualifier": "Qualifier",
    "sourceAccount": "SourceAccount",
    "sourceArn": "SourceArn",
}
_ARN = re.compile(
    r"(arn:[\w-]+:lambda:[\w-]+:\d{12}:function:(?P<name>[\w-]+))(:(?P<qualifier>\$LATEST|[\w-]+))?"
)


def _create(account: Account, inputs: Properties) -> str:
    function = inputs["function"]
    statement = str(
        inputs.get("statementId") or inputs.get("statementIdPrefix", "terraform-") + names.unique_suffix()
    )
    request = {there: inputs[here] for here, there in _REQUEST.items() if inputs.get(here)}
    with doing(f"adding Lambda Permission ({function}/{statement})"):
        account.client("lambda", inputs).add_permission(StatementId=statement, **request)
    return statement


def _place(identity: str, known: Properties) -> tuple[str, str, str]:
    """Return function, qualifier and statement, which an import names in its id."""
    if known.get("function"):
        return known["function"], known.get("qualifier") or "", identity
    place, _, statement = identity.rpartition("/")
    function, _, qualifier = (place, "", "") if place.startswith("arn:") else place.partition(":")
    return function, qualifier, statement


def _find(client: Any, function: str, qualifier: str, statement: str) -> dict[str, Any] | None:  # noqa: ANN401  boto3
    text = unless_gone(
        lambda: client.get_policy(FunctionName=function, **({"Qualifier": qualifier} if qualifier else {}))
    )
    if text is None:
        return None
    statements: list[dict[str, Any]] = json.loads(text["Policy"])["Statement"]
    return next((found for found in statements if found.get("Sid") == statement), None)


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    function, qualifier, statement = _place(identity, known)
    if not function:
        return None
    with doing(f"reading Lambda Permission ({function}/{statement})"):
        found = _find(account.client("lambda", known), function, qualifier, statement)
    if found is None:
        return None
    place = _ARN.fullmatch(found["Resource"])
    by_arn = str(function).startswith("arn:")
    principal = found["Principal"]
    if isinstance(principal, dict):
        principal = principal.get("AWS") or principal.get("Service")
    conditions = found.get("Condition", {})
    equal, like, said = (conditions.get(operator) for operator in ("StringEquals", "ArnLike", "Bool"))

    def value(condition: dict[str, str] | None, key: str) -> str | None:
        """Return nothing without such a condition, as the official provider does."""
        return None if condition is None else condition.get(key, "")

    via_url = value(said, "lambda:InvokedViaFunctionUrl")
    return {
        "action": found["Action"],
        "eventSourceToken": value(equal, "lambda:EventSourceToken"),
        "function": (place[1] if by_arn else place["name"]) if place else function,
        "functionUrlAuthType": value(equal, "lambda:FunctionUrlAuthType"),
        "id": statement,
        "invokedViaFunctionUrl": None if via_url is None else via_url.lower() == "true",
        "principal": principal,
        "principalOrgId": value(equal, "aws:PrincipalOrgID"),
        "qualifier": (place["qualifier"] or "") if place else "",
        "region": known.get("region") or account.region,
        "sourceAccount": value(equal, "AWS:SourceAccount"),
        "sourceArn": value(like, "AWS:SourceArn"),
        "statementId": statement,
        "statementIdPrefix": names.prefix_of(statement),
    }


def _update(_account: Account, _identity: str, _olds: Properties, _news: Properties) -> None:
    """Raise: every change replaces the permission."""


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("lambda", olds)
    function, qualifier, statement = _place(identity, olds)
    with doing(f"removing Lambda Permission ({function}/{statement})"):
        unless_gone(
            lambda: client.remove_permission(
                FunctionName=function,
                StatementId=statement,
                **({"Qualifier": qualifier} if qualifier else {}),
            )
        )


def _check(inputs: Properties) -> list[Failure]:
    rules = (
        ("action", r"lambda:\*|lambda:[A-Za-z]+|\*", "must be a valid action (usually starts with lambda:)"),
        (
            "function",
            r"(arn:[\w-]+:lambda:[\w-]+:)?(\d{12}:)?(function:)?[\w-]+(:(\$LATEST|[\w-]+))?",
            "must be valid function name or function ARN",
        ),
        ("sourceAccount", r"\d{12}", "must be an AWS account ID, 12 digits"),
        ("sourceArn", r"arn:[^:]+:[^:]+:[^:]*:[^:]*:.+", "must be an ARN"),
        ("statementId", r"[\w-]{1,100}", "must contain alphanumeric, underscores or dashes only"),
        ("statementIdPrefix", r"[\w-]{1,100}", "must contain alphanumeric, underscores or dashes only"),
    )
    return [
        Failure(name, f"invalid value for {snake_case(name)} ({reason})")
        for name, pattern, reason in rules
        if isinstance(inputs.get(name), str) and not re.fullmatch(pattern, inputs[name], re.ASCII)
    ]


PERMISSION = Resource(
    **shape("aws:lambda/permission:Permission"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    autoname="{}",
    named="statementId",
    conflicts=(frozenset({"statementId", "statementIdPrefix"}),),
)
