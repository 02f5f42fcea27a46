"""Rotation of secrets as AWS Secrets Manager does it: four invocations of a Lambda function, retried whole.

Source: AWS Secrets Manager API Reference (RotateSecret, CancelRotateSecret); User Guide, "Rotation by Lambda
function", "Lambda rotation functions", "Rotation schedules", "Troubleshoot rotation".

Environment: LOCALCLOUD_ROTATION_TRIES (5) and LOCALCLOUD_ROTATION_RETRY_SECONDS (1, doubled after each try)
stand for the tries that AWS spreads over a day. LOCALCLOUD_PENDING_CLEANED (yes): whether AWSPENDING is
removed from the version that a rotation made current, as AWS mostly does; `no` leaves it, which was seen too.
"""

import json
import os
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tools.localcloud.emulator import lambda_service, managed_rotation, role_assumption, rotation_schedule
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.lambda_role import RefusedError
from tools.localcloud.emulator.rotation_schedule import Schedule
from tools.localcloud.emulator.secrets_rules import CURRENT, PENDING, Secret, ServiceError
from tools.localcloud.emulator.turns import ONE_AT_A_TIME

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_TEST_ALONE = ("testSecret",)
_SCHEDULER_SECONDS = 0.5
_LONGEST_DELAY = 3600.0
_EVENTS_KEPT = 500


@dataclass
class Attempt:
    """A rotation in progress.

    Attributes:
        token: id of the version that becomes current; the same for every try.
        test_alone: only testSecret runs, and the pending version goes away afterwards.
        step: the one that runs or failed last.
        tries: begun so far.
    """

    token: str
    test_alone: bool
    step: str = ""
    tries: int = 0
    error: str | None = None


@dataclass
class Rotation:
    """A secret's rotation; times are seconds since 1970.

    Attributes:
        role_arn, metadata: of a partner's secret that AWS rotates itself.
        closes: end of the next window (NextRotationDate).
        due: when this emulator rotates, at the beginning of that window.
    """

    lambda_arn: str
    schedule: Schedule | None = None
    enabled: bool = True
    last: float | None = None
    closes: float | None = None
    due: float | None = None
    attempt: Attempt | None = None
    account: str = ""
    role_arn: str = ""
    metadata: tuple[tuple[str, str], ...] = ()

    def plan(self) -> None:
        """Set the next window, seen from now."""
        if self.schedule is None:
            self.closes = self.due = None
            return
        window = rotation_schedule.next_window(self.schedule, datetime.now(UTC))
        # the end of the day, as AWS shows it, not the beginning of the next
        self.due, self.closes = window.opens.timestamp(), window.closes.timestamp() - 1


@dataclass
class _Service:
    """Objects of which the process has one.

    Attributes:
        running: ARN and token of every rotation with a thread.
        events: the last of what rotations did, as `events()` tells it.
        told: how many events there were.
    """

    secrets: Callable[[], Iterator[Secret]] = lambda: iter(())
    changed: Callable[[], None] = lambda: None
    running: set[tuple[str, str]] = field(default_factory=set)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_EVENTS_KEPT))
    told: int = 0


_SERVICE = _Service()


def start(secrets: Callable[[], Iterator[Secret]], changed: Callable[[], None]) -> None:
    """Resume rotations that the emulator's end interrupted, and run the schedules from now on."""
    _SERVICE.secrets, _SERVICE.changed = secrets, changed
    with ONE_AT_A_TIME:
        for secret in secrets():
            if secret.rotation is not None and secret.rotation.attempt is not None:
                secret.rotation.attempt.tries = 0
                _run_later(secret, secret.rotation.attempt)
    threading.Thread(target=_keep_schedules, daemon=True).start()


def described(secret: Secret) -> dict[str, Any]:
    """Return the rotation fields of DescribeSecret and ListSecrets."""
    rotation = secret.rotation
    if rotation is None:
        return {}
    found: dict[str, Any] = {"RotationEnabled": rotation.enabled}
    if rotation.lambda_arn:  # a service that manages the secret has none
        found["RotationLambdaARN"] = rotation.lambda_arn
    if rotation.role_arn:
        found["ExternalSecretRotationRoleArn"] = rotation.role_arn
        found["ExternalSecretRotationMetadata"] = [
            {"Key": key, "Value": text} for key, text in rotation.metadata
        ]
    if rotation.schedule is not None:
        schedule = rotation.schedule
        days = rotation_schedule.days_between(schedule, datetime.now(UTC))
        if schedule.days is not None or rotation.last is not None:
            found["RotationRules"] = {"AutomaticallyAfterDays": days}
        if schedule.expression is not None:
            found.setdefault("RotationRules", {})["ScheduleExpression"] = schedule.expression
        if schedule.duration is not None:
            found["RotationRules"]["Duration"] = schedule.duration
    if rotation.last is not None:
        found["LastRotatedDate"] = rotation.last
    if rotation.enabled and rotation.closes is not None:
        found["NextRotationDate"] = rotation.closes
    return found


