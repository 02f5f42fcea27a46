"""Writes what a request declares, with nothing lost of what others write at the same time.

A new version is put beside the current one, with a label that says it is unconfirmed; then AWSCURRENT moves,
which AWS refuses if the secret has another current version by now; then the version is confirmed. Whatever
stops the function in between is found out by the next attempt, see `settle.py`.

A record that changes is put as a version of its own, see `record.py`, between the two: it counts once the
new version has been current, even if an edit by hand takes that version's labels off before it is
confirmed. A secret's first value holds its record itself until the record version is there: a record version
that came first could become the current one. Where AWS has shown that it would not, the record is put first.
No record, no change: values are adopted, and a warning says so.

A first version may not become current unasked. Then it is given AWSCURRENT without naming a holder, which AWS
refuses if there is one; a version labelled `aws-secrets-initial` in a secret without a current one is
completed in the same way.
"""

import logging
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import document, plan, record, settle, store
from .document import Document, Member
from .errors import ConflictError, LabelLimitError, OperatorError, RefusedError, UnavailableError
from .record import CURRENT, INITIAL, PENDING, PREVIOUS, UNFILLED
from .request import Form, Request, shown
from .store import Description

LOG = logging.getLogger(__name__)

PENDING_SECONDS = 20.0
"""How long a request waits for rotations that are under way."""

_NO_VALUE = "{}"
"""The value of a version that holds a record."""

_LONGEST_PAUSE = 2.0
_RANDOM = secrets.SystemRandom()


@dataclass
class _Attempts:
    """One request, over all its attempts.

    Attributes:
        deadline: of time.monotonic().
        made: new values, the same in every attempt.
        patience: seconds that are left for waiting for rotations.
        tried: each key that may have been written, with what was done and the member that was written.
        written: AWSCURRENT has moved to a version of this request.
        again: keys that were written and undone by a rotation.
        warnings: sentences about what earlier requests left.
    """

    request: Request
    deadline: float
    made: plan.Made = field(default_factory=plan.Made)
    patience: float = field(default_factory=lambda: PENDING_SECONDS)
    tried: dict[str, tuple[str, Member | None]] = field(default_factory=dict)
    written: bool = False
    again: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        return self.request.arn

    def outcome(self) -> str:
        """What a refusal can say for certain."""
        keys = shown(self.tried)
        if self.written:
            return f"{keys} had been written, and may have been undone by others."
        return f"Whether {keys} was written is not certain." if self.tried else "Nothing was changed."


def run(request: Request, seconds: float) -> Mapping[str, object]:
    """Write what a request declares.

    Returns:
        {"Added": keys, "Regenerated": keys, "Removed": keys, "VersionId": current version's id, or "" if the
        secret has none, "Warnings": sentences}

    Raises:
        OperatorError: not done, with the reason.
    """
    attempts = _Attempts(request, time.monotonic() + seconds)
    pause = 0.1
    while True:
        try:
            answer = _attempt(attempts)
        except (ConflictError, LabelLimitError, UnavailableError) as error:
            problem: OperatorError = error
        except RefusedError as error:
            raise OperatorError(f"{error} {attempts.outcome()} Then run `pulumi up` again.") from None
        else:
            if answer is not None:
                return answer
            problem = ConflictError(f"Secret {request.arn}: a rotation undid what was written.")
        wait = _RANDOM.uniform(0, pause)
        if time.monotonic() + wait >= attempts.deadline:
            raise _given_up(attempts, problem)
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _given_up(attempts: _Attempts, problem: OperatorError) -> OperatorError:
    advice = "The next `pulumi up` tries again, and completes what was begun."
    if isinstance(problem, LabelLimitError):
        advice = (
            "All versions of a secret have 20 labels together. Remove labels of your own that nobody needs; "
            f"those of writers that were stopped go away {settle.DEAD_AFTER // 60} minutes later. Then run "
            "`pulumi up`."
        )
    return OperatorError(f"{problem} No attempt succeeded in time. {attempts.outcome()} {advice}")


