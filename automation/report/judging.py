"""What each step means: which judge a resource's type has, and what holds for all of them."""

from collections.abc import Callable, Iterator

from automation.report import first_values, keys, logins, readers, rotation, secrets
from automation.report.model import Change, Component, Danger, Finding, Kind, Name, Text, named
from automation.report.steps import (
    FUNCTION,
    KEY,
    LOGIN,
    READER,
    REDEPLOYMENT,
    SECRET_COMPONENT,
    WRITER,
    Plan,
    Step,
)

_Judge = Callable[[Step, Plan], Iterator[Finding]]


def _mere_resource(step: Step, plan: Plan) -> Iterator[Finding]:
    if step.op != "same" and not plan.begins(step) and not plan.ends(step):
        yield Change(component=plan.component(step), text=_done_to(step))


def _unknown_resource(step: Step, plan: Plan) -> Iterator[Finding]:
    if step.op != "same":
        text = (*_done_to(step), ", and this report does not know what that means")
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=plan.component(step), text=text)


def _done_to(step: Step) -> Text:
    done = {
        "create": "created",
        "delete": "deleted",
        "replace": "made again",
        "read": "read",
        "import": "imported",
    }
    kind = step.type.rpartition(":")[2]
    if step.op == "update":
        properties = named(step.changed_inputs() or step.properties)
        return (
            Name(kind),
            " ",
            Name(step.name),
            *((" changes: ", *properties) if properties else (" changes",)),
        )
    return (Name(kind), " ", Name(step.name), f" is {done[step.op]}")


_NAMED = {
    LOGIN: "Login",
    READER: "Reader",
    FUNCTION: "Rotation function",
    REDEPLOYMENT: "Redeployment",
    WRITER: "Writer of values",
}


def _component(step: Step, plan: Plan) -> Iterator[Finding]:
    what = _NAMED.get(step.type)
    if step.type == KEY and step.op == "create":  # one that goes stays in AWS: the key's own step says so
        yield Change(component=plan.component(step), text=("Encryption key is created",))
    if what and step.op in {"create", "delete"}:
        yield Change(component=plan.component(step), text=(f"{what} is {step.op}d",))


def _invocation(step: Step, plan: Plan) -> Iterator[Finding]:
    parent = plan.parent(step)
    if parent is None or parent.type != SECRET_COMPONENT:  # of a secret the component says what is written
        yield from logins.provisioning(step, plan)


_JUDGES: dict[str, _Judge] = {
    SECRET_COMPONENT: first_values.component,
    "aws:secretsmanager/secret:Secret": secrets.secret,
    "aws:secretsmanager/secretVersion:SecretVersion": first_values.version,
    "aws:secretsmanager/secretPolicy:SecretPolicy": secrets.policy,
    "aws:secretsmanager/secretRotation:SecretRotation": rotation.schedule,
    "random:index/randomPassword:RandomPassword": first_values.random_value,
    "aws:kms/key:Key": keys.key,
    "aws:kms/alias:Alias": keys.alias,
    "aws:iam/role:Role": readers.role,
    "aws:iam/rolePolicy:RolePolicy": readers.role_policy,
    "aws:iam/policy:Policy": readers.managed_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": readers.attachment,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": readers.pod_identity,
    "aws:lambda/function:Function": rotation.function,
    "aws:lambda/permission:Permission": rotation.permission,
    "aws:lambda/invocation:Invocation": _invocation,
    "aws:cloudwatch/logGroup:LogGroup": _mere_resource,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _mere_resource,
    "aws:cloudwatch/eventRule:EventRule": _mere_resource,
    "aws:cloudwatch/eventTarget:EventTarget": _mere_resource,
}


def findings(plan: Plan) -> Iterator[Finding]:
    """All that the steps mean."""
    for step in plan.steps:
        if step.type == "pulumi:pulumi:Stack":
            continue
        if step.op in {"import", "read"}:
            yield Change(component=plan.component(step), text=_done_to(step))
        else:
            yield from _judge(step)(step, plan)
    yield from _unprotected(plan)
    for component in sorted({plan.component(step) for step in plan.steps if _gains_protection(step)}):
        yield Change(component=component, text=("Protected from now on",))


def _judge(step: Step) -> _Judge:
    if step.type in _JUDGES:
        return _JUDGES[step.type]
    if step.type.startswith("pulumi:providers:"):
        return _provider
    return _unknown_resource if step.old.custom or step.new.custom else _component


def _provider(step: Step, plan: Plan) -> Iterator[Finding]:
    if step.op in {"update", "replace"}:
        yield Change(component=plan.component(step), text=_done_to(step))


def _unprotected(plan: Plan) -> Iterator[Danger]:
    """One danger for each component, whose parts lose their protection together."""
    for losing, text in (
        (_loses_protection, "No longer protected: a later update may delete or replace it"),
        (_loses_retention, "No longer kept in AWS when it leaves the stack"),
    ):
        found: dict[Component, Step] = {}
        for step in plan.steps:
            if losing(step):
                found.setdefault(plan.component(step), step)
        for component in found:
            yield Danger(kind=Kind.REMOVES_PROTECTION, component=component, text=(text,))


def _loses_protection(step: Step) -> bool:
    return step.old.protect and not step.new.protect and step.op != "delete"


def _gains_protection(step: Step) -> bool:
    return step.new.protect and not step.old.protect and step.op in {"same", "update"}


def _loses_retention(step: Step) -> bool:
    return step.old.retained and not step.new.retained and step.op != "delete"
