"""Write what a request declares, without losing what others write at the same time.

A new version is put with a label that marks it unconfirmed. Then AWSCURRENT moves to it, which AWS rejects if
a different version has become current in the meantime. Then the version is confirmed. If the function stops
in between, the next attempt finds out how far it came, see `unconfirmed_versions.py`.

A changed record is put as a version of its own between the first two steps, see `generation_labels.py`. It is
valid once the new version has been current, even if a manual edit removes that version's labels before it is
confirmed. A secret's initial version has its record itself until the record version exists, because a record
version put first could become the current one. If AWS has shown that it would not, the record is put first.
Without a record nothing is regenerated: values are kept, and a warning says so.

A first version does not always become current by itself. Then AWSCURRENT is moved to it without naming a
holder, which AWS rejects if there is one. A version with the label `aws-secrets-initial` in a secret without
a current version is completed in the same way.
"""

import logging
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import document, generation_labels, plan, store, unconfirmed_versions
from .document import Document, Member
from .errors import ConflictError, LabelLimitError, OperatorError, RefusedError, UnavailableError
from .labels import CURRENT, INITIAL, PENDING, PREVIOUS, UNFILLED
from .protocol import VERSION_ID, WARNINGS
from .request import Form, Request, shown
from .store import Description

LOG = logging.getLogger(__name__)

PENDING_SECONDS = 20.0
"""How long a request waits for rotations in progress."""

_NO_VALUE = "{}"
"""The value of a record version."""

_LONGEST_PAUSE = 2.0
_RANDOM = secrets.SystemRandom()


@dataclass
class _Attempts:
    """The state of one request over all its attempts.

    Attributes:
        request: the request.
        deadline: when to give up, in time.monotonic() seconds.
        generated: random values, the same in every attempt.
        patience: seconds left to wait for rotations.
        tried: for each key that may have been written, the kind of change and the written member.
        written: whether AWSCURRENT has moved to a version of this request.
        again: keys that were written and then reverted by a rotation.
        warnings: sentences about versions that earlier requests left.
    """

    request: Request
    deadline: float
    generated: plan.GeneratedValues = field(default_factory=plan.GeneratedValues)
    patience: float = field(default_factory=lambda: PENDING_SECONDS)
    tried: dict[str, tuple[str, Member | None]] = field(default_factory=dict)
    written: bool = False
    again: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        return self.request.arn

    def outcome(self) -> str:
        """Return a sentence for an error: what this request has changed."""
        keys = shown(self.tried)
        if self.written:
            return f"{keys} had been written, but others may have reverted it."
        return f"{keys} may have been written." if self.tried else "Nothing was changed."


def run(request: Request, seconds: float) -> Mapping[str, object]:
    """Write what a request declares.

    Args:
        request: the request.
        seconds: how long to retry.

    Returns:
        {"Added": keys, "Regenerated": keys, "Removed": keys, "VersionId": id of the current version, "" if
        there is none, "Warnings": sentences}

    Raises:
        OperatorError: the request was rejected, or no attempt succeeded in time.
    """
    attempts = _Attempts(request, time.monotonic() + seconds)
    pause = 0.1
    while True:
        try:
            answer = _attempt(attempts)
        except (ConflictError, LabelLimitError, UnavailableError) as error:
            problem: OperatorError = error
        except RefusedError as error:
            raise OperatorError(
                f"{error} {attempts.outcome()} Correct the cause, then run `pulumi up` again."
            ) from None
        else:
            if answer is not None:
                return answer
            problem = ConflictError(f"Secret {request.arn}: a rotation reverted what was written.")
        wait = _RANDOM.uniform(0, pause)
        if time.monotonic() + wait >= attempts.deadline:
            raise _timeout_error(attempts, problem)
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _timeout_error(attempts: _Attempts, problem: OperatorError) -> OperatorError:
    advice = "Run `pulumi up` again: it completes what was begun."
    if isinstance(problem, LabelLimitError):
        advice = (
            "The versions of a secret have at most 20 labels together. Remove labels of your own that you do "
            "not need; labels of interrupted writers are removed after "
            f"{unconfirmed_versions.DEAD_AFTER // 60} minutes. Then run `pulumi up` again."
        )
    return OperatorError(f"{problem} No attempt succeeded in time. {attempts.outcome()} {advice}")


