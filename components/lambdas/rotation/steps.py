"""The four steps of a rotation, which Secrets Manager calls one after the other.

After a failure, Secrets Manager runs the whole rotation again with the same version id, so a step may find
its work not done, half done, done, or done and then edited by somebody.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import retirement, store
from .driver import Driver, Fields, Versions
from .driver_selection import driver_for
from .errors import OperatorError, PendingOutdatedError
from .labels import CURRENT, DEFERRAL, MERGED, PENDING, PREVIOUS, Deferred, deferral_of

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rotation:
    """One rotation of one secret.

    Attributes:
        secret: the secret's description.
        version: id of the version to make current (the event's ClientRequestToken).
        token: the event's RotationToken, which every write passes on.
    """

    secret: store.Description
    version: str
    token: str | None

    @property
    def arn(self) -> str:
        """The secret's ARN."""
        return self.secret.arn

    @property
    def deferral(self) -> Deferred | None:
        """The deferral, if the version is a copy of the current one; see `retirement.py`."""
        labels = self.secret.stages.get(self.version, frozenset())
        # a copy that was current before is pending again only because of a rollback to its value
        return None if PREVIOUS in labels else deferral_of(labels)


def run(event: Mapping[str, object]) -> None:
    """Run one step.

    Args:
        event: Step, SecretId, ClientRequestToken and, optionally, RotationToken.

    Raises:
        OperatorError: the step was rejected or failed.
    """
    step, arn, version = (_text(event, key) for key in ("Step", "SecretId", "ClientRequestToken"))
    if step not in _STEPS:
        raise OperatorError(f"Step is {step!r}, which is not one of {', '.join(_STEPS)}.")
    secret = store.describe(arn)
    if secret.deleted:
        raise OperatorError(f"Secret {arn} is scheduled for deletion. Restore it, then rotate again.")
    if secret.rotation_enabled is False:
        raise OperatorError(f"Secret {arn}: rotation is disabled. Enable it, then rotate again.")
    labels = secret.stages.get(version, frozenset())
    if CURRENT in labels:
        if step == "finishSecret":
            _complete(secret, version)
            _drop_pending(arn, version)
        LOG.info("%s: version %s of secret %s is already current", step, version, arn)
        return
    if PENDING not in labels:
        raise OperatorError(
            f"Secret {arn}: version {version} does not have the label {PENDING}: its rotation has ended or "
            "was abandoned. Start a new rotation."
        )
    token = event.get("RotationToken")
    rotation = Rotation(secret, version, token if isinstance(token, str) else None)
    try:
        _STEPS[step](rotation)
    except PendingOutdatedError:
        # a version cannot be rewritten; without the label, the next rotation starts from the beginning
        store.drop_pending(arn, version)
        raise
    LOG.info("%s: succeeded for version %s of secret %s", step, version, arn)


def _create(rotation: Rotation) -> None:
    if store.find(rotation.arn, version=rotation.version, label=PENDING) is not None:
        return
    current = store.read(rotation.arn, CURRENT)
    driver = _driver(rotation, current)
    deferral = retirement.deferral_before(rotation.secret, rotation.version, current, driver)
    if deferral:
        label = deferral.label(DEFERRAL)
        store.put(rotation.arn, rotation.version, current, PENDING, rotation.token, label)
        return
    store.put(rotation.arn, rotation.version, driver.next_fields(current), PENDING, rotation.token)


def _set(rotation: Rotation) -> None:
    if rotation.deferral:
        return
    current = store.read(rotation.arn, CURRENT)
    pending = _pending(rotation)
    driver = _driver(rotation, current)
    driver.merge(current, pending)  # abandon a version that no longer fits before anything is changed
    driver.apply(
        Versions(
            current=current,
            pending=pending,
            previous=lambda: store.find(rotation.arn, label=PREVIOUS),
        )
    )


def _test(rotation: Rotation) -> None:
    if rotation.deferral:
        return  # createSecret has logged in with it, and an edit since is kept whether it works or not
    # when rotation is configured without rotating at once, this step runs alone, perhaps without a pending
    # value
    fields = store.find(rotation.arn, version=rotation.version, label=PENDING)
    fields = fields or store.read(rotation.arn, CURRENT)
    _driver(rotation, fields).verify(fields)


def _finish(rotation: Rotation) -> None:
    """Make the pending version current, or a merged one if the current version was edited in the meantime.

    Secrets Manager has no locks against two writers, but the label moves only from the version that was read.
    """
    current_version = rotation.secret.version_with(CURRENT)
    current = current_version and store.find(rotation.arn, version=current_version)
    if not current_version or not current:
        raise OperatorError(
            f"Secret {rotation.arn}: no version has the label {CURRENT}. Give it to the version that "
            "workloads should read."
        )
    pending = _pending(rotation)
    driver = _driver(rotation, current)
    if rotation.deferral:
        is_edited = current != pending
        _finish_deferral(rotation, rotation.deferral, current_version, is_edited=is_edited)
        version = current_version if is_edited else rotation.version
        retirement.set_bookmark(rotation.secret, version, current, driver, is_new=False)
        _drop_pending(rotation.arn, rotation.version)
        return
    merged = driver.merge(current, pending)
    if merged == pending:
        store.move_current(rotation.arn, rotation.version, current_version)
        retirement.forget(rotation.secret)
        retirement.set_bookmark(rotation.secret, rotation.version, merged, driver, is_new=True)
        _drop_pending(rotation.arn, rotation.version)
        return
    version = current_version
    if merged != current:
        LOG.warning("finishSecret: secret %s was edited during its rotation; the edit is kept", rotation.arn)
        version = str(uuid.uuid4())
        store.put(rotation.arn, version, merged, MERGED, rotation.token)
        store.move_current(rotation.arn, version, current_version)
    retirement.forget(rotation.secret)
    retirement.set_bookmark(rotation.secret, version, merged, driver, is_new=True)
    store.drop_pending(rotation.arn, rotation.version)


def _finish_deferral(rotation: Rotation, deferral: Deferred, before: str, *, is_edited: bool) -> None:
    """Make the copy current, so that Secrets Manager sees a rotation; an edit since stays current instead."""
    if is_edited:
        LOG.warning("finishSecret: secret %s was edited during its rotation; the edit is kept", rotation.arn)
    else:
        store.move_current(rotation.arn, rotation.version, before)
    retirement.record(rotation.secret, deferral, before)


def _complete(secret: store.Description, version: str) -> None:
    """Write down the end of a rotation that was interrupted after its version became current."""
    deferral = deferral_of(secret.stages[version])
    if deferral:
        retirement.record(secret, deferral, secret.version_with(PREVIOUS))
    else:
        retirement.forget(secret)
    fields = store.find(secret.arn, version=version) if retirement.setting_of(secret.arn) else None
    if fields and (deferral or not retirement.has_bookmark(secret.stages[version])):
        driver = driver_for(secret, fields)
        retirement.set_bookmark(secret, version, fields, driver, is_new=deferral is None)


def _drop_pending(arn: str, version: str) -> None:
    """Remove AWSPENDING from the version that became current, unless AWS has removed it."""
    if PENDING in store.describe(arn).stages.get(version, frozenset()):
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
    pending = store.find(rotation.arn, version=rotation.version, label=PENDING)
    if pending is None:
        raise OperatorError(
            f"Secret {rotation.arn}: version {rotation.version} has no value. Call createSecret first."
        )
    return pending


def _text(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not value:
        raise OperatorError(f"{key} is missing from the event, which is not one of Secrets Manager's.")
    return value
