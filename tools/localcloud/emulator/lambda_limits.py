"""Requests that Lambda rejects and moto accepts, and how long a function is busy after a change.

Sources: AWS Lambda API Reference (CreateFunction, UpdateFunctionConfiguration, AddPermission); Developer
Guide, "Lambda function states", "Lambda quotas".
"""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.utils import get_service_model

from tools.localcloud.emulator.identities import role_of
from tools.localcloud.emulator.lambda_role import RefusedError

_ENVIRONMENT_BYTES = 4_096
_ARN = r"arn:aws[\w-]*:lambda:[\w-]+:\d{12}:function:"
_NAME = re.compile(rf"(?:{_ARN}|\d{{12}}:function:)?[a-zA-Z0-9_-]{{1,64}}(?::(?:\$LATEST|[a-zA-Z0-9_-]+))?")
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")
_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
_OTHER_PRINCIPAL = re.compile(
    r"\*|\d{12}|arn:aws[\w-]*:(?:iam::\d{12}:(?:root|user/.+)|sts::\d{12}:assumed-role/.+)"
)


@dataclass(frozen=True)
class Busy:
    """A function that is being created or updated; `until` is in seconds since 1970."""

    created: bool
    until: float


def busy(*, created: bool) -> Busy:
    """Return the state of a function that was created or updated now."""
    seconds = float(os.environ.get("LOCALCLOUD_LAMBDA_PENDING_SECONDS", "0.05"))
    return Busy(created, time.time() + seconds)


def shown(found: Busy | None) -> dict[str, str]:
    """Return the states that a configuration shows."""
    if found is None or found.until < time.time():
        return {"State": "Active", "LastUpdateStatus": "Successful"}
    about = {"Reason": "The function is being created.", "ReasonCode": "Creating"}
    if found.created:
        return {"State": "Pending", **{f"State{name}": text for name, text in about.items()}}
    status = {f"LastUpdateStatus{name}": text for name, text in about.items()}
    return {"State": "Active", "LastUpdateStatus": "InProgress", **status}


def check_idle(found: Busy | None, arn: str) -> None:
    """Reject an update or a call of a function that is not ready for it.

    Raises:
        RefusedError: ResourceConflictException.
    """
    if found is None or found.until < time.time():
        return
    state = (
        "The function is currently in the following state: Pending"
        if found.created
        else f"An update is in progress for resource: {arn}"
    )
    raise RefusedError(
        409, "ResourceConflictException", f"The operation cannot be performed at this time. {state}"
    )


def is_pending(found: Busy | None) -> bool:
    """Return whether the function is still being created, and cannot be invoked."""
    return found is not None and found.created and found.until >= time.time()


def check_name(name: str) -> None:
    """Reject a function's name.

    Raises:
        RefusedError: ValidationException.
    """
    if not _NAME.fullmatch(name):
        raise RefusedError(
            400,
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_NAME.pattern}",
        )


def check_configuration(asked: Mapping[str, Any]) -> None:
    """Reject a runtime that Lambda does not have, and variables beyond 4 KB.

    Raises:
        RefusedError: InvalidParameterValueException, without a variable's value.
    """
    runtime, runtimes = asked.get("Runtime"), get_service_model("lambda").shape_for("Runtime").enum
    if runtime is not None and runtime not in runtimes:
        raise RefusedError(
            400,
            "InvalidParameterValueException",
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(runtimes)}] or be a valid ARN",
        )
    variables = (asked.get("Environment") or {}).get("Variables") or {}
    if len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode()) > _ENVIRONMENT_BYTES:
        raise RefusedError(
            400,
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment variables you "
            "have provided exceeded the 4KB limit.",
        )


def check_principal(principal: str) -> None:
    """Reject a principal that AddPermission does not know.

    Raises:
        RefusedError: InvalidParameterValueException.
    """
    is_role = _ROLE.fullmatch(principal) is not None
    known = _SERVICE.fullmatch(principal) or _OTHER_PRINCIPAL.fullmatch(principal)
    if not (known or (is_role and role_of(principal) is not None)):
        raise RefusedError(
            400,
            "InvalidParameterValueException",
            "The provided principal was invalid. Please check the principal and try again.",
        )
