"""The rotations that a stack declares: which secrets rotate, and with which function.

What AWS has (the secret's tags, its RotationLambdaARN) may be written by others than the stack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components import tokens
from operations.restore.plan import Refusal
from program.arns import Account
from program.desired import ROTATION_FUNCTION, Desired, DesiredSecret
from program.rehearsed import schemas_of

_WITH_NETWORK = {"databases", "caches"}
_FUNCTION = "aws:lambda/function:Function"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A secret that rotates.

    Attributes:
        name: its name in AWS.
        function: ARN of its function; empty if the stack has not been deployed with it.
        is_ours: whether that is a function of the stack, which knows rehearsals.
        schemas: PostgreSQL: the schemas that its login must be able to use.
    """

    name: str
    function: str
    is_ours: bool
    schemas: tuple[str, ...] = ()


def declared_rotations(
    desired: Desired,
    names: Sequence[str],
    outputs: Mapping[str, Any],
    state: Mapping[str, Any],
    account: Account,
) -> list[Declared]:
    """Return the named secrets, or all that a function rotates.

    Args:
        desired: the meaning of the stack file.
        names: names in AWS; empty for all.
        outputs: of the stack.
        state: its deployment.
        account: where the stack is.

    Raises:
        Refusal: a named secret is not declared, or no function rotates it.
    """
    rotating = {
        name: secret
        for name, secret in desired.secrets.items()
        if secret.schedule is not None and secret.rotated_by != "aws"
    }
    for name in names:
        if name not in rotating:
            known = ", ".join(sorted(rotating)) or "none"
            why = "rotates it with no function" if name in desired.secrets else "does not declare it"
            raise Refusal(f"{name} cannot be rehearsed: the stack file {why}. Secrets that can: {known}.")
    return [
        Declared(
            name=name,
            function=_function(secret, outputs, state, account),
            is_ours=secret.rotated_by == "stack",
            schemas=schemas_of(secret, desired),
        )
        for name, secret in rotating.items()
        if not names or name in names
    ]


def _function(
    secret: DesiredSecret, outputs: Mapping[str, Any], state: Mapping[str, Any], account: Account
) -> str:
    if secret.function_arn:
        return secret.function_arn
    section, server = secret.server or ("", "")
    if section not in _WITH_NETWORK:
        return _function_outside_databases(state)
    name = (outputs.get(section) or {}).get(server, {}).get("rotationFunction")
    return account.arn("lambda", f"function:{name}") if name else ""


def _function_outside_databases(state: Mapping[str, Any]) -> str:
    """Return the ARN of the function of secrets outside databases, which no output of the stack names."""
    tail = f"{tokens.ROTATION_FUNCTION}${_FUNCTION}::{ROTATION_FUNCTION}-function"
    for resource in state.get("resources") or ():
        if not resource.get("delete") and str(resource.get("urn")).endswith(tail):
            return str((resource.get("outputs") or {}).get("arn", ""))
    return ""
