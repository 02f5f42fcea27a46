"""Roll back some keys of a secret to the values of an earlier version; all other keys keep the current ones.

A new version is put and made current as in `write.py`: with a label that marks it unconfirmed, and only if
the current version is still the one that the request names. Generations stay as they are recorded, so that
the next update neither regenerates nor restores a key. If the function stops in between, the same command
finds out how far it came: keys that have the earlier values are left as they are.
"""

import logging
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import approvals, document, generation_labels, store, unconfirmed_versions
from .document import LARGEST, Document
from .errors import ConflictError, LabelLimitError, OperatorError, RefusedError, UnavailableError
from .labels import CURRENT, PENDING, UNFILLED
from .protocol import ROLLED_BACK, VERSION_ID, WARNINGS
from .request import Rollback, shown
from .store import Description

LOG = logging.getLogger(__name__)

_NOTHING = "Nothing was changed."
_LONGEST_PAUSE = 2.0
_RANDOM = secrets.SystemRandom()


@dataclass
class _Run:
    """One request over all its attempts.

    Attributes:
        request: the request.
        version: id of the version with the keys rolled back.
        label: the label that marks it unconfirmed; empty until it may have been put.
        keys: the keys that it changes.
        unfilled: whether a key is still to be filled in manually.
    """

    request: Rollback
    version: str = field(default_factory=lambda: str(uuid.uuid4()))
    label: str = ""
    keys: tuple[str, ...] = ()
    unfilled: bool = False

    @property
    def arn(self) -> str:
        return self.request.arn

    def error(self, reason: str, remedy: str) -> OperatorError:
        outcome = f"{shown(self.keys)} may have been rolled back." if self.label else _NOTHING
        return OperatorError(f"Secret {self.arn}: {reason} {outcome} {remedy}")


def run(request: Rollback, seconds: float) -> Mapping[str, object]:
    """Roll back what a request names.

    Args:
        request: the request.
        seconds: how long to retry.

    Returns:
        {"RolledBack": keys, "VersionId": id of the current version, "Warnings": sentences}; no keys if all
        of them had these values already.

    Raises:
        OperatorError: the request was rejected, or no attempt succeeded in time.
    """
    asked = _Run(request)
    deadline = time.monotonic() + seconds
    pause = 0.1
    while True:
        try:
            return _attempt(asked)
        except (ConflictError, LabelLimitError, UnavailableError) as error:
            problem: OperatorError = error
        except RefusedError as error:
            raise asked.error(str(error), "Correct the cause, then roll back again.") from None
        wait = _RANDOM.uniform(0, pause)
        if time.monotonic() + wait >= deadline:
            raise asked.error(f"{problem} No attempt succeeded in time.", "Roll back again.")
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _attempt(asked: _Run) -> Mapping[str, object]:
    request, arn = asked.request, asked.arn
    secret = store.describe(arn)
    if secret.version_with(CURRENT) == asked.version:  # the answer to the last step was lost
        return _finish(asked, secret)
    _check(asked, secret)
    base, source = (_read(asked, version) for version in (request.current, request.source))
    assessment = unconfirmed_versions.assess(
        secret, base, lambda version: _read_any(arn, version), time.time()
    )
    _, status = assessment.statuses.get(request.source, ("", unconfirmed_versions.Status.APPLIED))
    if status is not unconfirmed_versions.Status.APPLIED:
        raise asked.error(
            f"version {request.source!r} was left by an interrupted update, and its values may never have "
            "been the secret's.",
            "Choose another version.",
        )
    _check_keys(asked, base, source)
    secret = unconfirmed_versions.clean_up(arn, secret, assessment)
    asked.keys = tuple(key for key in request.keys if not base.agrees(key, source))
    if not asked.keys:
        _remove_approvals(arn, secret)
        return _answer((), request.current)
    new = base
    for key in asked.keys:
        new = new.with_member(key, source)
    if new.size() > LARGEST:
        raise asked.error(f"the value would have {new.size()} bytes; the limit is {LARGEST}.", "Shorten it.")
    asked.label = asked.label or generation_labels.writing_label(asked.version, request.current, time.time())
    # which keys are filled in manually is not known here, but that the current version has such a key
    asked.unfilled = UNFILLED in secret.stages[request.current] and any(map(new.is_unfilled, new))
    store.put(arn, asked.version, new.content(), [asked.label])
    store.move_current(arn, asked.version, request.current)
    LOG.info("secret %s: version %s is current: %s rolled back", arn, asked.version, shown(asked.keys))
    return _finish(asked, store.describe(arn))