def _attempt(  # noqa: C901, PLR0912  the order of the calls is the argument, and stays in sight
    attempts: _Attempts,
) -> Mapping[str, object] | None:
    """One attempt from the start; None if it must be repeated."""
    request, arn = attempts.request, attempts.arn
    secret = _at_rest(attempts)
    base_id = secret.version_with(CURRENT)
    if base_id is None and (initial := secret.version_with(INITIAL)):
        _complete_first(arn, secret, initial)
        secret, base_id = store.describe(arn), initial
        if CURRENT not in secret.stages.get(initial, frozenset()):
            raise ConflictError(f"Secret {arn} was changed by somebody else meanwhile.")
    base = _read(arn, base_id, request.form) if base_id else document.EMPTY
    if base is None:
        raise ConflictError(f"Secret {arn} was changed by somebody else meanwhile.")
    settlement = settle.judge(secret, base, lambda version: _any(arn, version, request.form), time.time())
    todo = plan.plan(request, base, settlement.record(secret), attempts.made, attempts.again)
    attempts.warnings += settlement.warnings(arn)
    version = str(uuid.uuid4())
    recorded_at = str(uuid.uuid4())
    record_labels = record.labels(recorded_at, todo.record, arn)
    secret = settle.tidy(arn, secret, settlement)
    holder = _record_version(secret, settlement, todo)
    if not todo.kinds:
        if base_id:
            if holder is None:
                store.put(arn, recorded_at, _NO_VALUE, record_labels)
            _forget_records(arn, secret, settlement, keep=holder)
            _mark_unfilled(arn, secret, base_id, unfilled=todo.unfilled)
        return _answer(attempts, base_id, base, todo.warnings)
    writing = record.writing_label(version, base_id, time.time())
    labels = [writing, *([UNFILLED] if todo.unfilled else [])]
    if base_id is None:
        labels += [*record.labels(version, todo.record, arn), INITIAL]
    _tried(attempts, todo)
    given = store.put(arn, version, todo.document.content(), labels)
    # a record version that came before a first current one could become it
    link = [record.link_label(recorded_at, version)] if base_id or CURRENT not in given else []
    if link and holder is None:
        store.put(arn, recorded_at, _NO_VALUE, [*record_labels, *link])
    if base_id is not None:
        store.move_current(arn, version, base_id)
    elif CURRENT not in given:
        store.attach(arn, CURRENT, version, None)
    attempts.written, attempts.again = True, frozenset()
    LOG.info("%s: version %s has %s", arn, version, _told(todo.kinds))
    if not link and holder is None:
        store.put(arn, recorded_at, _NO_VALUE, record_labels)
    for label in filter(record.is_record, labels):
        store.remove(arn, label, version)
    store.remove(arn, writing, version)
    if holder is None:
        for label in link:
            store.remove(arn, label, recorded_at)
    _forget_records(arn, secret, settlement, keep=holder)
    return _checked(attempts, version, base, todo)


def _at_rest(attempts: _Attempts) -> Description:
    """The secret's description, while no rotation is under way: it would undo what is written meanwhile."""
    secret = _waited(attempts)
    if pending := _pending(secret):
        raise OperatorError(
            f"Secret {attempts.arn} is being rotated: version {pending} has the label {PENDING}. "
            f"{attempts.outcome()} The next `pulumi up` tries again. If the rotation is stuck, "
            "docs/rotation.md says how to end it."
        )
    return secret


