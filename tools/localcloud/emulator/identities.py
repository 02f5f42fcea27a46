"""Identify the caller by the access key in the credential's scope. Signatures are not verified.

Credentials that the emulator issued, to sessions of a role and to users, are bound by their policies. Every
other access key is the account's administrator.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.core.utils import utcnow
from moto.iam.models import IAMBackend, Role, User, iam_backends
from moto.sts.models import AssumedRole, sts_backends

from tools.localcloud.emulator import iam_service
from tools.localcloud.emulator.authorization import Caller, Policy
from tools.localcloud.emulator.operations import Environ
from tools.localcloud.emulator.policy_conditions import Context

PARTITION = "aws"
# Only keys of this form are looked up: the administrator's requests cost nothing.
_ACCESS_KEY = re.compile(r"Credential=((?:AKIA|ASIA)[A-Z0-9]{12,})/")
_IN_QUERY = re.compile(r"X-Amz-Credential=((?:AKIA|ASIA)[A-Z0-9]{12,})(?:/|%2[Ff])")
_NOTHING: Policy = {}


class CredentialsError(Exception):
    """Credentials that the emulator issued and that are no longer valid."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__()
        self.expired = expired


@dataclass(frozen=True)
class SessionDetails:
    """Details of a session that moto does not keep; saved with the session.

    Attributes:
        begun: when, in ISO 8601.
        policies: documents of session policies, as JSON texts; None if there were none at all.
        tags: session tags.
        provider: ARN of the identity provider whose token began it.
        function_arn: of the Lambda function whose execution role it is.
    """

    begun: str = ""
    policies: tuple[str, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    provider: str | None = None
    function_arn: str | None = None


@dataclass(frozen=True)
class Identity:
    """A caller whose policies count, and the condition keys that are about it."""

    caller: Caller
    context: Context


def identity_of(environ: Environ) -> Identity | None:
    """Return the caller; None for the administrator.

    Raises:
        CredentialsError: The credentials have expired or were revoked.
    """
    found = _ACCESS_KEY.search(environ.get("HTTP_AUTHORIZATION", ""))
    if found is not None:
        return _identity(found[1], environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""))
    if "X-Amz-Credential" not in environ.get("QUERY_STRING", ""):
        return None
    found = _IN_QUERY.search(environ["QUERY_STRING"])
    return _identity(found[1], None) if found else None


def _identity(access_key: str, token: str | None) -> Identity | None:
    """Return the caller; `token` is the session's, None to skip its check."""
    for account in list(iam_backends):
        iam = iam_backends[account][PARTITION]
        given_out = access_key in iam.access_keys
        if not given_out and access_key not in iam_service.keys_taken_back(iam):
            continue
        session = _living_session(account, access_key)
        if session is not None:
            if token is not None and token != session.session_token:
                raise CredentialsError(expired=False)
            return of_session(session)
        for user in iam.users.values():
            if any(key.access_key_id == access_key and key.status == "Active" for key in user.access_keys):
                return _of_user(iam, user)
        raise CredentialsError(expired=given_out and iam.access_keys[access_key].user_name is None)
    return None


def _living_session(account: str, access_key: str) -> AssumedRole | None:
    sessions = sts_backends[account][PARTITION].assumed_roles
    now = utcnow()
    if any(session.expiration <= now for session in sessions):
        sessions[:] = [session for session in sessions if session.expiration > now]
    return next((session for session in sessions if session.access_key_id == access_key), None)


def details_of(session: AssumedRole) -> SessionDetails:
    """Return the details that were saved with a session."""
    found: SessionDetails = vars(session).get("localcloud_details", SessionDetails())
    return found


def keep_details(session: AssumedRole, details: SessionDetails) -> None:
    """Save details with a session."""
    vars(session)["localcloud_details"] = details


