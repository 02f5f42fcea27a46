"""Evaluate policies as IAM does: a deny wins, and a request that no policy allows is denied.

Source: AWS IAM User Guide, "Policy evaluation logic", "Policy evaluation for requests within a single
account", "Cross-account policy evaluation logic", "AWS JSON policy elements: Principal" and "NotPrincipal".
Not modelled: policies of an organization (service and resource control policies), and endpoint policies.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, TypeAlias

from tools.localcloud.emulator.policy_conditions import (
    Context,
    UnmodelledError,
    conditions_hold,
    is_like,
    is_resource,
    parts_of,
)

Policy: TypeAlias = Mapping[str, Any]
_WITH_VARIABLES = "2012-10-17"


class Decision(Enum):
    """The decision of a set of policies."""

    ALLOW = "allow"
    SILENT = "implicit deny"
    DENY = "explicit deny"


class Grant(IntEnum):
    """The access that a resource's policy grants, in ascending order.

    ACCOUNT: it leaves the choice to the caller's account. NAME: it names the role, or everybody. ITSELF: it
    names the very session or user, and no boundary counts any more.
    """

    NONE = 0
    ACCOUNT = 1
    NAME = 2
    ITSELF = 3


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to be authorized.

    Attributes:
        action: `service:Operation`.
        resource: ARN, or "*" for an operation without a resource; None if nobody knows it: then every deny of
            the action counts, and only an allow for all resources.
        context: condition keys in lower case to their values.
    """

    action: str
    resource: str | None
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The caller of a request.

    Attributes:
        arn: of the session or user; what messages name.
        account: its own.
        names: by which a policy may name it, `arn` among them: those of role and session, of a user, of a
            service, of an identity provider.
        kind: of these names in a Principal element: AWS, Service or Federated.
        policies: inline and attached ones of the user or role.
        boundary: its permissions boundary.
        session: policies that were given when the session began.
    """

    arn: str
    account: str
    names: frozenset[str]
    kind: str = "AWS"
    policies: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None

    @property
    def account_names(self) -> frozenset[str]:
        """Return the names by which a policy means the whole account."""
        partition = self.arn.split(":")[1] if self.arn.startswith("arn:") else "aws"
        return frozenset({self.account, f"arn:{partition}:iam::{self.account}:root"})


@dataclass(frozen=True, kw_only=True)
class ResourcePolicy:
    """The resource policy of a request.

    Attributes:
        document: None if it has none.
        account: that it belongs to.
        required: whether it must let the account in before policies of the account count: so do keys of KMS
            and the trust policies of roles.
    """

    document: Policy | None
    account: str
    required: bool = False


def decide(policies: Sequence[Policy], request: Request) -> Decision:
    """Evaluate identity policies, which name no principal.

    Raises:
        UnmodelledError: One of them cannot be evaluated.
    """
    found = Decision.SILENT
    for policy in policies:
        for statement in _statements(policy):
            if not _applies(statement, policy, request, without_resource=_denies(statement)):
                continue
            if _denies(statement):
                return Decision.DENY
            found = Decision.ALLOW
    return found


def decide_resource(policy: Policy, request: Request, caller: Caller) -> tuple[bool, Grant]:
    """Return whether a resource's policy denies, and otherwise the access that it grants.

    Raises:
        UnmodelledError: It cannot be evaluated.
    """
    granted = Grant.NONE
    for statement in _statements(policy):
        if not _applies(statement, policy, request, without_resource=True):
            continue
        if _denies(statement):
            if _is_shut_out(statement, caller):
                return True, Grant.NONE
        else:
            granted = max(granted, _grant(statement, caller))
    return False, granted


def refusal(caller: Caller, request: Request, resource: ResourcePolicy | None = None) -> str | None:
    """Return why a request is denied, in AWS's words, beginning with "because" or "with"; None if allowed."""
    try:
        return _refusal(caller, request, resource or ResourcePolicy(document=None, account=caller.account))
    except UnmodelledError as error:
        return f"because a policy has {error}, which the local cloud does not know"


