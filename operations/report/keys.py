"""Assess changes of the KMS key that encrypts secrets."""

from collections.abc import Iterator

from operations.report.access import Wording, assess, policy_change
from operations.report.model import Change, Danger, Finding, Kind, Text, counted, named
from operations.report.steps import UNKNOWN, Plan, Step, number

_POLICY = Wording(subject=("The key policy",), broader=("The key policy grants broader access",))
_DEFAULT_WINDOW = 30


def key(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.kms.Key."""
    owner = plan.component(step)
    if step.op == "create":
        if not plan.in_new_component(step):
            yield Change(component=owner, text=("A key is created",))
    elif step.op in {"delete", "replace"}:
        text = _removal(step)
        yield Danger(kind=Kind.DELETES_KEY, component=owner, text=text)
    else:
        for name in step.changed_inputs():
            yield from _property(step, name, plan)


def _removal(step: Step) -> Text:
    successor = ", and a new one is created" if step.op == "replace" else ""
    if step.old.retained:
        return (f"The key is removed from the stack and stays in AWS{successor}",)
    return (f"The key is deleted, and everything it encrypts becomes unreadable{successor}",)


def _property(step: Step, name: str, plan: Plan) -> Iterator[Finding]:
    owner = plan.component(step)
    old, new = step.old.inputs.get(name), step.new.inputs.get(name)
    match name:
        case "policy":
            if old != new or new == UNKNOWN:
                yield from assess(policy_change(old, new), _POLICY, step, plan)
        case "deletionWindowInDays":
            before, after = (number(value) or _DEFAULT_WINDOW for value in (old, new))
            how = f"from {counted(before, 'day')} to {counted(after, 'day')}"
            if after < before:
                text = (f"The key's deletion window is shortened {how}",)
                yield Danger(kind=Kind.SHORTENS_RECOVERY, component=owner, text=text)
            else:
                yield Change(component=owner, text=(f"The key's deletion window is extended {how}",))
        case "enableKeyRotation" if old and not new:
            text = ("Yearly rotation of the key is turned off",)
            yield Danger(kind=Kind.REMOVES_ROTATION, component=owner, text=text)
        case "isEnabled" if new is False:
            text = ("The key is disabled, and everything it encrypts becomes unreadable",)
            yield Danger(kind=Kind.DELETES_KEY, component=owner, text=text)
        case "tagsAll":
            return
        case _:
            yield Change(component=owner, text=("The key changes: ", *named([name])))


def alias(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.kms.Alias."""
    owner = plan.component(step)
    if step.op in {"delete", "replace"}:
        text = ("The key's alias is " + ("replaced" if step.op == "replace" else "deleted"),)
        yield Danger(kind=Kind.DELETES_KEY, component=owner, text=text)
    elif step.op == "create" and not plan.in_new_component(step):
        yield Change(component=owner, text=("An alias of the key is created",))
    elif step.op == "update":
        yield Change(component=owner, text=("The key's alias changes: ", *named(step.changed_inputs())))