def check_token(asked: Mapping[str, Any]) -> str:
    """Return the request's token, which every SDK sends.

    Raises:
        ServiceError: It is missing, too short or too long.
    """
    if asked.get("ClientRequestToken") is None:
        raise rules.invalid_parameter(rules.UNIDENTIFIED)
    return rules.check_token(asked["ClientRequestToken"])


def rotate(account: str, secret: Secret, asked: Mapping[str, Any]) -> str:
    """RotateSecret and return the id of the version that will be current.

    Raises:
        ServiceError: as AWS answers.
    """
    token = check_token(asked)
    rotation = secret.rotation
    schedule = _asked_schedule(asked) or (rotation.schedule if rotation else None)
    if rotates_itself(secret):
        return _rotate_managed(account, secret, schedule, asked)
    lambda_arn = asked.get("RotationLambdaARN") or (rotation.lambda_arn if rotation else None)
    if not lambda_arn:
        raise rules.invalid_request("No Lambda rotation function ARN is associated with this secret.")
    pending = secret.holder(PENDING)
    if pending is not None and pending is not secret.holder(CURRENT):
        if pending.version_id == token:
            return token  # the same request once more
        if rotation is not None and rotation.enabled:
            _begin(
                secret, pending.version_id, test_alone=bool(rotation.attempt and rotation.attempt.test_alone)
            )
        raise rules.invalid_request("A previous rotation isn't complete. That rotation will be reattempted.")
    if token in secret.versions:
        if CURRENT in secret.versions[token].labels:
            return token  # the same request once more, after its rotation
        raise rules.invalid_request(f"A version with the id {token} exists already.")
    _check_permission(account, secret, str(lambda_arn))
    secret.rotation = Rotation(
        str(lambda_arn), schedule, last=rotation.last if rotation else None, account=account
    )
    secret.rotation.plan()
    secret.changed = time.time()
    _begin(secret, token, test_alone=asked.get("RotateImmediately") is False)
    return token


def rotates_itself(secret: Secret) -> bool:
    """Return whether AWS rotates the secret without a function: for its own service, or for a partner."""
    return secret.owner is not None or secret.partner_type is not None


def begin_managed(account: str, secret: Secret) -> None:
    """Set the default schedule of a secret that another service manages."""
    secret.rotation = Rotation("", managed_rotation.DEFAULT_SCHEDULE, account=account)
    secret.rotation.plan()


def _rotate_managed(account: str, secret: Secret, schedule: Schedule | None, asked: Mapping[str, Any]) -> str:
    """RotateSecret for a secret that another service manages and rotates at once, without a function."""
    token, before = check_token(asked), secret.rotation
    if asked.get("RotationLambdaARN"):
        manager = secret.owner or secret.partner_type
        raise rules.invalid_parameter(f"The secret is managed by {manager}, which rotates it itself.")
    role = asked.get("ExternalSecretRotationRoleArn") or (before.role_arn if before else "")
    given = asked.get("ExternalSecretRotationMetadata")
    metadata = tuple((item["Key"], item["Value"]) for item in given or ()) if given is not None else None
    if secret.partner_type and not role:
        raise rules.invalid_parameter("A managed external secret needs ExternalSecretRotationRoleArn.")
    if role and not role_assumption.service_may_assume(
        "secretsmanager.amazonaws.com", role, secret.region, secret.arn
    ):
        raise ServiceError(
            "AccessDeniedException", "Secrets Manager cannot assume the specified rotation role."
        )
    secret.rotation = Rotation(
        "",
        schedule,
        last=before.last if before else None,
        account=account,
        role_arn=role,
        metadata=metadata if metadata is not None else before.metadata if before else (),
    )
    secret.rotation.plan()
    secret.changed = time.time()
    if asked.get("RotateImmediately") is not False:
        managed_rotation.renew(secret, token)
        secret.rotation.last = time.time()
    return token


