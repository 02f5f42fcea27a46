"""Enforce callers' policies before a request is served.

For the administrator, only the trust policies of roles are checked.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from moto.core.models import DEFAULT_ACCOUNT_ID

from tools.localcloud.emulator import role_assumption, secret_permissions, service_permissions
from tools.localcloud.emulator.authorization import ResourcePolicy, refusal
from tools.localcloud.emulator.identities import CredentialsError, Identity, common_context, identity_of
from tools.localcloud.emulator.needs import Asked, Need, tag_context
from tools.localcloud.emulator.operations import Environ, Operation, is_query
from tools.localcloud.emulator.policy_conditions import Context
from tools.localcloud.emulator.role_assumption import RefusedTokenError
from tools.localcloud.emulator.secrets_service import MAY_READ

# The name that a request is signed for, where actions have another.
_SERVICES = {"monitoring": "cloudwatch", "email": "ses", "tagging": "tag"}
# These need no permission.
_FREE = {"sts:GetCallerIdentity", "sts:GetAccessKeyInfo"}
_NO_SESSIONS = {"sts:GetSessionToken", "sts:GetFederationToken"}
_ASSUMES = {"AssumeRole", "AssumeRoleWithWebIdentity"}
_MEMBER = re.compile(r"^(?P<list>\w+)\.(?:(?:member|Tag)\.)?(?P<number>\d+)(?:\.(?P<key>\w+))?$")


@dataclass(frozen=True)
class Refusal:
    """An error, with its code in protocols of JSON; `exact` if it is the same in all, with the status 400."""

    code: str
    message: str
    exact: bool = False


class AccessDenied(Refusal):
    """A request that policies do not allow."""

    def __init__(self, message: str) -> None:
        super().__init__("AccessDeniedException", message)


@contextmanager
def as_caller(environ: Environ, operation: Operation) -> Iterator[Refusal | None]:
    """Yield why a request is denied; None if it may be served, which is done inside."""
    who: Identity | None = None
    try:
        who = identity_of(environ)
        if who is not None:
            environ.pop("HTTP_X_MOTO_ACCOUNT_ID", None)  # only the administrator belongs to every account
            refused = _refusal(who, environ, operation)
        elif operation.name in _ASSUMES:
            account = environ.get("HTTP_X_MOTO_ACCOUNT_ID", DEFAULT_ACCOUNT_ID)
            refused = _assumption(role_assumption.administrator(account), environ, operation)
        else:
            refused = None
    except CredentialsError as error:
        refused = _EXPIRED if error.expired else _INVALID
    if who is None or operation.name != "BatchGetSecretValue":
        yield refused
        return
    reading = MAY_READ.set(lambda secret_id: _may_not_read(who, operation, secret_id))
    try:
        yield refused
    finally:
        MAY_READ.reset(reading)


_EXPIRED = Refusal("ExpiredTokenException", "The security token included in the request is expired")
_INVALID = Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")


def _refusal(who: Identity, environ: Environ, operation: Operation) -> Refusal | None:
    service = _SERVICES.get(operation.service, operation.service)
    action = f"{service}:{operation.name}"
    if action in _FREE:
        return None
    if action in _NO_SESSIONS:
        return AccessDenied("The local cloud gives out sessions of roles only, by AssumeRole.")
    if service in {"sts", "unknown"} and operation.name in _ASSUMES:
        return _assumption(who, environ, operation)
    body = _parameters(environ)
    context = {**common_context(who.caller.account, operation.region), **who.context}
    for need in _needs(service, operation, who.caller.account, environ, body, context):
        refused = _judged(who, need)
        if refused is not None:
            return refused
    return None


def _needs(  # noqa: PLR0913, PLR0917  a request, taken apart
    service: str,
    operation: Operation,
    account: str,
    environ: Environ,
    body: Mapping[str, Any],
    context: Context,
) -> Iterator[Need]:
    if service == "secretsmanager":
        yield from secret_permissions.needed(operation.name, operation.region, account, body, context)
        return
    tags = tag_context(body.get("Tags") or body.get("tags"), body.get("TagKeys"))
    yield from service_permissions.needed(
        Asked(
            service=service,
            name=operation.name,
            region=operation.region,
            account=account,
            path=str(environ.get("PATH_INFO", "")),
            body=body,
            context={**context, **tags},
            query=str(environ.get("QUERY_STRING", "")),
            copy_source=str(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")),
        )
    )


def _judged(who: Identity, need: Need) -> Refusal | None:
    resource = need.resource or ResourcePolicy(document=None, account=who.caller.account)
    why = refusal(who.caller, need.request, resource)
    if why is None:
        return (
            None
            if need.impossible is None
            else Refusal("InvalidRequestException", need.impossible, exact=True)
        )
    if need.in_kms:
        return AccessDenied("Access to KMS is not allowed")
    shown = need.shown or need.request.resource
    where = f" on resource: {shown}" if shown and shown != "*" else ""
    return AccessDenied(
        f"User: {who.caller.arn} is not authorized to perform: {need.request.action}{where} {why}"
    )


def _may_not_read(who: Identity, operation: Operation, secret_id: str) -> str | None:
    """Return why a batch omits a secret."""
    region, account = operation.region, who.caller.account
    context = {**common_context(account, region), **who.context}
    needs = secret_permissions.needed_of(secret_id, "GetSecretValue", region, account, {}, context)
    refused = next((refused for refused in (_judged(who, need) for need in needs) if refused), None)
    return refused.message if refused else None


def _assumption(who: Identity, environ: Environ, operation: Operation) -> Refusal | None:
    asked = _parameters(environ)
    role_arn = str(asked.get("RoleArn") or "")
    if operation.name == "AssumeRole":
        if role_assumption.may_assume(who, role_arn, operation.region, asked):
            return None
        caller = who.caller.arn
        return AccessDenied(
            f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        )
    try:
        identity = role_assumption.web_identity(str(asked.get("WebIdentityToken") or ""), role_arn)
    except RefusedTokenError as error:
        return Refusal(error.code, error.message, exact=True)
    session_name = str(asked.get("RoleSessionName"))
    if role_assumption.may_assume_with(identity, role_arn, operation.region, session_name):
        return None
    return AccessDenied("Not authorized to perform sts:AssumeRoleWithWebIdentity")


def _parameters(environ: Environ) -> dict[str, Any]:
    """Return a request's parameters, from JSON or a form; empty if it is neither."""
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(content)
    try:
        if is_query(environ):
            return _form(content.decode())
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _form(text: str) -> dict[str, Any]:
    """Return a form with its lists: `Tags.member.1.Key=a` is the first of `Tags`."""
    found: dict[str, Any] = {}
    lists: dict[str, dict[int, Any]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        member = _MEMBER.match(name)
        if member is None:
            found[name] = value
            continue
        items, number = lists.setdefault(member["list"], {}), int(member["number"])
        if member["key"]:
            known = items.get(number)
            items[number] = {**(known if isinstance(known, dict) else {}), member["key"]: value}
        else:
            items[number] = value
    return {**found, **{name: [items[number] for number in sorted(items)] for name, items in lists.items()}}