def _waited(attempts: _Attempts) -> Description:
    """The description after the end of a rotation, or at the end of patience."""
    while True:
        secret = store.describe(attempts.arn)
        if secret.deleted:
            raise OperatorError(
                f"Secret {attempts.arn} is scheduled for deletion. {attempts.outcome()} Restore it with "
                "`aws secretsmanager restore-secret`, or take it out of the stack file."
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
    return document.parse(value.content, f"Secret {arn}, version {version},")


def _any(arn: str, version: str, form: Form) -> Document | None:
    """Return a version to compare with; one that is no JSON object has no keys in common with one that is."""
    value = store.find(arn, version)
    if value is None:
        return None
    if form is Form.OBJECT:
        try:
            return document.parse(value.content, f"Secret {arn}, version {version},")
        except OperatorError:
            pass
    return document.as_whole(value.content)


def _complete_first(arn: str, secret: Description, version: str) -> None:
    """Make a first version current that did not become so; its record, if it has one, is kept first."""
    found = record.read(version, secret.stages[version])
    linked = any(
        (record.link(id_, labels) or ("", ""))[1] == version for id_, labels in secret.stages.items()
    )
    if found is not None and not linked:
        holder = str(uuid.uuid4())
        labels = [*record.labels(holder, found, arn), record.link_label(holder, version)]
        if CURRENT in store.put(arn, holder, _NO_VALUE, labels):
            store.move_current(arn, version, holder)
            return
    store.attach(arn, CURRENT, version, None)


def _tried(attempts: _Attempts, todo: plan.Plan) -> None:
    """Note what may be written from now on."""
    for key, kind in todo.kinds.items():
        first, _ = attempts.tried.get(key, (kind, None))
        attempts.tried[key] = (first, todo.document.members.get(key))


def _checked(
    attempts: _Attempts, version: str, base: Document, todo: plan.Plan
) -> Mapping[str, object] | None:
    """The answer; None if a rotation that had copied the document before has undone what was written."""
    secret = _waited(attempts)
    current_id = secret.version_with(CURRENT)
    warnings = todo.warnings
    if pending := _pending(secret):
        warning = (
            f"Secret {attempts.arn} is being rotated since its keys were written: version {pending} has the "
            f"label {PENDING}. A rotation function of your own may undo them; look at them afterwards."
        )
        warnings = (*warnings, warning)
    elif current_id != version and current_id is not None:
        current = _any(attempts.arn, current_id, attempts.request.form)
        attempts.again = frozenset(
            key
            for key in todo.kinds
            if current and current.agrees(key, base) and not base.agrees(key, todo.document)
        )
        if attempts.again:
            LOG.warning("%s: %s undone by a rotation", attempts.arn, shown(attempts.again))
            return None
    return _answer(attempts, current_id, todo.document, warnings)


def _answer(
    attempts: _Attempts, version: str | None, written: Document, warnings: tuple[str, ...]
) -> Mapping[str, object]:
    """What was done: of what may have been done in any attempt, what is in the document."""
    done = {key: kind for key, (kind, member) in attempts.tried.items() if written.members.get(key) == member}
    LOG.info("%s: done, %s", attempts.arn, _told(done))
    keys = {told: [key for key, kind in done.items() if kind == told] for told in plan.KINDS}
    return {**keys, "VersionId": version or "", "Warnings": [*attempts.warnings, *warnings]}


def _record_version(secret: Description, settlement: settle.Settlement, todo: plan.Plan) -> str | None:
    """Return the version that holds the wanted record and cannot lose it; None if one has to be put."""
    hashes = {record.key_hash(key) for key in todo.document}
    return next(
        (
            version
            for version, labels in secret.stages.items()
            if not {CURRENT, PREVIOUS, PENDING} & labels
            and not settlement.is_open(version)
            and _says(version, labels, hashes, todo.record)
        ),
        None,
    )


def _says(version: str, labels: frozenset[str], hashes: set[str], wanted: record.Record) -> bool:
    found = record.read(version, labels)
    return found is not None and {key: n for key, n in found.items() if key in hashes} == wanted


def _mark_unfilled(arn: str, secret: Description, current: str, *, unfilled: bool) -> None:
    """Move the label for keys that wait for a person to the current version, or remove it from there."""
    holder = secret.version_with(UNFILLED)
    if unfilled and holder != current:
        store.attach(arn, UNFILLED, current, holder)
    elif not unfilled and holder == current:
        store.remove(arn, UNFILLED, current)


def _forget_records(
    arn: str, secret: Description, settlement: settle.Settlement, *, keep: str | None
) -> None:
    """Take records off versions that another has taken the place of, unconfirmed ones aside."""
    for version, labels in secret.stages.items():
        if version != keep and not settlement.is_open(version):
            for label in sorted(filter(record.is_record, labels)):
                store.remove(arn, label, version)


def _told(kinds: Mapping[str, str]) -> str:
    told = (f"{kind.lower()}: {key or shown([key])}" for key, kind in kinds.items())
    return ", ".join(told) or "nothing to write"
