"""Who calls, and whether that is allowed.

Credentials of a role that was assumed, and of users made in the emulator, are held to their policies. Every
other access key is the account's administrator, whom nothing is checked for. Signatures are not verified.
Resources are modelled for Secrets Manager and for KMS behind it; of other services the action alone counts.
A role's trust policy is not checked.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import Role, User, iam_backends
from moto.kms.models import kms_backends
from moto.sts.models import sts_backends

from localcloud.emulator import secrets_rules as rules
from localcloud.emulator import secrets_service
from localcloud.emulator.authorization import Decision, Policy, Request, UnmodelledError, decide
from localcloud.emulator.operations import Environ, Operation

_ACCESS_KEY = re.compile(r"Credential=((?:AKIA|ASIA|LSIA|LKIA)[A-Z0-9]+)/")
_ALWAYS_ALLOWED = {"sts:GetCallerIdentity", "sts:GetSessionToken"}
_WITHOUT_RESOURCE = {"ListSecrets", "GetRandomPassword", "BatchGetSecretValue"}
_SERVICES = {"monitoring": "cloudwatch"}
_ENCRYPTING = {"CreateSecret", "PutSecretValue", "UpdateSecret"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A principal whose policies count.

    Attributes:
        arn: of the session or user.
        names: what a resource policy may call it.
        policies: its own, inline and attached.
        limits: each of these must allow too: a permissions boundary, a session's policy.
    """

    arn: str
    names: frozenset[str]
    policies: Sequence[Policy]
    limits: Sequence[Policy]


@dataclass(frozen=True)
class _Asked:
    request: Request
    resource_policy: Policy | None = None
    # a key's policy must let the account in before policies of the account count at all
    is_key: bool = False


def denial(environ: Environ, operation: Operation) -> str | None:
    """Why a request is refused, in AWS's words; None if it is not."""
    access_key = _ACCESS_KEY.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    caller = _caller(access_key[1]) if access_key else None
    if caller is None:
        return None
    for asked in _asked(operation, _body(environ), caller):
        reason = _reason(caller, asked)
        if reason:
            return reason
    return None


def _caller(access_key: str) -> Caller | None:
    for backend in sts_backends[DEFAULT_ACCOUNT_ID].values():
        for session in backend.assumed_roles:
            if session.access_key_id == access_key:
                return _session(session)
    for user in iam_backends[DEFAULT_ACCOUNT_ID]["aws"].users.values():
        if any(key.access_key_id == access_key for key in user.access_keys):
            return _principal(user.arn, frozenset({user.arn}), user, ())
    return None


def _session(session: Any) -> Caller:  # noqa: ANN401  moto's own
    roles = iam_backends[DEFAULT_ACCOUNT_ID]["aws"].roles.values()
    role = next((role for role in roles if role.arn == session.role_arn), None)
    own = [json.loads(session.policy)] if session.policy else []
    names = frozenset({session.arn, session.role_arn})
    if role is None:
        return Caller(arn=session.arn, names=names, policies=(), limits=own)
    return _principal(session.arn, names, role, own)


def _principal(arn: str, names: frozenset[str], holder: Role | User, limits: Sequence[Policy]) -> Caller:
    inline = holder.policies
    documents: list[Any] = list(inline.values() if isinstance(inline, dict) else [])
    documents += [_document(policy) for policy in holder.managed_policies.values()]
    boundary = getattr(holder, "permissions_boundary_arn", None)
    if boundary:
        known = iam_backends[DEFAULT_ACCOUNT_ID]["aws"].managed_policies
        limits = [*limits, _parsed(_document(known[boundary])) if boundary in known else {}]
    return Caller(
        arn=arn, names=names, policies=[_parsed(document) for document in documents], limits=list(limits)
    )


def _document(policy: Any) -> Any:  # noqa: ANN401  moto's own
    return next(version.document for version in policy.versions if version.is_default)


def _parsed(document: Any) -> Policy:  # noqa: ANN401  text, or parsed already
    found: Policy = json.loads(document) if isinstance(document, str) else document
    return found


def _body(environ: Environ) -> dict[str, Any]:
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(content)
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _asked(operation: Operation, body: Mapping[str, Any], caller: Caller) -> Iterator[_Asked]:
    service = _SERVICES.get(operation.service, operation.service)
    action = f"{service}:{operation.name}"
    context = _context(operation, caller)
    if action in _ALWAYS_ALLOWED:
        return
    if service != "secretsmanager":
        yield _Asked(Request(action=action, resource=None, context=context))
        return
    if operation.name in _WITHOUT_RESOURCE:
        yield _Asked(Request(action=action, resource="*", context=context))
        for secret_id in body.get("SecretIdList") or []:
            yield from _about_secret("GetSecretValue", operation, {"SecretId": secret_id}, context)
        return
    yield from _about_secret(operation.name, operation, body, context)


