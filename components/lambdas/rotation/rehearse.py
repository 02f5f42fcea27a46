"""Try every step of the next rotation, and change nothing that is in use. An operator invokes this.

Event:
    Action      "rehearse"
    SecretId    the secret's ARN
    Schemas     PostgreSQL: the schemas that the login must be able to use; default: none

Answer:
    {"Rehearsed": [steps], "Findings": [{"Step", "Problem", "Consequence"}], "NotRehearsed": [sentences],
    "Outlook": [sentences]}; no value of a secret. The outlook is what the next rotation does about clients
    that use an old value, if the deployment declares something: see `retirement.py`.

AWSCURRENT, AWSPREVIOUS and AWSPENDING keep their versions. A version without any value of the secret is put
with a label of its own, which is removed; AWS deletes a version without labels. In a database, the changes of
setSecret are rolled back, or made to an account that does not exist: see the drivers. A rehearsal that was
killed leaves at most that label on one version, and the next one removes it.
"""

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from . import retirement, store
from .driver import Fields
from .driver_selection import driver_for
from .errors import OperatorError
from .labels import CURRENT, PENDING, PREVIOUS
from .protocol import (
    ACTION,
    FINDING_CONSEQUENCE,
    FINDING_PROBLEM,
    FINDING_STEP,
    FINDINGS,
    NOT_REHEARSED,
    OUTLOOK,
    REHEARSAL_LABEL,
    REHEARSAL_VERSION,
    REHEARSED,
    SCHEMAS,
    SECRET_ID,
)
from .rehearsal_steps import CONSEQUENCES, CREATE, DESCRIBE, FINISH, READ

LOG = logging.getLogger(__name__)

_SHADOW_KEY = "rehearsal"

Answer = TypeVar("Answer")


@dataclass
class _Record:
    """The steps that were tried, and the ones that failed.

    Attributes:
        succeeded: the steps that succeeded, in their order.
        failed: problem to step; the same problem is reported once, for its first step.
        gaps: what was not tried.
        outlook: what the next rotation would do that is not a step.
    """

    succeeded: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    outlook: list[str] = field(default_factory=list)

    def attempt(self, step: str, work: Callable[[], Answer]) -> Answer | None:
        """Return what `work` returns; None if it failed, which becomes a finding."""
        try:
            answer = work()
        except OperatorError as error:
            self.failed.setdefault(str(error), step)
            return None
        self.succeeded.append(step)
        return answer

    def answer(self) -> Mapping[str, object]:
        """Return the answer to the event."""
        steps = [step for step in dict.fromkeys(self.succeeded) if step not in self.failed.values()]
        findings = [
            {FINDING_STEP: step, FINDING_PROBLEM: problem, FINDING_CONSEQUENCE: CONSEQUENCES[step]}
            for problem, step in self.failed.items()
        ]
        return {REHEARSED: steps, FINDINGS: findings, NOT_REHEARSED: self.gaps, OUTLOOK: self.outlook}


def run(event: Mapping[str, object]) -> Mapping[str, object]:
    """Carry out one request; failures of the secret's rotation are findings.

    Raises:
        OperatorError: the request was rejected.
    """
    arn, schemas = _read_request(event)
    record = _Record()
    _rehearse(arn, schemas, record)
    for problem, step in record.failed.items():
        LOG.warning("rehearse: %s would fail: %s", step, problem)
    LOG.info("rehearse: %s findings about secret %s", len(record.failed), arn)
    return record.answer()


def _rehearse(arn: str, schemas: Sequence[str], record: _Record) -> None:
    secret = record.attempt(DESCRIBE, partial(store.describe, arn))
    if secret is None:
        return
    record.attempt(DESCRIBE, partial(_check_startable, secret))
    current = None if secret.deleted else record.attempt(READ, partial(store.read, arn, CURRENT))
    if current is None:
        return
    driver = record.attempt(CREATE, partial(driver_for, secret, current))
    previous = partial(store.find, arn, label=PREVIOUS)
    rehearsal = (
        record.attempt(CREATE, partial(driver.rehearse, current, previous, schemas)) if driver else None
    )
    _put_shadow(arn, rehearsal.pending if rehearsal else current, record)
    if rehearsal is None:
        return
    for part in rehearsal.parts:
        if part.needs not in record.failed.values():
            record.attempt(part.step, part.run)
    record.gaps += rehearsal.gaps
    outlook = record.attempt(CREATE, partial(retirement.outlook, secret, current, driver)) if driver else None
    record.outlook += [outlook.sentence] if outlook else []


def _check_startable(secret: store.Description) -> None:
    """Raise OperatorError if Secrets Manager would not start a rotation, or not a new one."""
    if secret.deleted:
        raise OperatorError(f"Secret {secret.arn} is scheduled for deletion. Restore it first.")
    if not secret.rotation_enabled:
        raise OperatorError(
            f"Secret {secret.arn}: rotation is not enabled. Attach it again: `pulumi up --refresh`."
        )
    pending = secret.version_with(PENDING)
    if pending not in {None, secret.version_with(CURRENT)}:
        raise OperatorError(
            f"Secret {secret.arn}: version {pending} has the label {PENDING}: a rotation is in progress, or "
            "failed and is tried again. Other findings may be due to it. Rehearse again when it has "
            "finished; if it keeps failing, see docs/rotation.md."
        )


def _put_shadow(arn: str, fields: Fields, record: _Record) -> None:
    """Put a version that is as long as the next one and has none of its values; then remove its label.

    This takes the same permissions, on the secret and on its key, as createSecret and finishSecret.
    """
    version = REHEARSAL_VERSION + uuid.uuid4().hex
    shadow = _shadow(len(json.dumps(fields, ensure_ascii=False).encode()))

    def put() -> bool:
        store.put(arn, version, shadow, REHEARSAL_LABEL, None)
        return True

    if record.attempt(CREATE, put):
        record.attempt(CREATE, partial(_check_readable, arn, version))
        record.attempt(FINISH, partial(store.drop_label, arn, version, REHEARSAL_LABEL))
        return
    with suppress(OperatorError):  # AWS may have put it although its answer was lost
        store.drop_label(arn, version, REHEARSAL_LABEL)


def _shadow(size: int) -> Fields:
    return {_SHADOW_KEY: "x" * max(size - len(json.dumps({_SHADOW_KEY: ""})), 0)}


def _check_readable(arn: str, version: str) -> None:
    if store.find(arn, version=version) is None:
        raise OperatorError(
            f"Secret {arn}: version {version}, which the rehearsal has just put, does not exist. Rehearse "
            "again; if it persists, something deletes versions of the secret."
        )


def _read_request(event: Mapping[str, object]) -> tuple[str, Sequence[str]]:
    unknown = sorted(event.keys() - {ACTION, SECRET_ID, SCHEMAS})
    if unknown:
        raise OperatorError(f"The event has unknown keys: {', '.join(unknown)}. Remove them.")
    arn, schemas = event.get(SECRET_ID), event.get(SCHEMAS, [])
    if not isinstance(arn, str) or not arn:
        raise OperatorError(f"{SECRET_ID} is missing from the event. Write the ARN of the secret.")
    if not isinstance(schemas, list) or not all(isinstance(name, str) and name for name in schemas):
        raise OperatorError(f"{SCHEMAS} must be a list of names.")
    return arn, schemas
