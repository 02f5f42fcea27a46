"""Assess changes of rotation: schedules, and Lambda functions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components import tokens
from operations.report.access import as_mapping
from operations.report.model import Change, Danger, Finding, Kind, Name, Text, counted, named
from operations.report.renames import is_of_copier
from operations.report.steps import SECRET, Plan, State, Step, number

_RATE = re.compile(r"rate\((?P<number>[0-9]{1,5}) (?P<unit>hour|day)s?\)")
_CRON = re.compile(r"cron\((?P<minute>\S+) (?P<hour>\S+) (?P<days>\S+ \S+ \S+ \S+)\)")
_HOURS_A_DAY = 24
_LAMBDA_FUNCTION = "aws:lambda/function:Function"
# Every other input of a permission grants or restricts who may call the function.
_NAMES_OF_A_PERMISSION = {"function", "statementId", "statementIdPrefix"}
_OF_PARTNERS = ("externalSecretRotationMetadatas", "externalSecretRotationRoleArn")
# Inputs that decide what a function does with its permissions.
_BEHAVIOR = {
    *("code", "handler", "imageUri", "s3Bucket", "s3Key", "s3ObjectVersion", "layers"),
    *("environment", "role", "fileSystemConfig", "imageConfig"),
}


def schedule(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.secretsmanager.SecretRotation."""
    owner = plan.component(step)
    if step.op == "same":
        return
    if plan.top(step).type == tokens.MASTER_ROTATION:
        yield from _master_schedule(step, plan)
    elif step.op == "delete":
        if not _deleted_with_secret(step, plan):
            text: Text = ("Rotation is turned off; the secret keeps its current value",)
            yield Danger(kind=Kind.REMOVES_ROTATION, component=owner, text=text)
        return
    elif step.op == "create":
        yield Change(component=owner, text=("Rotation is turned on: ", *in_words(_rules(step.new))))
    else:
        yield from _changed_rules(step, plan)
    if step.op == "replace":
        text = ("Rotation is replaced because of ", *named(step.causes))
        yield Change(component=owner, text=text)
    if step.op != "create" and step.changed("rotationLambdaArn"):
        yield Change(component=owner, text=("It is rotated by a different function",))
    if step.op != "create" and (partner := [key for key in _OF_PARTNERS if step.changed(key)]):
        text = ("The partner rotation changes: ", *named(partner))
        yield Change(component=owner, text=text)
    renews = step.op != "delete" and step.new.inputs.get("rotateImmediately", True)
    if renews and not _is_new(step, plan):
        text = ("The live value is rotated immediately, because of rotateImmediately",)
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)


