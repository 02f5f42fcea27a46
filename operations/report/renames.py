"""Assess secrets that get the values of another one, while that one is being renamed to them."""

from collections.abc import Iterator

from components import tokens
from operations.report.model import Change, Danger, Finding, Kind, Name, Text
from operations.report.steps import Plan, Step

COPY_OF = "copyOf"
"""Input of a Secret component: name of the secret that it gets its values from."""


def component(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess which secret a Secret component copies."""
    before, after = (state.inputs.get(COPY_OF) for state in (step.old, step.new))
    if step.op == "delete" or before == after:
        return
    owner = plan.component(step)
    if after is not None:
        # a reader of a secret that did not change may read what is copied into it
        text: Text = ("Gets the value of ", Name(str(after)), ": whoever may read this secret gets it")
        yield Danger(kind=Kind.WIDENS_ACCESS, component=owner, text=text)
    else:
        text = ("No longer gets the value of ", Name(str(before)), ", and keeps the one that it has")
        yield Change(component=owner, text=text)


def copied(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.lambda.Invocation that copies a value."""
    if step.op == "replace" and (owner := _copier(step, plan)) and (secret := plan.parent(owner)):
        source = Name(str(secret.new.inputs.get(COPY_OF)))
        yield Change(component=plan.component(step), text=("The value of ", source, " is copied again"))


def is_of_copier(step: Step, plan: Plan) -> bool:
    """Return whether a resource belongs to the function that copies a value."""
    return _copier(step, plan) is not None


def goes_with_copier(step: Step, plan: Plan) -> bool:
    """Return whether a resource is deleted together with the whole function, which needs no findings."""
    copier = _copier(step, plan)
    return step.op == "delete" and copier is not None and copier.op == "delete"


def _copier(step: Step, plan: Plan) -> Step | None:
    parent = plan.parent(step)
    return parent if parent is not None and parent.type == tokens.SECRET_COPIER else None