def _attempt(  # noqa: C901, PLR0912  the order of the calls matters, so they are all here
    attempts: _Attempts,
) -> Mapping[str, object] | None:
    """Try once; return the answer, None if the attempt must be repeated."""
    request, arn = attempts.request, attempts.arn
    secret = _describe_without_rotation(attempts)
    base_id = secret.version_with(CURRENT)
    if base_id is None and (initial := secret.version_with(INITIAL)):
        _complete_first(arn, secret, initial)
        secret, base_id = store.describe(arn), initial
        if CURRENT not in secret.stages.get(initial, frozenset()):
            raise _conflict(arn)
    base = _read(arn, base_id, request.form) if base_id else document.EMPTY
    if base is None:
        raise _conflict(arn)
    assessment = unconfirmed_versions.assess(
        secret, base, lambda version: _read_any(arn, version, request.form), time.time()
    )
    todo = plan.plan(request, base, assessment.record(secret), attempts.generated, attempts.again)
    attempts.warnings += assessment.warnings(arn)
    version = str(uuid.uuid4())
    recorded_at = str(uuid.uuid4())
    record_labels = generation_labels.labels(recorded_at, todo.record, arn)
    secret = unconfirmed_versions.clean_up(arn, secret, assessment)
    holder = _record_version(secret, assessment, todo)
    if not todo.kinds:
        if base_id:
            if holder is None:
                store.put(arn, recorded_at, _NO_VALUE, record_labels)
            _remove_records(arn, secret, assessment, keep=holder)
            _mark_unfilled(arn, secret, base_id, unfilled=todo.unfilled)
        return _answer(attempts, base_id, base, todo.warnings)
    writing = generation_labels.writing_label(version, base_id, time.time())
    labels = [writing, *([UNFILLED] if todo.unfilled else [])]
    if base_id is None:
        labels += [*generation_labels.labels(version, todo.record, arn), INITIAL]
    _note_changes(attempts, todo)
    put_labels = store.put(arn, version, todo.document.content(), labels)
    # a record version that is put before any version is current could itself become current
    link = (
        [generation_labels.link_label(recorded_at, version)] if base_id or CURRENT not in put_labels else []
    )
    if link and holder is None:
        store.put(arn, recorded_at, _NO_VALUE, [*record_labels, *link])
    if base_id is not None:
        store.move_current(arn, version, base_id)
    elif CURRENT not in put_labels:
        store.attach(arn, CURRENT, version, None)
    attempts.written, attempts.again = True, frozenset()
    LOG.info("secret %s: version %s is current: %s", arn, version, _summary(todo.kinds))
    if not link and holder is None:
        store.put(arn, recorded_at, _NO_VALUE, record_labels)
    for label in filter(generation_labels.is_record, labels):
        store.remove(arn, label, version)
    store.remove(arn, writing, version)
    if holder is None:
        for label in link:
            store.remove(arn, label, recorded_at)
    _remove_records(arn, secret, assessment, keep=holder)
    return _checked(attempts, version, base, todo)


def _describe_without_rotation(attempts: _Attempts) -> Description:
    """Describe the secret while no rotation is in progress, which would revert what is written now."""
    secret = _describe_after_rotation(attempts)
    if pending := _pending(secret):
        raise OperatorError(
            f"Secret {attempts.arn} is being rotated: version {pending} has the label {PENDING}. "
            f"{attempts.outcome()} Run `pulumi up` again later. If the rotation is stuck, see "
            "docs/rotation.md for how to end it."
        )
    return secret


def _describe_after_rotation(attempts: _Attempts) -> Description:
    """Describe the secret after a rotation has ended, or when patience runs out."""
    while True:
        secret = store.describe(attempts.arn)
        if secret.deleted:
            raise OperatorError(
                f"Secret {attempts.arn} is scheduled for deletion. {attempts.outcome()} Restore it with "
                "`aws secretsmanager restore-secret`, or remove it from the stack file."
            )
        pause = _RANDOM.uniform(0.5, 1)
        if _pending(secret) is None or attempts.patience <= 0 or time.monotonic() + pause > attempts.deadline:
            return secret
        time.sleep(pause)
        attempts.patience -= pause


def _pending(secret: Description) -> str | None:
    version = secret.version_with(PENDING)
    return version if version and CURRENT not in secret.stages[version] else None


def _read(arn: str, version: str, form: Form) -> Document | None:
    value = store.find(arn, version)
    if value is None:
        return None
    if form is not Form.OBJECT:
        return document.as_whole(value.content)
    return document.parse(value.content, f"Secret {arn}, version {version}")


def _read_any(arn: str, version: str, form: Form) -> Document | None:
    """Return a version to compare with. If it is not a JSON object, it shares no key with one that is."""
    value = store.find(arn, version)
    if value is None:
        return None
    if form is Form.OBJECT:
        try:
            return document.parse(value.content, f"Secret {arn}, version {version}")
        except OperatorError:
            pass
    return document.as_whole(value.content)


