"""The principals that may read a secret, as far as the deployment declares them.

Roles count by their ARNs, which an administrator decides; names of sessions, user agents and addresses are
the caller's choice, and decide nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.status.aws import AwsSession, Denied
from operations.status.declared import DeclaredSecret, ExistingSecret
from operations.status.model import ReaderKind, Secret
from operations.status.principals import Principal
from program.arns import Account
from program.desired import WRITER, Desired

FUNCTION = "lambda:GetFunctionConfiguration"
_SECRETS_MANAGER = "secretsmanager.amazonaws.com"
_READING = ("*", "secretsmanager:*", "secretsmanager:get*", "secretsmanager:getsecretvalue")
_ROOT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


@dataclass(frozen=True, kw_only=True)
class Identities:
    """The principals that the deployment declares.

    Attributes:
        roles: pattern of each workload's role ARN.
        role_accounts: account of each workload's role.
        unknown_roles: workloads whose role's name is only in the stack's outputs.
        functions: ARN of each rotation function's role, with the secrets that it may read; None for all of
            the stack's.
        writer: pattern of the ARN of the writer's role.
        deployers: ARNs of roles and users that update the stack.
        account: the stack's account ID.
        denied: permissions that are missing to know more.
    """

    roles: Mapping[str, re.Pattern[str]]
    role_accounts: Mapping[str, str]
    unknown_roles: Sequence[str]
    functions: Mapping[str, frozenset[str] | None]
    writer: re.Pattern[str]
    deployers: frozenset[str]
    account: str
    denied: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A principal's relation to a secret."""

    kind: ReaderKind
    declared: bool
    workloads: tuple[str, ...] = ()


def identities(  # noqa: PLR0913, PLR0917  what is declared, in parts
    desired: Desired,
    declared: Iterable[DeclaredSecret],
    secrets: Iterable[Secret],
    outputs: Mapping[str, Any],
    account: Account,
    aws: AwsSession,
    *,
    is_autonamed: bool,
    deployers: Iterable[str],
) -> Identities:
    """Return the principals that a deployment declares.

    Args:
        desired: meaning of the stack file.
        declared: the stack's secrets as declared.
        secrets: the same, and others, as assessed: AWS reports the functions that rotate them.
        outputs: of the stack; empty if the caller does not have them.
        account: of the stack.
        aws: it calls GetFunctionConfiguration for the roles of rotation functions.
        is_autonamed: whether the stack file changes the names that the engine gives.
        deployers: ARNs of further roles and users that update the stack.
    """
    exported = outputs.get("workloads") or {}
    roles, unknown = {}, []
    for name, workload in desired.workloads.items():
        arn = (exported.get(name) or {}).get("roleArn") or workload.role_arn(account)
        if arn:
            roles[name] = re.compile(re.escape(str(arn)))
        elif is_autonamed and not desired.stack_file.update_role:
            unknown.append(name)
        else:
            roles[name] = _created(desired.role_name(name), account)
    functions, denied = _functions(declared, secrets, account, aws)
    update_role = desired.stack_file.update_role
    return Identities(
        roles=roles,
        role_accounts={
            name: (workload.cross_account_role(account) or account.arn("iam", "")).split(":")[4]
            for name, workload in desired.workloads.items()
        },
        unknown_roles=unknown,
        functions=functions,
        writer=_created(desired.role_name(WRITER), account),
        deployers=frozenset({*deployers, *([update_role] if update_role else [])}),
        account=account.account_id,
        denied=denied,
    )


def _created(name: str, account: Account) -> re.Pattern[str]:
    """Return the pattern of the ARN of a role to whose name the engine adds seven digits."""
    return re.compile(re.escape(account.arn("iam", f"role/{name}", region="")) + "-[0-9a-f]{7}")


