"""Rotate secrets now through Secrets Manager, and not twice if the command is run again.

RotateSecret is called with ids of our own: Secrets Manager gives them to the new versions, so a repetition
finds in AWS which rotations were done. They follow from the start of the first run by a slow hash. Whoever
may put values could otherwise calculate the next id, and put a value as the version that the command waits
for. After a leak they begin with NOW_VERSION, so that the function neither waits for clients that use an old
value nor defers the rotation.

Source: AWS Secrets Manager API Reference, RotateSecret (ClientRequestToken is the new version's id).
"""

import hashlib
import hmac
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from components.lambdas.common.labels import DEFERRED, MERGED, deferral_of, deferred
from components.lambdas.rotation.protocol import NOW_VERSION
from operations.renewal.model import Failure
from operations.rollback.history import CURRENT, PENDING, PREVIOUS, Secret, history
from operations.status.errors import code_of, denial, is_denied
from operations.status.rotation import log_command
from program.desired import DesiredSecret

Tell = Callable[[str], None]
State = Literal["absent", "deferred", "pending", "done"]

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between looks; the last one repeats
_MOST_ATTEMPTS = 20
_PERMISSIONS = "docs/leak.md and docs/rotate.md list the permissions that compromised and rotate need."


@dataclass(frozen=True)
class Incident:
    """A leak, or any other reason to rotate, by its start.

    Attributes:
        since: when it started, with microseconds.
        seed: what the ids of its versions follow from.
        at_once: whether the old value must end, although clients may use it.
    """

    since: datetime
    seed: bytes = field(repr=False)
    at_once: bool = False

    def version(self, arn: str, number: int, attempt: int) -> str:
        """Return the id of the version that a rotation creates."""
        digest = hmac.digest(self.seed, f"{arn}\n{number}\n{attempt}".encode(), "sha256")
        return self.named(uuid.UUID(bytes=digest[:16], version=4))

    def named(self, known: uuid.UUID) -> str:
        """Return the id of a version."""
        return f"{NOW_VERSION if self.at_once else ''}{known}"

    def find(self, secret: Secret, number: int) -> tuple[str, State]:
        """Return the id of a rotation's version, and its state.

        After a deferred rotation, that is the id of the next attempt, which does not exist yet.

        Raises:
            Failure: edits made Secrets Manager abandon too many, or too many were deferred.
        """
        is_deferred = False
        for attempt in range(_MOST_ATTEMPTS):
            version = self.version(secret.arn, number, attempt)
            known = next((one for one in secret.versions if one.version_id == version), None)
            if known is None:
                return version, "deferred" if is_deferred else "absent"
            was_current = bool({CURRENT, PREVIOUS} & {*known.labels})
            if PENDING in known.labels and not was_current:
                return version, "pending"
            is_deferred = _is_copy(known.labels)
            if is_deferred:
                continue
            if was_current:
                return version, "done"
            merged = next(
                (one for one in secret.versions if MERGED in one.labels and one.created >= known.created),
                None,
            )
            if merged:  # the secret was edited during the rotation, whose result is in this version
                return merged.version_id, "done"
            # abandoned, because of an edit; or replaced twice since, and then once more does no harm
        raise Failure(
            f"{_MOST_ATTEMPTS} rotations were deferred, or abandoned because the secret is edited all the "
            "time. Find out by whom (CloudTrail: PutSecretValue), then begin a new run, without --since."
        )


def _is_copy(labels: Iterable[str]) -> bool:
    """Return whether a deferred rotation made a version; the next deferral moves the label on."""
    before = deferred(label for label in labels if label.startswith(DEFERRED))
    return deferral_of(labels) is not None or (before is not None and before.times > 1)


def incident(since: datetime, *, at_once: bool = False) -> Incident:
    """Return an incident; `at_once` for one whose rotations the function must not defer."""
    text = since.astimezone(UTC).isoformat(timespec="microseconds")
    seed = hashlib.scrypt(
        text.encode(), salt=b"aws-secrets: an incident", n=2**15, r=8, p=1, maxmem=2**26, dklen=32
    )
    return Incident(since, seed, at_once)


