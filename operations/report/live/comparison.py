"""Find settings that were edited in AWS, and what an update does with each edit.

The engine compares the stack file with state. An update reverts an edit in AWS if it writes the same setting,
and keeps it otherwise. The provider writes some settings together (hashicorp/aws,
internal/service/secretsmanager): UpdateSecret takes description and key, PutResourcePolicy and RotateSecret
replace everything they set, and tags and replicas are written by their difference from state.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from operations.report.live import settings
from operations.report.live.model import LiveSecret, Snapshot
from operations.report.live.subjects import Subject, subjects
from operations.report.model import Change, Danger, Day, Finding, Kind, Name, Text, counted, joined, named
from operations.report.steps import Plan, Step

_KEY = "aws:kms/key:Key"
# The states in which a key decrypts.
_USABLE = {"Enabled", "Updating"}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of a comparison with AWS.

    Attributes:
        findings: dangers and changes.
        notes: what was compared, and what could not be compared.
        complete: whether AWS answered every query.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[Text, ...] = ()
    complete: bool = False


def compare(plan: Plan, findings: Sequence[Finding], snapshot: Snapshot) -> Comparison:
    """Return the differences between AWS and state, for all secrets and keys in the report.

    Args:
        plan: the steps of the preview.
        findings: the report's findings without AWS, which select the secrets to compare.
        snapshot: AWS's answers. They may be incomplete, and are no more trustworthy than the event log.
    """
    if snapshot.unavailable:
        return Comparison(notes=(("The current settings in AWS are unknown: ", Name(snapshot.unavailable)),))
    queried = [(one, snapshot.secrets.get(one.identifier)) for one in subjects(plan, findings)]
    answered = [(one, live) for one, live in queried if live is not None and live.presence != "denied"]
    # AWS may deny a role that is allowed specific ARNs an answer about a name that does not exist
    unknown = [
        one for one, live in queried if live is None or (live.presence == "denied" and not one.created)
    ]
    differences = [finding for one, live in answered for finding in _secret(one, live, snapshot, plan)]
    differences += [finding for step in plan.steps for finding in _key(step, snapshot, plan)]
    return Comparison(
        findings=tuple(differences),
        notes=tuple(_notes(len(unknown), len(answered), snapshot)),
        complete=not unknown and not snapshot.denied,
    )


def _notes(unknown: int, answered: int, snapshot: Snapshot) -> Iterator[Text]:
    if snapshot.asked_at is not None and answered:
        yield (f"Compared {counted(answered, 'secret')} with AWS at {_moment(snapshot.asked_at)}",)
    if unknown:
        yield (f"The current settings in AWS are unknown for {counted(unknown, 'secret')}",)
    if snapshot.denied:
        yield ("The credentials are not authorized to call ", *named(snapshot.denied))


def _secret(subject: Subject, live: LiveSecret, snapshot: Snapshot, plan: Plan) -> Iterator[Finding]:
    if subject.created:
        yield from _taken_name(subject, live)
    elif live.presence == "present":
        yield from _differences(subject, live, snapshot, plan)
        yield from _unusable_keys(subject, live, snapshot)
    elif subject.secret is not None and subject.secret.op == "delete":
        yield Change(component=subject.component, text=("It was already deleted in AWS, outside of Pulumi",))
    else:
        yield _missing(subject, live)


def _taken_name(subject: Subject, live: LiveSecret) -> Iterator[Finding]:
    name = Name(subject.identifier)
    if live.presence == "present":
        text: Text = (
            "A secret named ",
            name,
            " already exists in AWS, so the update will fail. Import it, or choose another name",
        )
    elif live.presence == "deletion-scheduled":
        text = (
            *("A secret named ", name, " is scheduled for deletion in AWS", *_on(live.deletion_after)),
            ", so the update will fail. Restore and import it, or wait",
        )
    else:
        return
    yield Danger(kind=Kind.BLOCKED_IN_AWS, component=subject.component, text=text)


def _missing(subject: Subject, live: LiveSecret) -> Danger:
    if live.presence == "missing":
        text: Text = ("The secret no longer exists in AWS, so the update will fail",)
    else:
        text = (
            "The secret is scheduled for deletion in AWS",
            *_on(live.deletion_after),
            ", so the update will fail. Restore it first",
        )
    return Danger(kind=Kind.BLOCKED_IN_AWS, component=subject.component, text=text)


def _differences(subject: Subject, live: LiveSecret, snapshot: Snapshot, plan: Plan) -> Iterator[Finding]:
    deletes = subject.secret is not None and subject.secret.op in {"delete", "replace"}
    if deletes:
        read: Text = (
            ("was last read on ", Day(live.last_read)) if live.last_read else ("has never been read",)
        )
        yield Change(component=subject.component, text=("According to AWS, its value ", *read))
    for edit in settings.edits(subject, live, snapshot, plan):
        yield _edit(edit, subject, deletes=deletes)


def _edit(edit: settings.Edit, subject: Subject, *, deletes: bool) -> Finding:
    sentence: Text = (*edit.what, " in AWS, outside of Pulumi", *((": ", *edit.now) if edit.now else ()))
    if deletes:
        return Change(component=subject.component, text=(*sentence, ". It is deleted with the secret"))
    if edit.fate == "reverted":
        more = (": ", *joined(list(edit.reverted), "; ")) if edit.reverted else ()
        return Danger(
            kind=Kind.REVERTS_EDIT,
            component=subject.component,
            text=(*sentence, ". The update reverts this", *more),
        )
    fate = (
        ". The stack file now matches the edit" if edit.fate == "adopted" else ". The update keeps the edit"
    )
    return Change(component=subject.component, text=(*sentence, fate))


def _unusable_keys(subject: Subject, live: LiveSecret, snapshot: Snapshot) -> Iterator[Finding]:
    step = subject.secret
    if step is None or step.op == "delete":
        return
    for name in dict.fromkeys([live.kms_key, str(step.new.inputs.get("kmsKeyId") or "")]):
        key = snapshot.keys.get(name)
        if key is not None and key.state not in _USABLE:
            text = ("The secret's KMS key is not usable. Its state is ", Name(key.state))
            yield Danger(kind=Kind.BLOCKED_IN_AWS, component=subject.component, text=text)


def _key(step: Step, snapshot: Snapshot, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.kms.Key that the update changes."""
    key = snapshot.keys.get(str(step.old.outputs.get("arn") or ""))
    if step.type != _KEY or step.op == "same" or key is None or key.state in _USABLE:
        return
    text = ("The key is not usable. Its state is ", Name(key.state))
    yield Danger(kind=Kind.BLOCKED_IN_AWS, component=plan.component(step), text=text)


def keys_of(plan: Plan) -> Iterable[str]:
    """Return the ARNs of the KMS keys that the update changes."""
    arns = (
        str(step.old.outputs.get("arn") or "")
        for step in plan.steps
        if step.type == _KEY and step.op != "same"
    )
    return [arn for arn in arns if arn]


def _on(day: date | None) -> Text:
    return (" on ", Day(day)) if day else ()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
