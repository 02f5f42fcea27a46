"""The principals that CloudTrail records, without what the caller chose itself, such as a session's name.

AWS writes an event's userIdentity: the role's ARN in sessionIssuer, whether there was MFA, and whether the
credentials came from the console. A session's name is the caller's choice, so no decision rests on it; only
for a person it is kept, because IAM Identity Center puts the user's name there.

Source: AWS CloudTrail User Guide, "CloudTrail userIdentity element".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SSO = ":role/aws-reserved/sso.amazonaws.com/"
_SESSION = re.compile(r"arn:(?P<partition>[a-z-]+):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.*")
_PEOPLE = {"Root", "SAMLUser", "IdentityCenterUser"}
_LONGEST = 2048


class DamagedEventError(Exception):
    """An event that is not in CloudTrail's form."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A caller.

    Attributes:
        arn: of the role, user or root; of a person's session with its name; empty if CloudTrail has none.
        role: ARN of the role, for a session of one; without its path if CloudTrail does not have the issuer.
        account: the account ID; empty for an AWS service.
        identifier: the unique ID of the role or user.
        service: the AWS service that called on its own behalf, such as `rds.amazonaws.com`.
        is_person: whether AWS records MFA, the console, IAM Identity Center or the root user.
    """

    arn: str
    role: str
    account: str
    identifier: str
    service: str
    is_person: bool

    @property
    def shown(self) -> str:
        """Return its ARN, or what else is known of it."""
        if self.arn or self.service:
            return self.arn or self.service
        return f"{self.identifier or 'a principal'} of account {self.account or 'unknown'}"


def principal_of(identity: object, *, from_console: bool = False) -> Principal:
    """Return the principal of an event.

    Args:
        identity: the event's userIdentity.
        from_console: whether the event has sessionCredentialFromConsole.

    Raises:
        DamagedEventError: it is not in CloudTrail's form.
    """
    known = mapping(identity)
    kind, arn, account = text(known, "type"), text(known, "arn"), text(known, "accountId")
    session = mapping(known.get("sessionContext"))
    issuer = mapping(session.get("sessionIssuer"))
    role = text(issuer, "arn") if text(issuer, "type") in {"", "Role"} else ""
    found = _SESSION.fullmatch(arn)
    if kind == "AssumedRole" and not role and found:
        role = f"arn:{found['partition']}:iam::{found['account']}:role/{found['role']}"
    service = text(known, "invokedBy") if kind == "AWSService" else ""
    if not (arn or account or service):
        raise DamagedEventError
    has_mfa = text(mapping(session.get("attributes")), "mfaAuthenticated") == "true"
    is_person = kind in _PEOPLE or has_mfa or from_console or _SSO in role
    return Principal(
        arn=arn if is_person or not role else role,
        role=role,
        account=account,
        identifier=text(known, "principalId").partition(":")[0],
        service=service,
        is_person=is_person,
    )


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object of an event; empty if there is none.

    Raises:
        DamagedEventError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DamagedEventError
    return value


def text(known: Mapping[str, Any], key: str) -> str:
    """Return a text of an event; empty if there is none.

    Raises:
        DamagedEventError: it is something else, or longer than any ARN.
    """
    value = known.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise DamagedEventError
    return value