@dataclass(frozen=True, kw_only=True)
class Rotations:
    """Rotations of secrets, one after another or in several threads.

    Attributes:
        client: of Secrets Manager; all threads share it.
        incident: why they take place.
        timeout: seconds to wait for each rotation.
        consequence: of a rotation that does not end, such as "the leaked value may still work".
        tell: shows a line of progress.
        stop: set when the command is interrupted.
    """

    client: Any
    incident: Incident
    timeout: float
    consequence: str
    tell: Tell
    stop: threading.Event

    def is_done(self, name: str, number: int) -> bool:
        """Return whether a rotation was completed, perhaps by an earlier run."""
        return self.incident.find(look(self.client, name), number)[1] == "done"

    def rotate(self, declared: DesiredSecret, function: str, number: int, rotations: int) -> str:
        """Rotate a secret, unless an earlier run has; return the id of the new version once it is current.

        Args:
            declared: the secret.
            function: ARN of the function that the deployment declares; empty if AWS rotates it.
            number: of the rotation, from 1.
            rotations: their number, for the progress.

        Raises:
            Failure: it cannot rotate, or did not in time.
        """
        name = declared.name
        deadline, begun, looks, is_waiting = time.monotonic() + self.timeout, set[str](), 0, False
        while True:
            secret = look(self.client, name)
            version, state = self.incident.find(secret, number)
            if state == "done":
                return version
            if state == "deferred" and begun and version not in begun:
                raise Failure(
                    "The rotation renewed nothing: clients use an old password, so the function deferred it "
                    "(whileOldPasswordIsUsed). Find them: python -m operations status --old-passwords. "
                    "Restart them, then run this command again."
                )
            if version not in begun:
                check(secret, declared, function)
                # another id makes AWS try a pending rotation again, which an earlier run began
                token = self.incident.named(uuid.uuid4()) if state == "pending" else version
                if self._begin(secret.arn, token) or state == "pending":
                    begun.add(version)
                    self.tell(f"{name}: rotation {number} of {rotations} has begun.")
                elif not is_waiting:
                    is_waiting = True
                    self.tell(f"{name}: another rotation is in progress; waiting for it.")
            if time.monotonic() > deadline:
                raise Failure(self._unfinished(function))
            if self.stop.wait(_PAUSES[min(looks, len(_PAUSES) - 1)]):
                raise Failure("Interrupted while a rotation was in progress, which goes on by itself.")
            looks += 1

    def _begin(self, arn: str, version: str) -> bool:
        """Start a rotation; return False while another one is in progress, which AWS then tries again."""
        try:
            self.client.rotate_secret(SecretId=arn, ClientRequestToken=version)
        except ClientError as error:
            if code_of(error) == "InvalidRequestException" and "previous rotation" in str(error):
                return False
            raise explained(error, "secretsmanager:RotateSecret") from None
        except BotoCoreError as error:
            raise explained(error, "secretsmanager:RotateSecret") from None
        return True

    def _unfinished(self, function: str) -> str:
        cause = (
            f"The last [ERROR] in the function's log has the cause: {log_command(function)}."
            if function
            else "The event RotationFailed in CloudTrail has the cause."
        )
        return (
            f"A rotation is not complete after {self.timeout:g} seconds, so {self.consequence}. Secrets "
            f'Manager tries it again by itself. {cause} Correct it (docs/rotation.md, "When a rotation '
            'fails"), then run this command again.'
        )


def look(client: Any, name: str) -> Secret:  # noqa: ANN401  boto3 is untyped
    """Return a secret with its versions.

    Raises:
        Failure: AWS rejected the request.
    """
    try:
        return history(client, name, is_login=False)
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and code_of(error) == "ResourceNotFoundException":
            raise Failure(
                "AWS has no such secret in this account and region: it was never deployed."
            ) from None
        action = getattr(error, "operation_name", "DescribeSecret")
        raise explained(error, f"secretsmanager:{action}") from None


def check(secret: Secret, declared: DesiredSecret, function: str) -> None:
    """Check that a rotation would run what the deployment declares: others may attach another function.

    Raises:
        Failure: it would not, or it cannot run.
    """
    if secret.deleted:
        raise Failure(
            f"It is scheduled for deletion. Restore it first: python -m operations restore {secret.name}"
        )
    if secret.primary_region:
        raise Failure(f"This is a replica. Run the command for the secret in {secret.primary_region}.")
    if declared.rotated_by == "aws":
        return
    if not function:
        raise Failure("The stack's outputs and state have no function for it. Update the stack first.")
    if secret.function_arn != function:
        raise Failure(
            f"It rotates with {secret.function_arn or 'no function'}, and the stack declares "
            f"{function}. Find out who changed that (CloudTrail: RotateSecret, CancelRotateSecret). "
            "Attach the stack's function again: pulumi up --refresh"
        )


def explained(error: Exception, action: str) -> Failure:
    """Return the failure that explains an AWS error; it contains no value."""
    if not isinstance(error, ClientError):
        return Failure(f"AWS could not be reached ({action}): {' '.join(str(error).split())}")
    if is_denied(error):
        return Failure(f"{denial(action)}. {_PERMISSIONS}")
    message = error.response.get("Error", {}).get("Message", "")
    return Failure(f"AWS answered {action} with {code_of(error)}: {message}")
