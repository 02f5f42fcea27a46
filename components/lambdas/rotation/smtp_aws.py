"""IAM, as far as SMTP credentials need it: the access keys of a user, and the user's tags.

IAM applies changes in the background: a list may still lack a new key, or have a deleted one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .aws_errors import error_code
from .errors import OperatorError

MOST_KEYS = 2
"""How many access keys a user may have. Source: IAM User Guide, "IAM and AWS STS quotas"."""

_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:user/([!-~]*/)?(?P<name>[A-Za-z0-9+=,.@_-]{1,64})")
_MISSING = "NoSuchEntity"
_REMEDIES = {
    "AccessDenied": "Allow it in the function's role (smtp_user_arns of RotationFunctionArgs).",
    _MISSING: "Check that the user exists in this account.",
}


@dataclass(frozen=True, kw_only=True)
class User:
    """An IAM user.

    Attributes:
        arn: its ARN.
        name: its name.
    """

    arn: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """An access key.

    Attributes:
        key_id: its ID, the SMTP user name.
        created: when it was created.
        active: whether it can be used.
    """

    key_id: str
    created: datetime
    active: bool


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """An access key that was just created; only now its secret part can be read."""

    key_id: str
    secret_access_key: str = field(repr=False)


def parse_user(arn: object) -> User | None:
    """Return the user that an ARN names; None if it is not the ARN of a user."""
    known = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    return known and User(arn=known[0], name=known["name"])


def access_keys(user: User) -> Sequence[Key]:
    """Return a user's access keys, the oldest first."""
    found = _call("list_access_keys", user)["AccessKeyMetadata"]
    keys = [
        Key(key_id=key["AccessKeyId"], created=key["CreateDate"], active=key["Status"] == "Active")
        for key in found
    ]
    return sorted(keys, key=lambda key: key.created)


def create_access_key(user: User) -> NewKey:
    """Create an access key."""
    key = _call("create_access_key", user)["AccessKey"]
    return NewKey(key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


def delete_access_key(user: User, key_id: str) -> None:
    """Delete an access key, unless it is deleted already."""
    _call("delete_access_key", user, ignore=_MISSING, AccessKeyId=key_id)


def tags(user: User) -> Mapping[str, str]:
    """Return a user's tags: at most 50, which one answer holds."""
    return {tag["Key"]: tag["Value"] for tag in _call("list_user_tags", user)["Tags"]}


@cache
def _client() -> Any:  # noqa: ANN401 - boto3 makes its clients' types at run time
    # a repeated CreateAccessKey could create two keys: only what AWS surely did not do is sent again
    settings = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
    return boto3.client("iam", config=settings)


def _call(operation: str, user: User, ignore: str = "", **arguments: Any) -> Any:  # noqa: ANN401 - see above
    call = f"{operation.title().replace('_', '')} for user {user.arn}"
    try:
        return getattr(_client(), operation)(UserName=user.name, **arguments)
    except ClientError as error:
        code = error_code(error)
        if code == ignore:
            return {}
        reason = error.response["Error"]["Message"].removesuffix(".")
        text = f"IAM rejected {call}: {code}: {reason}. {_REMEDIES.get(code, '')}"
        raise OperatorError(text.rstrip()) from None
    except BotoCoreError as error:
        # the type of the error only: its text may contain a parameter's value
        raise OperatorError(
            f"IAM did not answer {call} ({type(error).__name__}). In a VPC, the function needs a route, "
            "such as a NAT gateway."
        ) from None
