"""The rules of a rollback, and the calls that make it."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from components.lambdas.common.labels import DEFERRAL
from operations.rollback.history import CURRENT, PENDING, PREVIOUS, Secret, Version

_SHORTEST_ID = 8
# The steps of a rotation after createSecret, whose part the target has: its value exists.
_STEPS = ("setSecret", "testSecret", "finishSecret")
# Eight digits may also be the beginning of a version id, which whoever puts a value chooses.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Refusal(Exception):  # noqa: N818  the outcome of a plan, which an operator reads
    """A rollback that is not possible; the message gives the reason and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A version to make current.

    Attributes:
        secret: as it is before.
        current: the version that is current now, and will be AWSPREVIOUS.
        target: the version that will be current.
    """

    secret: Secret
    current: Version
    target: Version


def plan(secret: Secret, to: str, *, written: bool, rotation_function: str = "") -> Rollback:
    """Return what a rollback would do.

    Args:
        secret: with its versions.
        to: `previous`, a version id or at least 8 of its first characters, or a time in ISO 8601 (UTC without
            an offset), which means the newest version created until then.
        written: whether the stack's writer writes the secret (initialValues: managed or account); a version
            without a label may then be one of its records.
        rotation_function: ARN of the function that the deployment declares for a login; no other is invoked.

    Raises:
        Refusal: the secret cannot be rolled back, or `to` names no version for it.
    """
    current = _current(secret)
    target = _target(secret, to, current)
    if target == current:
        raise Refusal(f"Version {target.version_id} is already current. Nothing was changed.")
    if not target.holds_a_value:
        owner = "a rehearsal" if target.is_of_rehearsal else "the stack's writer"
        raise Refusal(
            f"Version {target.version_id} holds no value of the secret: it belongs to {owner}. "
            "Choose another version."
        )
    if written and not target.labels:
        raise Refusal(
            f"Version {target.version_id} has no staging label. In a secret that the stack's writer writes, "
            "such a version may hold the writer's records instead of a value. Choose a version with a label, "
            "or edit the value by hand."
        )
    _check_rotation(secret, current, target, rotation_function)
    return Rollback(secret=secret, current=current, target=target)


def roll_back(secrets_manager: Any, functions: Any, rollback: Rollback) -> None:  # noqa: ANN401  boto3 is untyped
    """Make the target current; the version that was current becomes AWSPREVIOUS.

    AWSCURRENT moves in one call, which AWS rejects if another version has become current in the meantime. For
    a login, the rotation function first sets the target's password in the database and logs in with it, as in
    a rotation; if it fails, AWSCURRENT stays. No value leaves the account.

    Source: AWS Secrets Manager API Reference, UpdateSecretVersionStage; User Guide, "Lambda rotation
    functions".

    Args:
        secrets_manager: client; it calls UpdateSecretVersionStage.
        functions: client of Lambda; it invokes the rotation function of a login.
        rollback: from `plan`.

    Raises:
        Refusal: the rotation function failed, with its reason.
        botocore.exceptions.ClientError: AWS denied or rejected a call.
    """
    if rollback.secret.is_login:
        _through_function(secrets_manager, functions, rollback)
        return
    secrets_manager.update_secret_version_stage(
        SecretId=rollback.secret.arn,
        VersionStage=CURRENT,
        MoveToVersionId=rollback.target.version_id,
        RemoveFromVersionId=rollback.current.version_id,
    )


def _through_function(secrets_manager: Any, functions: Any, rollback: Rollback) -> None:  # noqa: ANN401  as above
    secret, version = rollback.secret, rollback.target.version_id
    stages = secrets_manager.describe_secret(SecretId=secret.arn)["VersionIdsToStages"]
    if CURRENT not in stages.get(rollback.current.version_id, ()):
        raise Refusal("Another version has become current in the meantime. Nothing was changed; look again.")
    for label in rollback.target.labels:
        if label.startswith(DEFERRAL):  # the function would take it for a rotation to defer
            secrets_manager.update_secret_version_stage(
                SecretId=secret.arn, VersionStage=label, RemoveFromVersionId=version
            )
    if PENDING not in rollback.target.labels:
        secrets_manager.update_secret_version_stage(
            SecretId=secret.arn, VersionStage=PENDING, MoveToVersionId=version
        )
    for step in _STEPS:
        event = {"Step": step, "SecretId": secret.arn, "ClientRequestToken": version}
        response = functions.invoke(FunctionName=secret.function_arn, Payload=json.dumps(event).encode())
        if response.get("FunctionError"):
            reason = reason_of(response["Payload"].read())
            _drop_pending(secrets_manager, secret.arn, version)
            raise Refusal(f"The rotation function could not make this version usable ({step}): {reason}")
    stages = secrets_manager.describe_secret(SecretId=secret.arn)["VersionIdsToStages"]
    if CURRENT not in stages.get(version, ()):
        raise Refusal(
            f"The rotation function reported success, but version {version} is not current. Its log has the "
            "reason; see docs/rotation.md."
        )


def reason_of(payload: bytes) -> str:
    """Return the reason for which a function failed, from its response."""
    try:
        document = json.loads(payload)
    except ValueError:
        document = None
    reason = document.get("errorMessage") if isinstance(document, dict) else None
    return reason if isinstance(reason, str) else "no reason given"


def _drop_pending(secrets_manager: Any, arn: str, version: str) -> None:  # noqa: ANN401  as above
    """Remove AWSPENDING, where the function has not: it would block the next rotation."""
    stages = secrets_manager.describe_secret(SecretId=arn)["VersionIdsToStages"]
    if PENDING in stages.get(version, ()):
        secrets_manager.update_secret_version_stage(
            SecretId=arn, VersionStage=PENDING, RemoveFromVersionId=version
        )


def _current(secret: Secret) -> Version:
    if secret.deleted:
        raise Refusal(
            "The secret is scheduled for deletion. Restore it first: "
            f"python -m operations restore {secret.name}"
        )
    if secret.owner:
        raise Refusal(
            f"The AWS service {secret.owner} manages this secret and its versions. Use that service."
        )
    if secret.primary_region:
        raise Refusal(f"This is a replica. Roll back the secret in {secret.primary_region}; replicas follow.")
    current = secret.labelled(CURRENT)
    if current is None:
        raise Refusal("The secret has no current version, so nobody can read it. Put a value first.")
    return current


def _target(secret: Secret, to: str, current: Version) -> Version:
    if to == "previous":
        previous = secret.labelled(PREVIOUS)
        if previous is None:
            raise Refusal("The secret has no previous version (AWSPREVIOUS).")
        if previous.created > current.created:  # a repetition must not undo what it repeats
            raise Refusal(
                f"The secret was rolled back already: version {current.version_id} is current, and the "
                f"previous version is newer. Nothing was changed. To undo that rollback: --to "
                f"{previous.version_id}"
            )
        return previous
    moment = _time(to)
    if moment is not None:
        if moment > datetime.now(UTC):
            raise Refusal(f"{to} is in the future. Write a time that has passed (UTC without an offset).")
        earlier = [one for one in secret.versions if one.created <= moment and one.holds_a_value]
        if not earlier:
            raise Refusal(f"AWS has no version of the secret from {to} or before.")
        return earlier[0]
    found = (
        [one for one in secret.versions if one.version_id.startswith(to)] if len(to) >= _SHORTEST_ID else []
    )
    if len(found) != 1:
        raise Refusal(
            f"{to} is not a version of this secret. Write previous, a version id, at least {_SHORTEST_ID} of "
            "its first characters, or a time such as 2026-11-29T12:00."
        )
    return found[0]


def _time(text: str) -> datetime | None:
    if not _DATE.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_rotation(secret: Secret, current: Version, target: Version, rotation_function: str) -> None:
    pending = secret.labelled(PENDING)
    # a login's rollback that was interrupted has left its target pending, and goes on
    if pending not in (None, current) and not (secret.is_login and pending == target):
        raise Refusal(
            "A rotation is in progress (a version has AWSPENDING), and would make its own version current. "
            "Wait until it has finished; if it keeps failing, see docs/rotation.md."
        )
    if secret.is_login and not secret.function_arn:
        raise Refusal(
            "Rotation is off for this login, so no function can set the earlier password in the database. "
            "Attach rotation first: pulumi up --refresh"
        )
    if secret.is_login and secret.function_arn != rotation_function:
        raise Refusal(
            f"This login rotates with {secret.function_arn}, and the stack declares "
            f"{rotation_function or 'no function'}. Attach the stack's function again: pulumi up --refresh"
        )