def _context(operation: Operation, caller: Caller) -> dict[str, tuple[str, ...]]:
    return {
        "aws:principalarn": (next(name for name in sorted(caller.names) if ":iam::" in name),),
        "aws:principalaccount": (DEFAULT_ACCOUNT_ID,),
        "aws:requestedregion": (operation.region,),
        "aws:securetransport": ("true",),
    }


def _about_secret(
    name: str, operation: Operation, body: Mapping[str, Any], context: Mapping[str, tuple[str, ...]]
) -> Iterator[_Asked]:
    region, store = operation.region, secrets_service.store_of(DEFAULT_ACCOUNT_ID)
    wanted = str(body.get("SecretId") or body.get("Name") or "")
    about = dict(context)
    for key, parameter in (("versionstage", "VersionStage"), ("versionid", "VersionId")):
        if body.get(parameter):
            about[f"secretsmanager:{key}"] = (str(body[parameter]),)
    try:
        secret = store.find(region, wanted)
    except rules.ServiceError:
        whole = wanted if wanted.startswith("arn:") else None
        arn = whole or f"arn:aws:secretsmanager:{region}:{DEFAULT_ACCOUNT_ID}:secret:{wanted}-??????"
        yield _Asked(Request(action=f"secretsmanager:{name}", resource=arn, context=about))
        return
    arn = rules.arn_in(secret, region)
    about["secretsmanager:secretid"] = (arn,)
    about["secretsmanager:name"] = (secret.name,)
    for key, value in secret.tags.items():
        about[f"aws:resourcetag/{key.lower()}"] = (value,)
        about[f"secretsmanager:resourcetag/{key.lower()}"] = (value,)
    policy = json.loads(secret.policy) if secret.policy else None
    yield _Asked(Request(action=f"secretsmanager:{name}", resource=arn, context=about), policy)
    yield from _about_key(name, secret, arn, context, body)


def _about_key(
    name: str,
    secret: rules.Secret,
    arn: str,
    context: Mapping[str, tuple[str, ...]],
    body: Mapping[str, Any],
) -> Iterator[_Asked]:
    if name == "GetSecretValue":
        try:
            version = rules.wanted_version(secret, body.get("VersionId"), body.get("VersionStage"))
        except rules.ServiceError:
            return
        key_id, actions = version.kms_key_id, ["kms:Decrypt"]
    elif name in _ENCRYPTING:
        key_id, actions = secret.kms_key_id, ["kms:Decrypt", "kms:GenerateDataKey"]
    else:
        return
    if key_id == rules.AWS_MANAGED_KEY:
        return
    region = arn.split(":")[3]
    key = kms_backends[DEFAULT_ACCOUNT_ID][region].describe_key(key_id)
    about = {
        **context,
        "kms:viaservice": (f"secretsmanager.{region}.amazonaws.com",),
        "kms:calleraccount": (DEFAULT_ACCOUNT_ID,),
        "kms:encryptioncontext:secretarn": (arn,),
        "kms:resourcealiases": tuple(sorted(key.aliases)),
    }
    for action in actions:
        request = Request(action=action, resource=key.arn, context=about)
        yield _Asked(request, json.loads(key.policy), is_key=True)


def _reason(caller: Caller, asked: _Asked) -> str | None:
    try:
        why = _why(caller, asked)
    except UnmodelledError as error:
        why = f"the local cloud does not know the condition operator {error}"
    if why is None:
        return None
    if asked.is_key:
        return "Access to KMS is not allowed"
    where = f" on resource: {asked.request.resource}" if asked.request.resource else ""
    return f"User: {caller.arn} is not authorized to perform: {asked.request.action}{where} because {why}"


def _why(caller: Caller, asked: _Asked) -> str | None:
    request = asked.request
    resource = [asked.resource_policy] if asked.resource_policy else []
    own = decide(caller.policies, request)
    limits = [decide([limit], request) for limit in caller.limits]
    account = frozenset({f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:root", DEFAULT_ACCOUNT_ID})
    by_name = decide(resource, request, caller.names)
    by_account = decide(resource, request, caller.names | account)
    verb = request.action
    if Decision.DENY in {own, by_account, *limits}:
        return f"an explicit deny in a policy forbids the {verb} action"
    if any(limit is not Decision.ALLOW for limit in limits):
        return f"no permissions boundary or session policy allows the {verb} action"
    own_counts = own is Decision.ALLOW and (not asked.is_key or by_account is Decision.ALLOW)
    if own_counts or by_name is Decision.ALLOW:
        return None
    return f"no identity-based policy allows the {verb} action"
