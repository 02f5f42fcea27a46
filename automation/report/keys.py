"""What happens to the KMS key that encrypts secrets."""

from collections.abc import Iterator

from automation.report.access import Subject, compared, judged
from automation.report.model import Change, Danger, Finding, Kind, Text, counted, named
from automation.report.steps import UNKNOWN, Plan, Step, number

_POLICY = Subject(it=("The key's policy",), allows_more=("The key's policy lets more in",))
_DEFAULT_WINDOW = 30


def key(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.kms.Key."""
    owner = plan.component(step)
    if step.op == "create":
        if not plan.begins(step):
            yield Change(component=owner, text=("A key is created",))
    elif step.op in {"delete", "replace"}:
        text = _gone(step)
        yield Danger(kind=Kind.DELETES_KEY, component=owner, text=text)
    else:
        for name in step.changed_inputs():
            yield from _property(step, name, plan)


def _gone(step: Step) -> Text:
    again = ", and another is made" if step.op == "replace" else ""
    if step.old.retained:
        return (f"The key leaves the stack and stays in AWS{again}",)
    return (f"The key is deleted, and with it all that it encrypts{again}",)


def _property(step: Step, name: str, plan: Plan) -> Iterator[Finding]:
    owner = plan.component(step)
    old, new = step.old.inputs.get(name), step.new.inputs.get(name)
    match name:
        case "policy":
            if old != new or new == UNKNOWN:
                yield from judged(compared(old, new), _POLICY, step, plan)
        case "deletionWindowInDays":
            before, after = (number(value) or _DEFAULT_WINDOW for value in (old, new))
            how = f"from {counted(before, 'day')} to {counted(after, 'day')}"
            if after < before:
                text = (f"A deleted key can be restored for less time: {how}",)
                yield Danger(kind=Kind.SHORTENS_RECOVERY, component=owner, text=text)
            else:
                yield Change(component=owner, text=(f"The key's deletion window {how}",))
        case "enableKeyRotation" if old and not new:
            text = ("The key's yearly rotation ends",)
            yield Danger(kind=Kind.REMOVES_ROTATION, component=owner, text=text)
        case "isEnabled" if new is False:
            text = ("The key is disabled: what it encrypts can no longer be read",)
            yield Danger(kind=Kind.DELETES_KEY, component=owner, text=text)
        case "tagsAll":
            return
        case _:
            yield Change(component=owner, text=("The key changes: ", *named([name])))


def alias(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.kms.Alias."""
    owner = plan.component(step)
    if step.op in {"delete", "replace"}:
        text = ("The key's alias is deleted" + (" and made again" if step.op == "replace" else ""),)
        yield Danger(kind=Kind.DELETES_KEY, component=owner, text=text)
    elif step.op == "create" and not plan.begins(step):
        yield Change(component=owner, text=("The key gets an alias",))
    elif step.op == "update":
        yield Change(component=owner, text=("The key's alias changes: ", *named(step.changed_inputs())))
