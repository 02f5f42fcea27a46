"""The four steps of a rotation, as Secrets Manager calls them.

After any failure Secrets Manager runs the whole rotation again with the same version id, so every step may
find its work done, half done, or done and then edited by somebody.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import store
from .declaration import driver_for
from .driver import Driver, Fields, Versions
from .errors import OperatorError, PendingOutdatedError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rotation:
    """One rotation of one secret.

    Attributes:
        secret: what is known about it.
        version: id of the version that becomes current (the event's ClientRequestToken).
        token: the event's RotationToken, which goes along with every write.
    """

    secret: store.Description
    version: str
    token: str | None

    @property
    def arn(self) -> str:
        """The secret's ARN."""
        return self.secret.arn


def run(event: Mapping[str, object]) -> None:
    """Run one step.

    Args:
        event: Step, SecretId, ClientRequestToken and perhaps RotationToken.

    Raises:
        OperatorError: not to be done, with the reason.
    """
    step, arn, version = (_text(event, key) for key in ("Step", "SecretId", "ClientRequestToken"))
    if step not in _STEPS:
        raise OperatorError(f"Step is {step!r}, which is none of {', '.join(_STEPS)}.")
    secret = store.describe(arn)
    if secret.deleted:
        raise OperatorError(f"Secret {arn} is scheduled for deletion. Restore it first.")
    if secret.rotation_enabled is False:
        raise OperatorError(f"Rotation is switched off for secret {arn}.")
    labels = secret.stages.get(version, frozenset())
    if store.CURRENT in labels:
        if step == "finishSecret":
            _drop_pending(arn, version)
        LOG.info("%s: version %s of %s is current already", step, version, arn)
        return
    if store.PENDING not in labels:
        raise OperatorError(
            f"Version {version} of secret {arn} is not pending: its rotation is over or given up."
        )
    token = event.get("RotationToken")
    rotation = Rotation(secret, version, token if isinstance(token, str) else None)
    try:
        _STEPS[step](rotation)
    except PendingOutdatedError:
        # a version cannot be rewritten: without its label the next rotation starts afresh
        store.drop_pending(arn, version)
        raise
    LOG.info("%s: done for version %s of %s", step, version, arn)


def _create(rotation: Rotation) -> None:
    if store.find(rotation.arn, version=rotation.version, stage=store.PENDING) is not None:
        return
    current = store.read(rotation.arn, store.CURRENT)
    following = _driver(rotation, current).next_fields(current)
    store.put(rotation.arn, rotation.version, following, store.PENDING, rotation.token)


def _set(rotation: Rotation) -> None:
    current = store.read(rotation.arn, store.CURRENT)
    pending = _pending(rotation)
    driver = _driver(rotation, current)
    driver.merge(current, pending)  # still fits, or is given up before anything is changed
    driver.apply(
        Versions(
            current=current,
            pending=pending,
            previous=lambda: store.find(rotation.arn, stage=store.PREVIOUS),
        )
    )


def _test(rotation: Rotation) -> None:
    # runs alone, perhaps before there is a pending value, when a rotation is attached without rotating at
    # once
    fields = store.find(rotation.arn, version=rotation.version, stage=store.PENDING)
    fields = fields or store.read(rotation.arn, store.CURRENT)
    _driver(rotation, fields).verify(fields)


def _finish(rotation: Rotation) -> None:
    """Make the pending version current, or, if the current one was edited meanwhile, both in a new version.

    Nothing guards a secret against two writers, but the label moves only from the version that was looked at.
    """
    current_version = rotation.secret.version_with(store.CURRENT)
    current = current_version and store.find(rotation.arn, version=current_version)
    if not current_version or not current:
        raise OperatorError(f"Secret {rotation.arn} has no value with the label {store.CURRENT}.")
    pending = _pending(rotation)
    merged = _driver(rotation, current).merge(current, pending)
    if merged == pending:
        store.move_current(rotation.arn, rotation.version, current_version)
        _drop_pending(rotation.arn, rotation.version)
        return
    if merged != current:
        LOG.warning("finishSecret: %s was edited during its rotation; the edit is kept", rotation.arn)
        version = str(uuid.uuid4())
        store.put(rotation.arn, version, merged, store.MERGED, rotation.token)
        store.move_current(rotation.arn, version, current_version)
    store.drop_pending(rotation.arn, rotation.version)


def _drop_pending(arn: str, version: str) -> None:
    """Remove AWSPENDING from the version that became current, where AWS has not."""
    if store.PENDING in store.describe(arn).stages.get(version, frozenset()):
        store.drop_pending(arn, version)


_STEPS: Mapping[str, Callable[[Rotation], None]] = {
    "createSecret": _create,
    "setSecret": _set,
    "testSecret": _test,
    "finishSecret": _finish,
}


def _driver(rotation: Rotation, fields: Fields) -> Driver:
    return driver_for(rotation.secret, fields)


def _pending(rotation: Rotation) -> Fields:
    pending = store.find(rotation.arn, version=rotation.version, stage=store.PENDING)
    if pending is None:
        raise OperatorError(
            f"Version {rotation.version} of secret {rotation.arn} has no value: createSecret comes first."
        )
    return pending


def _text(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not value:
        raise OperatorError(f"The event has no {key}: this function is for Secrets Manager to call.")
    return value
