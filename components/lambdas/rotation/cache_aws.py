"""ElastiCache and MemoryDB, as far as a rotation needs them: users, replication groups, and their tags.

AWS applies changes in the background. What is being changed accepts no other change, so every change waits
until the one before it is complete.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from . import deadline
from .aws_errors import error_code
from .errors import OperatorError

Strategy: TypeAlias = Literal["SET", "ROTATE"]
Found = TypeVar("Found")

_ARN = re.compile(
    r"arn:[a-z-]+:(?P<service>elasticache|memorydb):[a-z0-9-]+:\d{12}:"
    r"(?P<kind>user|replicationgroup|usergroup|acl)[:/](?P<name>[A-Za-z][A-Za-z0-9-]*)"
)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0

# Codes without their suffix, which the two services write differently.
_BUSY = frozenset(
    {"InvalidUserState", "InvalidUserGroupState", "InvalidACLState", "InvalidReplicationGroupState"}
)
# AWS answers like this to requests for the tags of a user that is being changed.
_NO_TAGS_NOW = _BUSY | {"UserNotFound"}
_THROTTLED = {"RequestLimitExceeded", "Throttled", "Throttling"}
_MISSING = {"UserNotFound", "ReplicationGroupNotFound"}
_UNACCEPTABLE = {"InvalidParameterValue", "InvalidParameterCombination"}
# Names of the services, and of their interface endpoints.
_NAMES = {"elasticache": ("ElastiCache", "elasticache"), "memorydb": ("MemoryDB", "memory-db")}
_SUFFIX = re.compile(r"(Fault|Exception)$")
_REMEDIES = {
    "AccessDenied": "Allow it in the function's role (cache_arns of RotationFunctionArgs).",
    "UserNotFound": "Check that the user exists in this account and region.",
    "UserGroupNotFound": "Check that the user group exists in this account and region.",
    "ACLNotFound": "Check that the ACL exists in this account and region.",
    "ReplicationGroupNotFound": "Check that the replication group exists in this account and region.",
}


class CacheApiError(OperatorError):
    """AWS rejected a request, or did not answer it.

    Attributes:
        code: AWS's error code without its suffix, such as InvalidUserState; empty without an answer.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_unacceptable(self) -> bool:
        """True if AWS accepts the request neither now nor later."""
        return self.code in _UNACCEPTABLE


@dataclass(frozen=True, kw_only=True)
class Target:
    """A user, group of users, or replication group.

    Attributes:
        arn: its ARN.
        service: elasticache or memorydb.
        kind: user, usergroup, acl or replicationgroup.
        name: its identifier in the API: a user's ID at ElastiCache, its name at MemoryDB.
    """

    arn: str
    service: str
    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class User:
    """A user as AWS describes it.

    Attributes:
        username: the name with which clients log in.
        status: such as active or modifying.
        authentication: password, no-password or iam.
        passwords: how many passwords it has.
        access: its access string.
        groups: IDs of the user groups, or names of the ACLs, that it belongs to.
    """

    username: str
    status: str
    authentication: str
    passwords: int
    access: str
    groups: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ReplicationGroup:
    """A replication group as AWS describes it.

    Attributes:
        status: such as available or modifying; modifying while a token is pending.
        has_token: whether AUTH is enabled.
        has_tls: whether encryption in transit is enabled.
        has_users: whether access is controlled by user groups.
    """

    status: str
    has_token: bool
    has_tls: bool
    has_users: bool


def parse_arn(arn: object) -> Target | None:
    """Return what an ARN names; None if it is not the ARN of a user, a group or a replication group."""
    known = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    return known and Target(arn=known[0], service=known["service"], kind=known["kind"], name=known["name"])


def find_user(target: Target) -> User | None:
    """Return a user; None if it does not exist."""
    argument = "UserId" if target.service == "elasticache" else "UserName"
    found = _find(target, "describe_users", "Users", {argument: target.name})
    if found is None:
        return None
    authentication = found.get("Authentication", {})
    return User(
        username=found["UserName"] if target.service == "elasticache" else found["Name"],
        status=found["Status"],
        authentication=authentication.get("Type", ""),
        passwords=int(authentication.get("PasswordCount", 0)),
        access=found.get("AccessString", ""),
        groups=found.get("UserGroupIds" if target.service == "elasticache" else "ACLNames", []),
    )


def find_group(target: Target) -> ReplicationGroup | None:
    """Return a replication group; None if it does not exist."""
    found = _find(
        target, "describe_replication_groups", "ReplicationGroups", {"ReplicationGroupId": target.name}
    )
    if found is None:
        return None
    pending = found.get("PendingModifiedValues", {}).get("AuthTokenStatus")
    return ReplicationGroup(
        status="modifying" if pending else found["Status"],
        has_token=bool(found.get("AuthTokenEnabled")),
        has_tls=bool(found.get("TransitEncryptionEnabled")),
        has_users=bool(found.get("UserGroupIds")),
    )


def tags(target: Target) -> Mapping[str, str]:
    """Return the tags of a user or replication group that exists."""

    def look() -> Any:  # noqa: ANN401 - shapes are AWS's
        if target.service == "elasticache":
            return _call(target, "list_tags_for_resource", {"ResourceName": target.arn})
        return _call(target, "list_tags", {"ResourceArn": target.arn})

    answer = when_free(look, _NO_TAGS_NOW)
    return {tag["Key"]: tag.get("Value", "") for tag in answer["TagList"]}