def _functions(
    declared: Iterable[DeclaredSecret], secrets: Iterable[Secret], account: Account, aws: AwsSession
) -> tuple[dict[str, frozenset[str] | None], list[str]]:
    """Return the roles of functions that rotate secrets as declared; one that drifted in does not count."""
    schedules = {one.name: one.schedule for one in declared if one.schedule}
    rotated: dict[str, set[str]] = {}
    own: set[str] = set()
    for secret in secrets:
        arn, schedule = (secret.rotation.function if secret.rotation else ""), schedules.get(secret.name)
        if not arn or schedule is None or not account.owns(arn):
            continue
        if schedule.function_arn is None:
            names = schedule.function_names
            if names is not None and not re.fullmatch(names, arn.split(":")[6]):
                continue
            own.add(arn)
        elif schedule.function_arn != arn:
            continue
        rotated.setdefault(arn, set()).add(secret.name)
    client = aws.client("lambda")
    roles = aws.each(
        rotated,
        lambda arn: aws.call(
            FUNCTION, lambda: str(client.get_function_configuration(FunctionName=arn)["Role"])
        ),
    )
    found: dict[str, frozenset[str] | None] = {}
    for arn, role in roles.items():
        if isinstance(role, str):
            known = found.get(role, frozenset())
            found[role] = None if arn in own or known is None else known | rotated[arn]
    return found, [FUNCTION] if any(isinstance(role, Denied) for role in roles.values()) else []


def declaration(
    principal: Principal, secret: DeclaredSecret | ExistingSecret, known: Identities
) -> Declaration:
    """Return how a principal relates to a secret that it read."""
    policy = secret.policy if isinstance(secret, DeclaredSecret) else None
    is_named = _names(policy, principal, known.account)
    if principal.service:
        return Declaration(kind="service", declared=is_named or principal.service == _SECRETS_MANAGER)
    if {principal.arn, principal.role} & known.deployers:
        return Declaration(kind="deployment", declared=True)
    if principal.is_person:
        return Declaration(kind="person", declared=is_named)
    if principal.role and _is_function(principal.role, secret, known):
        return Declaration(kind="function", declared=True)
    return _reader(principal, secret.reads, known, policy, is_named=is_named)


def _reader(
    principal: Principal,
    readers: Mapping[str, tuple[str, ...]],
    known: Identities,
    policy: Mapping[str, Any] | None,
    *,
    is_named: bool,
) -> Declaration:
    """Return how a principal relates to a secret that is not the stack's or a person."""
    if principal.arn:
        workloads = tuple(name for name, role in known.roles.items() if role.fullmatch(principal.role))
    elif principal.account == known.account:
        workloads = ()
    else:  # the history of a secret's owner has no ARNs of other accounts
        workloads = tuple(name for name in readers if known.role_accounts.get(name) == principal.account)
        is_named = is_named or principal.account in _accounts(policy)
    reading = tuple(name for name in workloads if name in readers)
    if reading:
        return Declaration(kind="workload", declared=True, workloads=reading)
    if is_named:
        return Declaration(kind="policy", declared=True)
    return Declaration(kind="workload" if workloads else "other", declared=False, workloads=workloads)


def _is_function(role: str, secret: DeclaredSecret | ExistingSecret, known: Identities) -> bool:
    if known.writer.fullmatch(role):
        return True
    if isinstance(secret, DeclaredSecret) and secret.partner and role == secret.partner.role_arn:
        return True
    if role not in known.functions:
        return False
    rotated = known.functions[role]
    return rotated is None or secret.name in rotated


def _names(policy: Mapping[str, Any] | None, principal: Principal, own_account: str) -> bool:
    """Return whether a declared resource policy names this principal, or all of its account.

    The stack's own account does not count: with it a policy leaves the decision to IAM.
    """
    for kind, name in _principals(policy):
        if kind == "Service" and name == principal.service != "":
            return True
        if kind == "AWS" and name and name in {principal.arn, principal.role}:
            return True
        root = _ROOT.fullmatch(name)
        account = root[1] if root else name
        if kind == "AWS" and account == principal.account not in {own_account, ""}:
            return True
    return False


def _accounts(policy: Mapping[str, Any] | None) -> set[str]:
    """Return the accounts of the principals that a policy lets read."""
    return {name.split(":")[4] for kind, name in _principals(policy) if kind == "AWS" and name.count(":") > 4}  # noqa: PLR2004


def _principals(policy: Mapping[str, Any] | None) -> Iterable[tuple[str, str]]:
    statements = (policy or {}).get("Statement") or []
    for one in statements if isinstance(statements, list) else [statements]:
        actions = {str(action).lower() for action in _listed(one.get("Action"))}
        named = one.get("Principal")
        if one.get("Effect") == "Allow" and actions & set(_READING) and isinstance(named, Mapping):
            for kind, names in named.items():
                yield from ((kind, str(name)) for name in _listed(names))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