def cancel(secret: Secret) -> str | None:
    """CancelRotateSecret and return the version of the rotation that was given up, whose labels stay."""
    rotation = secret.rotation
    if rotation is None:
        return None
    token = rotation.attempt.token if rotation.attempt else None
    rotation.enabled, rotation.attempt = False, None
    secret.changed = time.time()
    return token


def rotate_due(secret_id: str | None) -> list[str]:
    """Pretend that the schedule of one secret, or of all, is due, and return the ARNs that begin now."""
    begun = []
    for secret in _SERVICE.secrets():
        rotation = secret.rotation
        if rotation and rotation.enabled and secret_id in {None, secret.arn, secret.name}:
            rotation.due = time.time()
            if _begin_if_due(secret, rotation):
                begun.append(secret.arn)
    return begun


def unfinished() -> list[dict[str, Any]]:
    """Return rotations in progress, without values."""
    return [
        {
            "SecretId": secret.arn,
            "ClientRequestToken": secret.rotation.attempt.token,
            "Step": secret.rotation.attempt.step,
            "Try": secret.rotation.attempt.tries,
            "Error": secret.rotation.attempt.error,
        }
        for secret in _SERVICE.secrets()
        if secret.rotation is not None and secret.rotation.attempt is not None
    ]


def events() -> list[dict[str, Any]]:
    """Return the latest events of rotations, oldest first, without values.

    Number counts up from 1 in every process. An ended step has Step, Try, Milliseconds and Error (the error's
    type, or null); an ended rotation has Outcome: "succeeded", "tested" or "given up".
    """
    return list(_SERVICE.events)


def _asked_schedule(asked: Mapping[str, Any]) -> Schedule | None:
    given = asked.get("RotationRules")
    if not given:
        return None
    schedule = Schedule(
        given.get("AutomaticallyAfterDays"), given.get("ScheduleExpression"), given.get("Duration")
    )
    rotation_schedule.check(schedule)
    return schedule


def _check_permission(account: str, secret: Secret, lambda_arn: str) -> None:
    allowed = lambda_service.allows(
        secret.region,
        lambda_arn,
        service="secretsmanager.amazonaws.com",
        source_arn=secret.arn,
        account=account,
    )
    if not allowed:  # AWS answers the same for a function that is not there
        raise ServiceError(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy "
            "grants access to the principal secretsmanager.amazonaws.com.",
        )


def _begin(secret: Secret, token: str, *, test_alone: bool) -> None:
    """Begin or continue a rotation; a version without a value is pending until createSecret puts one."""
    rotation = secret.rotation
    if rotation is None or (rotation.attempt is not None and (secret.arn, token) in _SERVICE.running):
        return
    if token not in secret.versions:
        rules.begin_version(secret, token, as_current=test_alone)
    rotation.attempt = Attempt(token, test_alone)
    _run_later(secret, rotation.attempt)


def _run_later(secret: Secret, attempt: Attempt) -> None:
    key = (secret.arn, attempt.token)
    if key not in _SERVICE.running:
        _SERVICE.running.add(key)
        threading.Thread(target=_run, args=(secret, attempt.token), daemon=True).start()


def _run(secret: Secret, token: str) -> None:
    """Run one rotation with all its tries, in its own thread."""
    delay = float(os.environ.get("LOCALCLOUD_ROTATION_RETRY_SECONDS", "1"))
    while (attempt := _next_try(secret, token)) is not None:
        succeeded = _steps(secret, attempt)
        with ONE_AT_A_TIME:
            over = _conclude(secret, attempt, succeeded=succeeded)
            if over:
                _SERVICE.running.discard((secret.arn, token))
        _SERVICE.changed()
        if over:
            return
        time.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY)


def _next_try(secret: Secret, token: str) -> Attempt | None:
    """Return the attempt with one more try; None ends the thread."""
    with ONE_AT_A_TIME:
        attempt = _still_wanted(secret, token)
        if attempt is None:
            _SERVICE.running.discard((secret.arn, token))
            return None
        attempt.tries += 1
    _SERVICE.changed()
    return attempt


def _still_wanted(secret: Secret, token: str) -> Attempt | None:
    with ONE_AT_A_TIME:
        rotation = secret.rotation
        if rotation is None or not rotation.enabled or secret.deleted is not None:
            return None
        if not any(living is secret for living in _SERVICE.secrets()):
            return None
        attempt = rotation.attempt
        return attempt if attempt is not None and attempt.token == token else None