def add_tag(target: Target, key: str, value: str) -> None:
    """Add a tag to a user or replication group."""
    tag = [{"Key": key, "Value": value}]

    def change() -> None:
        if target.service == "elasticache":
            _call(target, "add_tags_to_resource", {"ResourceName": target.arn, "Tags": tag})
        else:
            _call(target, "tag_resource", {"ResourceArn": target.arn, "Tags": tag})

    when_free(change, _NO_TAGS_NOW)


def create_user(  # noqa: PLR0913 - what a user consists of
    target: Target, *, username: str, engine: str, password: str, access: str, tags: Mapping[str, str]
) -> None:
    """Create a user with a password; it can log in to no cache before it is in a group.

    Args:
        target: the user's ARN.
        username: the name with which clients log in; at MemoryDB, the name in the ARN.
        engine: redis or valkey; MemoryDB has one for all users.
        password: its password.
        access: its access string.
        tags: its tags.
    """
    arguments = {
        "UserName": username,
        "AuthenticationMode": {"Type": "password", "Passwords": [password]},
        "AccessString": access,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if target.service == "elasticache":
        arguments |= {"UserId": target.name, "Engine": engine}
    when_free(lambda: _call(target, "create_user", arguments, [password]))


def set_passwords(target: Target, passwords: Sequence[str], access: str | None = None) -> None:
    """Replace all passwords of a user; AWS applies it in the background.

    Args:
        target: the user.
        passwords: one or two passwords.
        access: its new access string. Default: it stays.
    """
    arguments: dict[str, object] = {"AuthenticationMode": {"Type": "password", "Passwords": list(passwords)}}
    if access is not None:
        arguments["AccessString"] = access
    if target.service == "elasticache":
        when_free(lambda: _call(target, "modify_user", {"UserId": target.name, **arguments}, passwords))
    else:
        when_free(lambda: _call(target, "update_user", {"UserName": target.name, **arguments}, passwords))


def add_to_group(user: Target, group: Target) -> None:
    """Add a user to a user group or an ACL; AWS applies it in the background."""
    if user.service == "elasticache":
        arguments = {"UserGroupId": group.name, "UserIdsToAdd": [user.name]}
        when_free(lambda: _call(group, "modify_user_group", arguments))
    else:
        arguments = {"ACLName": group.name, "UserNamesToAdd": [user.name]}
        when_free(lambda: _call(group, "update_acl", arguments))


def set_token(target: Target, token: str, strategy: Strategy) -> None:
    """Change the AUTH tokens of a replication group; AWS applies it in the background.

    SET leaves this token only. ROTATE adds it and keeps the newest one; without one, it keeps open access.
    """
    arguments = {
        "ReplicationGroupId": target.name,
        "AuthToken": token,
        "AuthTokenUpdateStrategy": strategy,
        "ApplyImmediately": True,
    }
    when_free(lambda: _call(target, "modify_replication_group", arguments, [token]))


def wait(look: Callable[[], Found], ready: Callable[[Found], bool], what: str) -> Found:
    """Look until `ready`; return what was found.

    Raises:
        OperatorError: the invocation's time is over; the message says that the next attempt goes on.
    """
    pause = _FIRST_PAUSE_SECONDS
    while not ready(found := look()):
        if deadline.seconds_left() < pause:
            raise OperatorError(
                f"{what} is still being changed by AWS, and this invocation's time is over. Nothing is lost: "
                "the rotation goes on when Secrets Manager tries again, or when you provision again."
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    return found


def when_free(request: Callable[[], Found], busy: frozenset[str] = _BUSY) -> Found:
    """Send a request; send it again while AWS rejects it because another change is under way.

    Args:
        request: sends it.
        busy: codes of AWS's errors that mean this.

    Raises:
        CacheApiError: AWS rejected it for another reason, or the invocation's time is over.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return request()
        except CacheApiError as error:
            if error.code not in busy | _THROTTLED or deadline.seconds_left() < pause:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _find(target: Target, operation: str, key: str, arguments: Mapping[str, object]) -> Any:  # noqa: ANN401 - shapes are AWS's
    try:
        found = when_free(lambda: _call(target, operation, arguments))[key]
    except CacheApiError as error:
        if error.code in _MISSING:
            return None
        raise
    # the identifier alone would name a user of this account, whatever account the ARN is from
    known = [item for item in found if item["ARN"] == target.arn]
    return known[0] if known else None


@cache
def _client(service: str, attempts: int) -> Any:  # noqa: ANN401 - boto3 makes its clients' types at run time
    settings = Config(
        connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": attempts}
    )
    return boto3.client(service, config=settings)


def _call(
    target: Target, operation: str, arguments: Mapping[str, object], passwords: Sequence[str] = ()
) -> Any:  # noqa: ANN401 - shapes are AWS's
    what = f"{operation.title().replace('_', '')} for {target.arn}"
    service, endpoint = _NAMES[target.service]
    try:
        # a change is sent once: AWS could see a second ROTATE, which would end the token in use
        attempts = 4 if operation.startswith(("describe", "list")) else 1
        return getattr(_client(target.service, attempts), operation)(**arguments)
    except ClientError as error:
        code = _SUFFIX.sub("", error_code(error))
        reason = str(error.response["Error"].get("Message", "")).removesuffix(".")
        if any(password in reason for password in passwords):
            reason = "the reason contains a password and is not shown"
        text = f"{service} rejected {what}: {code}: {reason}. {_REMEDIES.get(code, '')}".rstrip()
        raise CacheApiError(text, code) from None
    except BotoCoreError as error:
        # the type of the error only: its text may contain a parameter's value
        raise CacheApiError(
            f"{service} did not answer {what} ({type(error).__name__}). In a VPC, the function needs a route "
            f"to it: a NAT gateway, or an interface endpoint for {endpoint}.",
            "",
        ) from None
