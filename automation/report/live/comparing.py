"""Compare three sides: Pulumi's state, the stack file and what AWS has now.

The engine compares the stack file with state. Where somebody has edited AWS meanwhile, an update takes back
what it writes, and leaves the rest. What the provider writes together (hashicorp/aws,
internal/service/secretsmanager): UpdateSecret takes description and key, PutResourcePolicy and RotateSecret
take everything they set, and tags and replicas are written by their difference from state.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from automation.report.live import settings
from automation.report.live.model import LiveSecret, Snapshot
from automation.report.live.subjects import Subject, subjects
from automation.report.model import Change, Danger, Finding, Kind, Name, Text, counted, joined, named
from automation.report.steps import Plan, Step

_KEY = "aws:kms/key:Key"
# In the others an external key store or an import is at work, and the key decrypts.
_USABLE = {"Enabled", "Updating"}


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What the comparison adds to a report.

    Attributes:
        findings: dangers and changes.
        notes: what was compared, and what could not be.
        complete: whether AWS answered everything.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[Text, ...] = ()
    complete: bool = False


def compare(plan: Plan, findings: Sequence[Finding], snapshot: Snapshot) -> Sides:
    """Return what AWS has otherwise than Pulumi's state, for every secret and key that the report is about.

    Args:
        plan: the steps of the preview.
        findings: what they mean without AWS; they say which secrets the report is about.
        snapshot: AWS's answers. It may be incomplete, and it is a claim like the event log.
    """
    if snapshot.unavailable:
        return Sides(notes=(("What AWS has now is not known: ", Name(snapshot.unavailable)),))
    about = subjects(plan, findings)
    asked = [(one, snapshot.secrets.get(one.identifier)) for one in about]
    answered = [(one, live) for one, live in asked if live is not None and live.presence != "denied"]
    # who may ask about some ARNs only may be denied an answer about a name that no secret has
    unknown = [one for one, live in asked if live is None or (live.presence == "denied" and not one.created)]
    found = [finding for one, live in answered for finding in _secret(one, live, snapshot, plan)]
    found += [finding for step in plan.steps for finding in _key(step, snapshot, plan)]
    return Sides(
        findings=tuple(found),
        notes=tuple(_notes(len(unknown), len(answered), snapshot)),
        complete=not unknown and not snapshot.denied,
    )


def _notes(unknown: int, answered: int, snapshot: Snapshot) -> Iterator[Text]:
    if snapshot.asked_at is not None and answered:
        yield (f"Compared with what AWS had at {_moment(snapshot.asked_at)}: {counted(answered, 'secret')}",)
    if unknown:
        yield (f"What AWS has now is not known of {counted(unknown, 'secret')}",)
    if snapshot.denied:
        yield ("The credentials may not call ", *named(snapshot.denied))


def _secret(subject: Subject, live: LiveSecret, snapshot: Snapshot, plan: Plan) -> Iterator[Finding]:
    if subject.created:
        yield from _taken_name(subject, live)
    elif live.presence == "present":
        yield from _differences(subject, live, snapshot, plan)
        yield from _unusable_keys(subject, live, snapshot)
    elif subject.secret is not None and subject.secret.op == "delete":
        yield Change(component=subject.component, text=("AWS has deleted it already, outside of Pulumi",))
    else:
        yield _gone(subject, live)


def _taken_name(subject: Subject, live: LiveSecret) -> Iterator[Finding]:
    name = Name(subject.identifier)
    if live.presence == "present":
        text: Text = (
            "AWS has a secret named ",
            name,
            " already: the update fails at it. Import or rename it",
        )
    elif live.presence == "deletion-scheduled":
        text = (
            *("AWS keeps a deleted secret named ", name, _until(live.deletion_after)),
            ": the update fails at it. Restore and import it, or wait",
        )
    else:
        return
    yield Danger(kind=Kind.BLOCKED_IN_AWS, component=subject.component, text=text)


def _gone(subject: Subject, live: LiveSecret) -> Danger:
    if live.presence == "missing":
        text: Text = ("The secret is gone from AWS, outside of Pulumi: the update fails at it",)
    else:
        text = (
            "The secret was deleted in AWS, outside of Pulumi, and can be restored",
            _until(live.deletion_after),
            ": the update fails at it until then",
        )
    return Danger(kind=Kind.BLOCKED_IN_AWS, component=subject.component, text=text)


def _differences(subject: Subject, live: LiveSecret, snapshot: Snapshot, plan: Plan) -> Iterator[Finding]:
    deletes = subject.secret is not None and subject.secret.op in {"delete", "replace"}
    if deletes:
        read = f"was last read on {live.last_read:%Y-%m-%d}" if live.last_read else "has never been read"
        yield Change(component=subject.component, text=(f"Its value {read}, as far as AWS knows",))
    for edit in settings.edits(subject, live, snapshot, plan):
        yield _edit(edit, subject, deletes=deletes)


def _edit(edit: settings.Edit, subject: Subject, *, deletes: bool) -> Finding:
    about: Text = (*edit.what, " in AWS, outside of Pulumi", *((": ", *edit.now) if edit.now else ()))
    if deletes:
        return Change(component=subject.component, text=(*about, ". It goes with the secret"))
    if edit.fate == "reverted":
        more = (": ", *joined(list(edit.reverted), "; ")) if edit.reverted else ()
        return Danger(
            kind=Kind.REVERTS_EDIT,
            component=subject.component,
            text=(*about, ". The update takes that back", *more),
        )
    fate = (
        ". The stack file now has the same" if edit.fate == "adopted" else ". The update leaves that as it is"
    )
    return Change(component=subject.component, text=(*about, fate))


def _unusable_keys(subject: Subject, live: LiveSecret, snapshot: Snapshot) -> Iterator[Finding]:
    step = subject.secret
    if step is None or step.op == "delete":
        return
    for name in dict.fromkeys([live.kms_key, str(step.new.inputs.get("kmsKeyId") or "")]):
        key = snapshot.keys.get(name)
        if key is not None and key.state not in _USABLE:
            text = ("The KMS key of the secret is not usable; its state in AWS is ", Name(key.state))
            yield Danger(kind=Kind.BLOCKED_IN_AWS, component=subject.component, text=text)


def _key(step: Step, snapshot: Snapshot, plan: Plan) -> Iterator[Finding]:
    """An aws.kms.Key that the update changes."""
    key = snapshot.keys.get(str(step.old.outputs.get("arn") or ""))
    if step.type != _KEY or step.op == "same" or key is None or key.state in _USABLE:
        return
    text = ("The key is not usable; its state in AWS is ", Name(key.state))
    yield Danger(kind=Kind.BLOCKED_IN_AWS, component=plan.component(step), text=text)


def keys_of(plan: Plan) -> Iterable[str]:
    """Return the ARNs of the KMS keys that the update changes."""
    arns = (
        str(step.old.outputs.get("arn") or "")
        for step in plan.steps
        if step.type == _KEY and step.op != "same"
    )
    return [arn for arn in arns if arn]


def _until(day: date | None) -> str:
    return f" until {day:%Y-%m-%d}" if day else ""


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