def _refusal(caller: Caller, request: Request, resource: ResourcePolicy) -> str | None:
    own = decide(caller.policies, request)
    boundary = Decision.ALLOW if caller.boundary is None else decide([caller.boundary], request)
    session = Decision.ALLOW if caller.session is None else decide(caller.session, request)
    shut_out, granted = False, Grant.NONE
    if resource.document is not None:
        shut_out, granted = decide_resource(resource.document, request, caller)
    for denied, which in (
        (own is Decision.DENY, "an identity-based policy"),
        (shut_out, "a resource-based policy"),
        (boundary is Decision.DENY, "a permissions boundary"),
        (session is Decision.DENY, "a session policy"),
    ):
        if denied:
            return f"with an explicit deny in {which}"
    same_account = resource.account == caller.account
    if same_account and granted is Grant.ITSELF:
        return None
    let_in = granted > Grant.NONE or (same_account and not resource.required)
    own_needed = not (same_account and granted >= Grant.NAME)
    for lacking, which in (
        (own_needed and own is not Decision.ALLOW, "identity-based policy"),
        (boundary is not Decision.ALLOW, "permissions boundary"),
        (session is not Decision.ALLOW, "session policy"),
        (not let_in, "resource-based policy"),
    ):
        if lacking:
            return f"because no {which} allows the {request.action} action"
    return None


def _statements(policy: Policy) -> Iterator[Mapping[str, Any]]:
    for statement in _listed(policy.get("Statement")):
        if not isinstance(statement, Mapping) or statement.get("Effect") not in {"Allow", "Deny"}:
            raise UnmodelledError("a statement without an effect")
        yield statement


def _denies(statement: Mapping[str, Any]) -> bool:
    return bool(statement["Effect"] == "Deny")


def _applies(
    statement: Mapping[str, Any], policy: Policy, request: Request, *, without_resource: bool
) -> bool:
    """Return whether action, resource and conditions match.

    `without_resource` is what counts for a statement that names no resource: policies of resources need not.
    """
    variables = policy.get("Version") == _WITH_VARIABLES
    if not (
        _names_action(statement, request.action)
        and _names_resource(statement, request, variables=variables, otherwise=without_resource)
    ):
        return False
    return conditions_hold(statement.get("Condition") or {}, request.context, variables=variables)


def _names_action(statement: Mapping[str, Any], action: str) -> bool:
    def named(element: str) -> bool:
        return any(
            is_like(parts_of(str(pattern).lower(), {}, variables=False), action.lower())
            for pattern in _listed(statement[element])
        )

    if "NotAction" in statement:
        return not named("NotAction")
    return "Action" in statement and named("Action")


def _names_resource(
    statement: Mapping[str, Any], request: Request, *, variables: bool, otherwise: bool
) -> bool:
    element = "NotResource" if "NotResource" in statement else "Resource"
    if element not in statement:
        return otherwise
    patterns = [str(pattern) for pattern in _listed(statement[element])]
    if request.resource is None:
        return _denies(statement) or (element == "Resource" and "*" in patterns)
    named = any(
        is_resource(parts_of(pattern, request.context, variables=variables), request.resource)
        for pattern in patterns
    )
    return named is (element == "Resource")


def _grant(statement: Mapping[str, Any], caller: Caller) -> Grant:
    if "NotPrincipal" in statement:
        named = _principals(statement["NotPrincipal"], caller.kind)
        return Grant.NONE if named & (caller.names | caller.account_names) else Grant.NAME
    named = _principals(statement.get("Principal"), caller.kind)
    if caller.arn in named:
        return Grant.ITSELF
    if "*" in named or named & caller.names:
        return Grant.NAME
    return Grant.ACCOUNT if caller.kind == "AWS" and named & caller.account_names else Grant.NONE


def _is_shut_out(statement: Mapping[str, Any], caller: Caller) -> bool:
    """Return whether a deny applies; NotPrincipal exempts only a caller whose every principal it names."""
    if "NotPrincipal" in statement:
        named = _principals(statement["NotPrincipal"], caller.kind)
        account_named = caller.kind != "AWS" or bool(named & caller.account_names)
        return not (caller.names <= named and account_named)
    named = _principals(statement.get("Principal"), caller.kind)
    return "*" in named or bool(named & (caller.names | caller.account_names))


def _principals(element: object, kind: str) -> set[str]:
    """Return the principals of a kind that an element names; `*` is everybody."""
    if isinstance(element, Mapping):
        named = {str(name) for name in _listed(element.get(kind))}
        return named | ({"*"} & {str(name) for name in _listed(element.get("AWS"))})
    return {str(name) for name in _listed(element)}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