def role_of(role_arn: str) -> Role | None:
    """Return the role with this ARN, of any account."""
    account = role_arn.split(":")[4] if role_arn.count(":") > 4 else ""  # noqa: PLR2004  where an ARN has it
    if not re.fullmatch(r"\d{12}", account) or account not in iam_backends:
        return None
    roles = iam_backends[account][PARTITION].roles.values()
    return next((role for role in roles if role.arn == role_arn), None)


def of_session(session: AssumedRole) -> Identity:
    """Return the identity of a role's session."""
    iam = iam_backends[session.account_id][PARTITION]
    role, details = role_of(session.role_arn), details_of(session)
    own = [] if role is None else policies_of(role)
    given = details.policies
    caller = Caller(
        arn=session.arn,
        account=session.account_id,
        names=frozenset({session.arn, session.role_arn}),
        policies=own,
        boundary=_boundary(iam, role),
        session=None if given is None else [document(text) for text in given],
    )
    context = {
        "aws:principalarn": (session.role_arn,),
        "aws:principaltype": ("AssumedRole",),
        "aws:userid": (session.user_id,),
        "aws:multifactorauthpresent": ("false",),
        **_tagged({**(tags_of(role.tags) if role else {}), **details.tags}),
    }
    if details.begun:
        context["aws:tokenissuetime"] = (details.begun,)
    if details.provider:
        context["aws:federatedprovider"] = (details.provider,)
    if details.function_arn:
        context["lambda:sourcefunctionarn"] = (details.function_arn,)
    return Identity(caller, context)


def _of_user(iam: IAMBackend, user: User) -> Identity:
    policies = policies_of(user)
    for group in iam.get_groups_for_user(user.name):
        policies += policies_of(group)
    caller = Caller(
        arn=user.arn,
        account=user.account_id,
        names=frozenset({user.arn}),
        policies=policies,
        boundary=_boundary(iam, user),
    )
    context = {
        "aws:principalarn": (user.arn,),
        "aws:principaltype": ("User",),
        "aws:userid": (user.id,),
        "aws:username": (user.name,),
        **_tagged(tags_of(user.tags)),
    }
    return Identity(caller, context)


def common_context(caller_account: str, region: str) -> dict[str, tuple[str, ...]]:
    """Return the condition keys of every request, which count as sent over TLS."""
    now = datetime.now(UTC)
    return {
        "aws:principalaccount": (caller_account,),
        "aws:requestedregion": (region,),
        "aws:securetransport": ("true",),
        "aws:sourceip": ("127.0.0.1",),
        "aws:currenttime": (now.isoformat(timespec="seconds").replace("+00:00", "Z"),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:viaawsservice": ("false",),
    }


def tags_of(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Return tags as moto lists them."""
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}


def _tagged(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {f"aws:principaltag/{key.lower()}": (value,) for key, value in tags.items()}


def policies_of(holder: Any) -> list[Policy]:  # noqa: ANN401  a role, user or group of moto's
    """Return inline and attached policies."""
    return list(_texts(holder))


def _texts(holder: Any) -> Iterator[Policy]:  # noqa: ANN401  the same
    for inline in holder.policies.values():
        yield document(getattr(inline, "policy_document", inline))
    for managed in holder.managed_policies.values():
        yield document(iam_service.default_document(managed))


def _boundary(iam: IAMBackend, holder: Role | User | None) -> Policy | None:
    arn = getattr(holder, "permissions_boundary_arn", None)
    if not arn:
        return None
    managed = iam_service.managed_policy(iam, arn)
    return _NOTHING if managed is None else document(iam_service.default_document(managed))


def document(found: object) -> Policy:
    """Return a policy's document; moto keeps it as text, with `%` codes where it came so."""
    if not isinstance(found, str):
        return found if isinstance(found, Mapping) else _NOTHING
    text = found if found.lstrip().startswith("{") else unquote(found)
    try:
        found = json.loads(text)
    except ValueError:
        return _NOTHING
    return found if isinstance(found, Mapping) else _NOTHING