def _check(asked: _Run, secret: Description) -> None:
    """Raise OperatorError if the secret cannot be rolled back now."""
    request = asked.request
    if secret.deleted:
        raise asked.error("it is scheduled for deletion.", "Restore it first.")
    pending = secret.version_with(PENDING)
    if pending and CURRENT not in secret.stages[pending]:
        raise asked.error(
            f"a rotation is in progress: a version has the label {PENDING}.",
            "Wait until it has finished; if it keeps failing, see docs/rotation.md.",
        )
    if secret.version_with(CURRENT) != request.current:
        if asked.label:
            store.remove(asked.arn, asked.label, asked.version)
        raise asked.error(
            "another version has become current in the meantime.", "Look, then roll back again."
        )
    labels = secret.stages.get(request.source, frozenset())
    if not approvals.is_approved(labels, request.source, request.current, request.keys, time.time()):
        raise asked.error(
            f"nobody with secretsmanager:UpdateSecretVersionStage has approved a rollback of "
            f"{shown(request.keys)} to version {request.source!r}.",
            "Use python -m operations rollback.",
        )


def _check_keys(asked: _Run, base: Document, source: Document) -> None:
    """Raise OperatorError if a key has no value to roll back, or none to roll back to."""
    keys = asked.request.keys
    where = f"version {asked.request.source!r}"
    if missing := [key for key in keys if key not in base]:
        raise asked.error(f"the current version has no {shown(missing)}.", "Only keys in it are rolled back.")
    if missing := [key for key in keys if key not in source]:
        raise asked.error(f"{where} has no {shown(missing)}.", "Choose another version.")
    if empty := [key for key in keys if source.is_unfilled(key)]:
        raise asked.error(f"{shown(empty)} was not filled in yet in {where}.", "Choose another version.")


def _finish(asked: _Run, secret: Description) -> Mapping[str, object]:
    """Confirm the version, remove the approval, and say what others have done meanwhile."""
    current, pending = secret.version_with(CURRENT), secret.version_with(PENDING)
    if asked.unfilled and UNFILLED in secret.stages.get(asked.request.current, frozenset()):
        store.attach(asked.arn, UNFILLED, asked.version, asked.request.current)
    store.remove(asked.arn, asked.label, asked.version)
    _remove_approvals(asked.arn, secret)
    warnings = []
    if current != asked.version:
        warnings.append(f"Secret {asked.arn}: yet another version has become current since.")
    elif pending and pending != current:
        warnings.append(
            f"Secret {asked.arn}: a rotation started meanwhile. A rotation function of your own may revert "
            f"{shown(asked.keys)}; check them afterwards."
        )
    return _answer(asked.keys, asked.version, *warnings)


def _remove_approvals(arn: str, secret: Description) -> None:
    for version, labels in secret.stages.items():
        for label in sorted(filter(approvals.is_approval, labels)):
            store.remove(arn, label, version)


def _answer(keys: tuple[str, ...], version: str, *warnings: str) -> Mapping[str, object]:
    return {ROLLED_BACK: list(keys), VERSION_ID: version, WARNINGS: list(warnings)}


def _read(asked: _Run, version: str) -> Document:
    value = store.find(asked.arn, version)
    if value is None:
        raise asked.error(f"version {version!r} does not exist.", "Choose another version.")
    return document.parse(value.content, f"Secret {asked.arn}, version {version!r}")


def _read_any(arn: str, version: str) -> Document | None:
    """Return a version to compare with; one that is not a JSON object shares no key with the others."""
    value = store.find(arn, version)
    if value is None:
        return None
    try:
        return document.parse(value.content, f"Secret {arn}, version {version!r}")
    except OperatorError:
        return document.as_whole(value.content)
