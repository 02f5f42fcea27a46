"""Check AssumeRole and AssumeRoleWithWebIdentity against the role's trust policy.

Sources: AWS STS API Reference (AssumeRole, AssumeRoleWithWebIdentity); AWS IAM User Guide, "IAM and AWS STS
condition context keys". A web identity token must be of an identity provider that IAM has, for one of its
audiences, and not expired; its signature is not verified, and nothing is fetched from the provider.
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import OpenIDConnectProvider, iam_backends

from tools.localcloud.emulator.authorization import Caller, Policy, Request, ResourcePolicy, refusal
from tools.localcloud.emulator.identities import PARTITION, Identity, common_context, role_of
from tools.localcloud.emulator.identities import document as parsed
from tools.localcloud.emulator.needs import tag_context
from tools.localcloud.emulator.policy_conditions import Context

_EVERYTHING: Policy = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_TAGS_CLAIM = "https://aws.amazon.com/tags"


class RefusedTokenError(Exception):
    """A web identity token that STS rejects; `code` and the message are its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class WebIdentity:
    """A token's claims, and its identity provider."""

    provider_arn: str
    claims: Mapping[str, Any]

    @property
    def tags(self) -> dict[str, str]:
        """Session tags from the provider."""
        given = (self.claims.get(_TAGS_CLAIM) or {}).get("principal_tags") or {}
        return {str(key): str(value[0]) for key, value in given.items() if value}

    @property
    def context(self) -> dict[str, tuple[str, ...]]:
        """Condition keys: the provider's address, a colon and the claim."""
        issuer = self.provider_arn.partition(":oidc-provider/")[2].lower()
        claims = {**self.claims}
        if claims.get("azp"):  # the authorized party is what AWS takes for the audience
            claims["aud"] = claims["azp"]
        texts = {name: _texts(value) for name, value in claims.items() if isinstance(value, (str, list))}
        return {
            "aws:federatedprovider": (self.provider_arn,),
            **{f"{issuer}:{name.lower()}": value for name, value in texts.items()},
        }


def web_identity(token: str, role_arn: str) -> WebIdentity:
    """Return a token's claims for a role's account.

    Raises:
        RefusedTokenError: The token is invalid, expired, for another audience, or of an unknown provider.
    """
    claims = _claims(token)
    issuer = str(claims.get("iss", "")).partition("://")[2]
    account = role_arn.split(":")[4] if role_arn.startswith("arn:") else DEFAULT_ACCOUNT_ID
    provider = _provider(account, issuer)
    if provider is None:
        raise RefusedTokenError(
            "InvalidIdentityToken", f"No OpenIDConnect provider found in your account for https://{issuer}"
        )
    if not set(_texts(claims.get("azp") or claims.get("aud") or [])) & set(provider.client_id_list or []):
        raise RefusedTokenError("InvalidIdentityToken", "Incorrect token audience")
    expires = claims.get("exp")
    if not isinstance(expires, (int, float)) or expires <= time.time():
        raise RefusedTokenError("ExpiredTokenException", "Token expired.")
    return WebIdentity(str(provider.arn), claims)


def _provider(account: str, issuer: str) -> OpenIDConnectProvider | None:
    if account not in iam_backends:
        return None
    providers = iam_backends[account][PARTITION].open_id_providers.values()
    return next((found for found in providers if found.url.rstrip("/") == issuer.rstrip("/")), None)


def _claims(token: str) -> Mapping[str, Any]:
    try:
        _, payload, _ = token.split(".")
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, dict):
        raise RefusedTokenError("InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
    return found


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else (str(value),)


def administrator(account: str) -> Identity:
    """Return the account's administrator, whom the account allows everything, for a trust policy."""
    root = f"arn:aws:iam::{account}:root"
    caller = Caller(arn=root, account=account, names=frozenset({root}), policies=[_EVERYTHING])
    return Identity(caller, {"aws:principalarn": (root,)})


def may_assume(who: Identity, role_arn: str, region: str, asked: Mapping[str, Any]) -> bool:
    """Return whether a user, a session or the administrator may assume a role (AssumeRole)."""
    context = {
        **common_context(who.caller.account, region),
        **who.context,
        "sts:rolesessionname": (str(asked.get("RoleSessionName")),),
    }
    if asked.get("ExternalId"):
        context["sts:externalid"] = (str(asked["ExternalId"]),)
    tags = tag_context(asked.get("Tags"))
    if not _trusted(who.caller, role_arn, "sts:AssumeRole", {**context, **tags}):
        return False
    return not tags or _trusted(who.caller, role_arn, "sts:TagSession", {**context, **tags})


def may_assume_with(identity: WebIdentity, role_arn: str, region: str, session_name: str) -> bool:
    """Return whether a token's holder may assume a role (AssumeRoleWithWebIdentity)."""
    account = role_arn.split(":")[4] if role_arn.startswith("arn:") else DEFAULT_ACCOUNT_ID
    caller = Caller(
        arn=identity.provider_arn,
        account=account,
        names=frozenset({identity.provider_arn}),
        kind="Federated",
    )
    context = {
        **common_context(account, region),
        **identity.context,
        "sts:rolesessionname": (session_name,),
        **tag_context(identity.tags),
    }
    actions = ["sts:AssumeRoleWithWebIdentity", *(["sts:TagSession"] if identity.tags else [])]
    return all(_trusted(caller, role_arn, action, context) for action in actions)


def service_may_assume(
    service: str, role_arn: str, region: str, source_arn: str | None, tags: Mapping[str, str] | None = None
) -> bool:
    """Return whether an AWS service may assume a role, for a resource of the account if one is named."""
    role = role_of(role_arn)
    if role is None:
        return False
    caller = Caller(arn=service, account=role.account_id, names=frozenset({service}), kind="Service")
    parts = source_arn.split(":") if source_arn else []
    about = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (parts[4],)} if source_arn else {}
    context = {
        **about,
        **tag_context(tags),
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (service,),
        "aws:requestedregion": (region,),
        "aws:securetransport": ("true",),
    }
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if tags else [])]
    return all(_trusted(caller, role_arn, action, context) for action in actions)


def _trusted(caller: Caller, role_arn: str, action: str, context: Context) -> bool:
    role = role_of(role_arn)
    if role is None:
        return False
    trust = ResourcePolicy(
        document=parsed(role.assume_role_policy_document), account=role.account_id, required=True
    )
    return refusal(caller, Request(action=action, resource=role_arn, context=context), trust) is None