def _steps(secret: Secret, attempt: Attempt) -> bool:
    rotation_token = str(uuid.uuid4())
    for step in _TEST_ALONE if attempt.test_alone else STEPS:
        if _still_wanted(secret, attempt.token) is None:
            return False
        attempt.step = step
        began = time.monotonic()
        error = _call(secret, step, attempt.token, rotation_token)
        attempt.error = error
        milliseconds = round((time.monotonic() - began) * 1000)
        _note(secret, attempt, Step=step, Try=attempt.tries, Milliseconds=milliseconds, Error=error)
        if error is not None:
            _tell(secret, f"{step} failed: {error} (try {attempt.tries})")
            return False
        _tell(secret, f"{step} done")
    return True


def _call(secret: Secret, step: str, token: str, rotation_token: str) -> str | None:
    """Invoke the function, and return the error without its message, which is in the function's log."""
    rotation = secret.rotation
    if rotation is None:
        return "NoRotation"
    event = {
        "Step": step,
        "SecretId": secret.arn,
        "ClientRequestToken": token,
        "RotationToken": rotation_token,
    }
    try:
        with ONE_AT_A_TIME:
            _check_permission(rotation.account, secret, rotation.lambda_arn)
        outcome, _ = lambda_service.invoke(secret.region, rotation.lambda_arn, json.dumps(event).encode())
    except (RefusedError, ServiceError) as error:
        return error.code
    except RuntimeError:
        return "Ending"
    return str(json.loads(outcome.payload).get("errorType", "Unhandled")) if outcome.failed else None


def _conclude(secret: Secret, attempt: Attempt, *, succeeded: bool) -> bool:
    """Return, after a try, whether the rotation has finished, successfully or not."""
    rotation = secret.rotation
    if rotation is None or rotation.attempt is not attempt:
        return True
    if attempt.test_alone:
        version = secret.versions.get(attempt.token)
        if version is not None and version.labels <= {PENDING}:
            del secret.versions[attempt.token]
        rotation.attempt = None
        _note(secret, attempt, Outcome="tested" if succeeded else "given up")
        return True
    pending = secret.holder(PENDING)
    complete = pending is None or pending is secret.holder(CURRENT)
    if succeeded and complete:
        if pending is not None and os.environ.get("LOCALCLOUD_PENDING_CLEANED", "yes") != "no":
            pending.labels.discard(PENDING)
        rotation.last, rotation.attempt = time.time(), None
        rotation.plan()
        _note(secret, attempt, Outcome="succeeded")
        _tell(secret, "succeeded")
        return True
    if succeeded:
        attempt.error = "finishSecret did not move AWSCURRENT"
        _note(secret, attempt, Step=attempt.step, Try=attempt.tries, Milliseconds=0, Error=attempt.error)
        _tell(secret, f"failed: {attempt.error}")
    given_up = pending is None or pending.version_id != attempt.token
    if given_up or attempt.tries >= int(os.environ.get("LOCALCLOUD_ROTATION_TRIES", "5")):
        rotation.attempt = None
        rotation.plan()
        _note(secret, attempt, Outcome="given up")
        _tell(secret, "given up until the next window or RotateSecret")
        return True
    return False


def _keep_schedules() -> None:
    while True:
        time.sleep(_SCHEDULER_SECONDS)
        with ONE_AT_A_TIME:
            begun = [
                secret
                for secret in _SERVICE.secrets()
                if secret.rotation is not None and _begin_if_due(secret, secret.rotation)
            ]
        if begun:
            _SERVICE.changed()


def _begin_if_due(secret: Secret, rotation: Rotation) -> bool:
    """Begin a scheduled rotation, or resume the one that was given up."""
    if (
        not rotation.enabled
        or rotation.attempt is not None
        or secret.deleted is not None
        or rotation.due is None
        or rotation.due > time.time()
    ):
        return False
    rotation.plan()
    if rotates_itself(secret):
        managed_rotation.renew(secret, rules.new_token())
        rotation.last = time.time()
        return True
    pending = secret.holder(PENDING)
    stuck = pending is not None and pending is not secret.holder(CURRENT)
    _begin(secret, pending.version_id if pending and stuck else rules.new_token(), test_alone=False)
    return True


def _note(secret: Secret, attempt: Attempt, **what: Any) -> None:  # noqa: ANN401  JSON
    with ONE_AT_A_TIME:
        _SERVICE.told += 1
        _SERVICE.events.append(
            {
                "Number": _SERVICE.told,
                "SecretId": secret.arn,
                "ClientRequestToken": attempt.token,
                **what,
            }
        )


def _tell(secret: Secret, what: str) -> None:
    print(f"rotation of {secret.name}: {what}", file=sys.stderr, flush=True)