def _master_schedule(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess the schedule of a secret that RDS manages, and that RDS rotates even without the stack."""
    owner = plan.component(step)
    if step.op == "delete":
        yield Change(component=owner, text=("The schedule is removed from the stack and stays in AWS",))
    elif step.new.inputs.get("rotationEnabled") is False:
        text: Text = ("Rotation is turned off; the secret keeps its current value",)
        yield Danger(kind=Kind.REMOVES_ROTATION, component=owner, text=text)
    elif step.op == "create" or step.old.inputs.get("rotationEnabled") is False:
        text = (
            "RDS rotates the master password ",
            *in_words(_rules(step.new)),
            ", instead of on its own schedule",
        )
        yield Change(component=owner, text=text)
    else:
        yield from _changed_rules(step, plan)


def _rules(state: State) -> Mapping[str, Any]:
    return as_mapping(state.inputs.get("rotationRules"))


def _changed_rules(step: Step, plan: Plan) -> Iterator[Finding]:
    old, new = _rules(step.old), _rules(step.new)
    if old == new:
        return
    before, after = in_words(old), in_words(new)
    text: Text = ("Rotates ", *after, " instead of ", *before)
    less_often = _is_less_often(old, new)
    if less_often:
        yield Danger(kind=Kind.ROTATES_LESS_OFTEN, component=plan.component(step), text=text)
    elif less_often is None:
        text = (*text, ": review which is more frequent")
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=plan.component(step), text=text)
    else:
        yield Change(component=plan.component(step), text=text)


def _is_less_often(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool | None:
    """Return whether the new schedule is less frequent; None if the two cannot be compared."""
    before, after = _hours(old), _hours(new)
    if before is not None and after is not None:
        return after > before
    crons = [_CRON.fullmatch(str(rules.get("scheduleExpression") or "")) for rules in (old, new)]
    if crons[0] and crons[1] and all(cron and cron["hour"].isdecimal() for cron in crons):
        return False if crons[0]["days"] == crons[1]["days"] else None
    return None


def _hours(rules: Mapping[str, Any]) -> int | None:
    days = number(rules.get("automaticallyAfterDays"))
    if days is not None:
        return days * _HOURS_A_DAY
    rate = _RATE.fullmatch(str(rules.get("scheduleExpression") or ""))
    return int(rate["number"]) * (1 if rate["unit"] == "hour" else _HOURS_A_DAY) if rate else None


def in_words(rules: Mapping[str, Any]) -> Text:
    """Return rotation rules as a schedule, such as `every 30 days within 3h`."""
    days = number(rules.get("automaticallyAfterDays"))
    expression = str(rules.get("scheduleExpression") or "")
    duration = str(rules.get("duration") or "")
    window = f" within {duration}" if re.fullmatch(r"[0-9]{1,2}h", duration) else ""
    if days is not None:
        return (f"every {counted(days, 'day')}{window}",)
    if _RATE.fullmatch(expression) or _CRON.fullmatch(expression):
        return (Name(expression), window)
    return ("by a schedule",)


def _secret_of(step: Step, plan: Plan) -> Step | None:
    """Return the step of the rotated secret; None if it is not a secret of this stack."""
    arn = str(step.old.inputs.get("secretId") or step.new.inputs.get("secretId") or "")
    by_arn = [
        other for other in plan.steps if other.type == SECRET and arn and other.old.outputs.get("arn") == arn
    ]
    return by_arn[0] if by_arn else None


def _deleted_with_secret(step: Step, plan: Plan) -> bool:
    secret = _secret_of(step, plan)
    return secret is not None and secret.op == "delete"


def _is_new(step: Step, plan: Plan) -> bool:
    """Return whether the rotated secret is created by the same update, and so has no ARN yet."""
    if plan.top(step).type == tokens.MASTER_ROTATION:
        return False
    return step.op == "create" and _secret_of(step, plan) is None and bool(plan.created_secrets)


def permission(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.lambda.Permission, which grants who may call the function."""
    owner = plan.component(step)
    if step.op == "same" or plan.in_new_component(step):
        return
    if step.op == "delete":
        siblings = [
            other for other in plan.steps if other.parent == step.parent and other.type == _LAMBDA_FUNCTION
        ]
        if siblings and all(other.op == "delete" for other in siblings):
            return
        if plan.top(step).type == tokens.ROTATION_FUNCTION:
            text = ("Secrets Manager can no longer call the rotation function",)
            yield Danger(kind=Kind.REMOVES_ROTATION, component=owner, text=text)
        else:
            yield Change(component=owner, text=("The permission to call the function is removed",))
    elif step.op == "create" or {*step.changed_inputs()} - _NAMES_OF_A_PERMISSION:
        text = ("The permission to call the function changes",)
        yield Danger(kind=Kind.WIDENS_ACCESS, component=owner, text=text)
    else:
        yield Change(component=owner, text=("The permission to call the function is replaced",))


def _behavior(step: Step, changed: Sequence[str], plan: Plan) -> Text:
    """Return what changes in a function that can read administrators' passwords or write any value."""
    power = (
        "can read administrators' passwords"
        if plan.top(step).type == tokens.ROTATION_FUNCTION
        else "can copy the value of another secret"
        if is_of_copier(step, plan)
        else "can write any value"
    )
    before, after = (
        as_mapping(as_mapping(state.inputs.get("environment")).get("variables"))
        for state in (step.old, step.new)
    )
    variables = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    more: Text = (" (", *named(variables), ")") if variables else ()
    return (f"The function, which {power}, changes in ", *named(changed), *more, ": review the change")


def function(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.lambda.Function."""
    owner = plan.component(step)
    if step.op in {"create", "delete"}:
        if not plan.in_new_component(step) and not plan.in_deleted_component(step):
            yield Change(component=owner, text=(f"The function is {step.op}d",))
        return
    changed = [key for key in step.changed_inputs() if key not in {"tagsAll", "sourceCodeHash"}]
    behavior = [key for key in changed if key in _BEHAVIOR]
    powerful = plan.top(step).type in {tokens.ROTATION_FUNCTION, tokens.VALUE_WRITER}
    if behavior and (powerful or is_of_copier(step, plan)):
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=_behavior(step, behavior, plan))
        changed = [key for key in changed if key not in _BEHAVIOR]
    if "code" in changed:
        yield Change(component=owner, text=("The function's code changes",))
    if others := [key for key in changed if key != "code"]:
        yield Change(component=owner, text=("The function's settings change: ", *named(others)))
    if step.op == "replace":
        yield Change(component=owner, text=("The function is replaced",))
