"""Permissions around SMTP credentials: what their IAM user may send, and who may replace its access keys."""

import hashlib
import re
from collections.abc import Sequence

from .policies import document

MOST_USER_POLICY = 2_048
"""Characters of the inline policies of a user. Source: IAM User Guide, "IAM and AWS STS quotas"."""

_LONGEST_NAME, _DIGEST_LENGTH = 64, 8


def user_name(secret_name: str, region: str) -> str:
    """Return the name of the IAM user of a secret: names of users are unique in an account."""
    digest = hashlib.sha256(f"{region}\n{secret_name}".encode()).hexdigest()[:_DIGEST_LENGTH]
    readable = re.sub(r"[^A-Za-z0-9+=,.@_-]", "-", secret_name)[: _LONGEST_NAME - _DIGEST_LENGTH - 1]
    return f"{readable}-{digest}"


def sending(
    identities: Sequence[str], configuration_sets: Sequence[str], *, partition: str, region: str, account: str
) -> str:
    """Return the policy of a user that sends email by SMTP.

    Source: Service Authorization Reference, Amazon SES.

    Args:
        identities: domains, from which it may send from any address, and single addresses.
        configuration_sets: names of configuration sets that it may use.
        partition: partition of the identities.
        region: region of SES.
        account: ID of the account that owns the identities.
    """

    def arns(kind: str, names: Sequence[str]) -> list[str]:
        return [f"arn:{partition}:ses:{region}:{account}:{kind}/{name}" for name in sorted(set(names))]

    domains = [identity for identity in identities if "@" not in identity]
    addresses = sorted({identity for identity in identities if "@" in identity})
    statements = [
        *([_allow("SendFromDomains", arns("identity", domains))] if domains else []),
        *(
            {
                # the address may be verified itself, or by its domain
                **_allow(f"SendFromAddress{number}", arns("identity", [address, address.partition("@")[2]])),
                "Condition": {"StringEqualsIgnoreCase": {"ses:FromAddress": address}},
            }
            for number, address in enumerate(addresses, start=1)
        ),
        *(
            [_allow("UseConfigurationSets", arns("configuration-set", configuration_sets))]
            if configuration_sets
            else []
        ),
    ]
    return document(*statements)


def changes_of_access_keys(user_arns: Sequence[str]) -> list[dict[str, object]]:
    """Return the statement that allows new access keys of these IAM users, if any."""
    statement: dict[str, object] = {
        "Sid": "ReplaceAccessKeysOfTheseUsers",
        "Effect": "Allow",
        "Action": [
            "iam:CreateAccessKey",
            "iam:DeleteAccessKey",
            "iam:ListAccessKeys",
            "iam:ListUserTags",
        ],
        "Resource": list(user_arns),
    }
    return [statement] if user_arns else []


def _allow(sid: str, arns: Sequence[str]) -> dict[str, object]:
    return {"Sid": sid, "Effect": "Allow", "Action": "ses:SendRawEmail", "Resource": list(arns)}