def _complete_first(arn: str, secret: Description, version: str) -> None:
    """Make a first version current that is not yet; save its record, if it has one, before that."""
    record = generation_labels.read(version, secret.stages[version])
    linked = any(
        (generation_labels.link(id_, labels) or ("", ""))[1] == version
        for id_, labels in secret.stages.items()
    )
    if record is not None and not linked:
        holder = str(uuid.uuid4())
        labels = [
            *generation_labels.labels(holder, record, arn),
            generation_labels.link_label(holder, version),
        ]
        if CURRENT in store.put(arn, holder, _NO_VALUE, labels):
            store.move_current(arn, version, holder)
            return
    store.attach(arn, CURRENT, version, None)


def _note_changes(attempts: _Attempts, todo: plan.Plan) -> None:
    """Note the keys that may be written from now on."""
    for key, kind in todo.kinds.items():
        first, _ = attempts.tried.get(key, (kind, None))
        attempts.tried[key] = (first, todo.document.members.get(key))


def _checked(
    attempts: _Attempts, version: str, base: Document, todo: plan.Plan
) -> Mapping[str, object] | None:
    """Return the answer; None if a rotation that had copied the previous value reverted the keys."""
    secret = _describe_after_rotation(attempts)
    current_id = secret.version_with(CURRENT)
    warnings = todo.warnings
    if pending := _pending(secret):
        warning = (
            f"Secret {attempts.arn}: a rotation started while its keys were written: version {pending} has "
            f"the label {PENDING}. A rotation function of your own may revert the keys; check them "
            "afterwards."
        )
        warnings = (*warnings, warning)
    elif current_id != version and current_id is not None:
        current = _read_any(attempts.arn, current_id, attempts.request.form)
        attempts.again = frozenset(
            key
            for key in todo.kinds
            if current and current.agrees(key, base) and not base.agrees(key, todo.document)
        )
        if attempts.again:
            LOG.warning("secret %s: a rotation reverted %s", attempts.arn, shown(attempts.again))
            return None
    return _answer(attempts, current_id, todo.document, warnings)


def _answer(
    attempts: _Attempts, version: str | None, written: Document, warnings: tuple[str, ...]
) -> Mapping[str, object]:
    """Return the answer: the changes of all attempts that are in the document."""
    changes = {
        key: kind for key, (kind, member) in attempts.tried.items() if written.members.get(key) == member
    }
    LOG.info("secret %s: succeeded: %s", attempts.arn, _summary(changes))
    keys = {kind: [key for key, change in changes.items() if change == kind] for kind in plan.KINDS}
    return {**keys, VERSION_ID: version or "", WARNINGS: [*attempts.warnings, *warnings]}


def _record_version(
    secret: Description, assessment: unconfirmed_versions.Assessment, todo: plan.Plan
) -> str | None:
    """Return the version that has the planned record and cannot lose it; None if one has to be put."""
    hashes = {generation_labels.key_hash(key) for key in todo.document}
    return next(
        (
            version
            for version, labels in secret.stages.items()
            if not {CURRENT, PREVIOUS, PENDING} & labels
            and not assessment.is_open(version)
            and _has_record(version, labels, hashes, todo.record)
        ),
        None,
    )


def _has_record(
    version: str, labels: frozenset[str], hashes: set[str], expected: generation_labels.Record
) -> bool:
    record = generation_labels.read(version, labels)
    return record is not None and {key: n for key, n in record.items() if key in hashes} == expected


def _mark_unfilled(arn: str, secret: Description, current: str, *, unfilled: bool) -> None:
    """Move the label for keys that are still to be filled in to the current version, or remove it there."""
    holder = secret.version_with(UNFILLED)
    if unfilled and holder != current:
        store.attach(arn, UNFILLED, current, holder)
    elif not unfilled and holder == current:
        store.remove(arn, UNFILLED, current)


def _remove_records(
    arn: str, secret: Description, assessment: unconfirmed_versions.Assessment, *, keep: str | None
) -> None:
    """Remove outdated records from all versions except `keep` and those that may still become current."""
    for version, labels in secret.stages.items():
        if version != keep and not assessment.is_open(version):
            for label in sorted(filter(generation_labels.is_record, labels)):
                store.remove(arn, label, version)


def _summary(kinds: Mapping[str, str]) -> str:
    changes = (f"{shown([key])} {kind.lower()}" for key, kind in kinds.items())
    return ", ".join(changes) or "no changes"


def _conflict(arn: str) -> ConflictError:
    return ConflictError(f"Secret {arn}: somebody else changed the secret at the same time.")
