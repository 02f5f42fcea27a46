"""Requests that IAM rejects and moto accepts: names, trust policies and sizes of policies.

Sources: IAM User Guide, "IAM and AWS STS quotas", "Grammar of the IAM JSON policy language"; IAM API
Reference, CreateRole, PutRolePolicy, PutUserPolicy, CreatePolicy, AttachRolePolicy, DeletePolicy, DeleteUser.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.iam.exceptions import (
    DeleteConflictException,
    LimitExceededException,
    MalformedPolicyDocument,
    ValidationError,
)
from moto.iam.models import IAMBackend, User

_NAMES = {"RoleName": 64, "UserName": 64, "GroupName": 128, "PolicyName": 128, "InstanceProfileName": 128}
_INLINE_CHARACTERS = 10_240  # all policies of a role together, white space not counted
_USER_CHARACTERS = 2_048  # the same for a user
_MANAGED_CHARACTERS = 6_144
_TRUST_CHARACTERS = 2_048
_ATTACHED = 10
_TRUST_PARAMETERS = {"CreateRole": "AssumeRolePolicyDocument", "UpdateAssumeRolePolicy": "PolicyDocument"}


def check(backend: IAMBackend, action: str, asked: Mapping[str, str]) -> None:
    """Raise IAM's error for a request outside its limits.

    Args:
        backend: moto's, with what there is.
        action: the operation's name.
        asked: its parameters that are texts.

    Raises:
        ServiceException: ValidationError, MalformedPolicyDocument, LimitExceeded or DeleteConflict.
    """
    for parameter, most in _NAMES.items():
        if parameter in asked:
            _check_name(parameter, asked[parameter], most)
    trust = asked.get(_TRUST_PARAMETERS.get(action, ""))
    if trust is not None:
        _check_trust(trust)
    _check_user(backend.users.get(asked.get("UserName", "")), action, asked)
    role = asked.get("RoleName", "")
    if action == "PutRolePolicy" and role in _role_names(backend):
        _check_inline(backend, role, asked)
    elif action in {"CreatePolicy", "CreatePolicyVersion"}:
        if _size(asked.get("PolicyDocument", "")) > _MANAGED_CHARACTERS:
            raise LimitExceededException(f"Cannot exceed quota for PolicySize: {_MANAGED_CHARACTERS}")
    elif action == "AttachRolePolicy" and role in _role_names(backend):
        attached = backend.get_role(role).managed_policies
        if len({*attached, asked.get("PolicyArn", "")}) > _ATTACHED:
            raise LimitExceededException(f"Cannot exceed quota for PoliciesPerRole: {_ATTACHED}")
    elif action == "DeletePolicy":
        _check_deletion(backend, asked.get("PolicyArn", ""))


def _check_user(user: User | None, action: str, asked: Mapping[str, str]) -> None:
    if user is None:
        return
    if action == "DeleteUser" and user.access_keys:
        raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
    if action == "DeleteUser" and user.policies:
        raise DeleteConflictException("Cannot delete entity, must delete policies first.")
    others = [text for name, text in user.policies.items() if name != asked.get("PolicyName")]
    if action == "PutUserPolicy":
        size = sum(map(_size, [*map(str, others), asked.get("PolicyDocument", "")]))
        if size > _USER_CHARACTERS:
            raise LimitExceededException(
                f"Maximum policy size of {_USER_CHARACTERS} bytes exceeded for user {user.name}"
            )


def _check_deletion(backend: IAMBackend, arn: str) -> None:
    policy = backend.managed_policies.get(arn)
    if policy is None:
        return
    if policy.attachment_count:
        raise DeleteConflictException("Cannot delete a policy attached to entities.")
    if len(policy.versions) > 1:
        raise DeleteConflictException(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's "
            "versions. The default version is deleted with the policy."
        )


def _role_names(backend: IAMBackend) -> set[str]:
    return {role.name for role in backend.roles.values()}


def _check_name(parameter: str, name: str, most: int) -> None:
    shown = parameter[0].lower() + parameter[1:]
    if not re.fullmatch(r"[\w+=,.@-]+", name, re.ASCII):
        raise ValidationError(
            f"The specified value for {shown} is invalid. It must contain only alphanumeric characters "
            "and/or the following: +=,.@_-"
        )
    if len(name) > most:
        raise ValidationError(
            f"1 validation error detected: Value at '{shown}' failed to satisfy constraint: Member must have "
            f"length less than or equal to {most}"
        )


def _size(document: str) -> int:
    """Return the characters that count: all but white space."""
    return len(re.sub(r"\s", "", document))


def _check_inline(backend: IAMBackend, role: str, asked: Mapping[str, str]) -> None:
    others: Iterable[str] = (
        document if isinstance(document, str) else json.dumps(document)
        for name, document in backend.get_role(role).policies.items()
        if name != asked.get("PolicyName")
    )
    if sum(map(_size, [*others, asked.get("PolicyDocument", "")])) > _INLINE_CHARACTERS:
        raise LimitExceededException(
            f"Maximum policy size of {_INLINE_CHARACTERS} bytes exceeded for role {role}"
        )


def _check_trust(text: str) -> None:
    try:
        document = json.loads(text)
        given = document["Statement"]
        statements = given if isinstance(given, list) else [given]
        if not statements or not all(map(_is_trust, statements)):
            raise MalformedPolicyDocument("Syntax errors in policy.")
    except (ValueError, TypeError, KeyError):
        raise MalformedPolicyDocument("This policy contains invalid Json") from None
    for statement in statements:
        if "Resource" in statement or "NotResource" in statement:
            raise MalformedPolicyDocument("Has prohibited field Resource")
    if _size(text) > _TRUST_CHARACTERS:
        raise LimitExceededException(f"Cannot exceed quota for ACLSizePerRole: {_TRUST_CHARACTERS}")


def _is_trust(statement: Any) -> bool:  # noqa: ANN401  any JSON
    """Return whether it says who may assume the role: Effect, Principal, and actions of STS."""
    if not isinstance(statement, dict) or statement.get("Effect") not in {"Allow", "Deny"}:
        return False
    principals = [statement[name] for name in ("Principal", "NotPrincipal") if name in statement]
    actions = [statement[name] for name in ("Action", "NotAction") if name in statement]
    if len(principals) != 1 or len(actions) != 1:
        return False
    listed = actions[0] if isinstance(actions[0], list) else [actions[0]]
    kinds = {"AWS", "Service", "Federated", "CanonicalUser"}
    principal = principals[0]
    known = principal == "*" or (
        isinstance(principal, dict) and bool(principal) and principal.keys() <= kinds
    )
    return (
        known
        and bool(listed)
        and all(
            isinstance(action, str) and (action == "*" or action.lower().startswith("sts:"))
            for action in listed
        )
    )
