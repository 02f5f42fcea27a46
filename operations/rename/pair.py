"""A secret under two names, as AWS has it: which of the two is up to date. No value is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.lambdas.copier.protocol import copy_label
from operations.restore.plan import Refusal
from operations.rollback.history import CURRENT, PENDING, history
from operations.status.aws import AwsSession, Denied
from operations.status.errors import query_error

_INVOKE = "lambda:InvokeFunction"
_VERSIONS = "secretsmanager:ListSecretVersionIds"


class Sync(StrEnum):
    """The value of the new name, compared with that of the old one."""

    EQUAL = "equal"
    BEHIND = "behind"
    AHEAD = "ahead"
    DIVERGED = "diverged"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two secrets, as DescribeSecret describes them; None if AWS has none of that name."""

    old: Mapping[str, Any]
    new: Mapping[str, Any] | None


def described(aws: AwsSession, old: str, new: str) -> Pair:
    """Return both secrets.

    Raises:
        Refusal: a permission is missing, or the old one does not exist.
        QueryError: AWS could not be asked.
    """
    found = aws.secrets([old, new], policies=False)
    for name in (old, new):
        answer = found[name].described
        if isinstance(answer, Denied):
            raise Refusal(f"These credentials may not call {answer.action} on {name}. Allow it.")
    first, second = (found[name].described for name in (old, new))
    if first is None or isinstance(first, Denied):
        raise Refusal(
            f"AWS has no secret {old} in {aws.region}. Update the stack first; it creates the secret."
        )
    return Pair(old=first, new=None if isinstance(second, Denied) else second)


def check_old(old: str, secret: Mapping[str, Any], region: str) -> None:
    """Check that a secret can be copied.

    Raises:
        Refusal: it cannot.
    """
    if secret.get("DeletedDate"):
        raise Refusal(
            f"{old} is scheduled for deletion. Restore it first: python -m operations restore {old}"
        )
    if owner := secret.get("OwningService"):
        raise Refusal(f"The AWS service {owner} manages {old} and its name. Use that service.")
    primary = secret.get("PrimaryRegion")
    if primary and primary != region:
        raise Refusal(f"{old} is a replica. Rename the secret in {primary}; its replicas follow.")
    stages: Mapping[str, Any] = secret.get("VersionIdsToStages") or {}
    if any(PENDING in labels and CURRENT not in labels for labels in stages.values()):
        raise Refusal(
            f"{old} is being rotated (a version has AWSPENDING), so its value is about to change. Wait until "
            "the rotation has finished; if it keeps failing, see docs/rotation.md."
        )
    if secret.get("RotationEnabled"):
        raise Refusal(
            f"AWS rotates {old}, and a rotation does not know the other name. Remove rotation from its entry "
            f"and update, or run: aws secretsmanager cancel-rotate-secret --secret-id {old}"
        )


def check_new_is_free(new: str, secret: Mapping[str, Any] | None) -> None:
    """Check that a name can be used.

    Raises:
        Refusal: AWS has a secret of this name.
    """
    if secret is None:
        return
    if secret.get("DeletedDate"):
        raise Refusal(
            f"AWS reserves the name {new}: a secret of this name is scheduled for deletion. Choose another "
            "name, wait until its recovery window has ended, or restore it and rename it first."
        )
    raise Refusal(
        f"AWS has a secret {new} already, which is not of this rename: {secret['ARN']}. Choose another name."
    )


def compare(aws: AwsSession, pair: Pair) -> Sync:
    """Return how the new secret compares with the old one.

    Raises:
        QueryError: AWS could not be asked.
    """
    if pair.new is None:
        return Sync.BEHIND
    wanted = _current(pair.old)
    stages: Mapping[str, Any] = pair.new.get("VersionIdsToStages") or {}
    current = _current(pair.new)
    if current is None or wanted is None:
        return Sync.BEHIND
    if copy_label(current) in stages[current]:
        return Sync.EQUAL if current == wanted else Sync.BEHIND
    if current == wanted:
        return Sync.BEHIND  # the function checks that the value is the same, and labels it
    try:
        versions = history(aws.client("secretsmanager"), str(pair.new["ARN"]), is_login=False).versions
    except (ClientError, BotoCoreError) as error:
        raise query_error(error, _VERSIONS) from None
    return Sync.AHEAD if any(one.version_id == wanted for one in versions) else Sync.DIVERGED


def copy(aws: AwsSession, function_arn: str) -> None:
    """Have the function copy the value of the old name.

    Raises:
        Refusal: it could not, with its reason.
        QueryError: AWS could not be asked.
    """
    try:
        answer = aws.client("lambda").invoke(FunctionName=function_arn, Payload=b"{}")
        payload = answer["Payload"].read()
    except (ClientError, BotoCoreError) as error:
        raise query_error(error, _INVOKE) from None
    if answer.get("FunctionError"):
        raise Refusal(f"The function could not copy the value: {_reason(payload)}")


def _current(secret: Mapping[str, Any]) -> str | None:
    stages: Mapping[str, Any] = secret.get("VersionIdsToStages") or {}
    return next((version for version, labels in stages.items() if CURRENT in labels), None)


def _reason(payload: bytes) -> str:
    try:
        document = json.loads(payload)
    except ValueError:
        document = None
    reason = document.get("errorMessage") if isinstance(document, dict) else None
    return reason if isinstance(reason, str) else "no reason given"
