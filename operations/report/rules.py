"""Assess each step by the rule for its resource type, and by the rules for all types."""

from collections.abc import Callable, Iterator

from components import tokens
from operations.report import initial_values, keys, logins, readers, renames, rotation, secrets
from operations.report.model import Change, Danger, Finding, Kind, Name, Text, named
from operations.report.steps import WORDS, Plan, Step

_Rule = Callable[[Step, Plan], Iterator[Finding]]


def _harmless_resource(step: Step, plan: Plan) -> Iterator[Finding]:
    if step.op != "same" and not plan.in_new_component(step) and not plan.in_deleted_component(step):
        yield Change(component=plan.component(step), text=_sentence(step))


def _unknown_resource(step: Step, plan: Plan) -> Iterator[Finding]:
    if step.op != "same":
        text = (*_sentence(step), ", which this report cannot assess")
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=plan.component(step), text=text)


def _sentence(step: Step) -> Text:
    participles = {
        "create": "created",
        "delete": "deleted",
        "replace": "replaced",
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
    return (Name(kind), " ", Name(step.name), f" is {participles[step.op]}")


# Components whose creation or deletion no rule for one of their resources reports.
_WITHOUT_RULE = {
    tokens.CACHE_LOGIN,
    tokens.MYSQL_LOGIN,
    tokens.POSTGRES_LOGIN,
    tokens.SMTP_CREDENTIALS,
    tokens.READ_ACCESS,
    tokens.ROTATION_FUNCTION,
    tokens.ECS_REDEPLOYMENT,
    tokens.VALUE_WRITER,
    tokens.NOTICES,
    tokens.SCHEDULED_REHEARSAL,
}


def _component(step: Step, plan: Plan) -> Iterator[Finding]:
    # the deletion of an encryption key is reported for the KMS key itself
    reported = {"create", "delete"} if step.type in _WITHOUT_RULE else set[str]()
    if step.type == tokens.ENCRYPTION_KEY:
        reported = {"create"}
    if step.op in reported:
        subject = "Is" if plan.top(step).urn == step.urn else f"Its {WORDS[step.type]} is"
        yield Change(component=plan.component(step), text=(f"{subject} {step.op}d",))


def _secret(step: Step, plan: Plan) -> Iterator[Finding]:
    yield from renames.component(step, plan)
    yield from initial_values.component(step, plan)


def _invocation(step: Step, plan: Plan) -> Iterator[Finding]:
    if renames.is_of_copier(step, plan):
        yield from renames.copied(step, plan)
        return
    parent = plan.parent(step)
    if parent is None or parent.type != tokens.SECRET:  # a secret's writes are assessed by its inputs
        yield from logins.provisioning(step, plan)


_RULES: dict[str, _Rule] = {
    tokens.SECRET: _secret,
    "aws:secretsmanager/secret:Secret": secrets.secret,
    "aws:secretsmanager/secretVersion:SecretVersion": initial_values.version,
    "aws:secretsmanager/secretPolicy:SecretPolicy": secrets.policy,
    "aws:secretsmanager/secretRotation:SecretRotation": rotation.schedule,
    "random:index/randomPassword:RandomPassword": initial_values.random_value,
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
    "aws:cloudwatch/logGroup:LogGroup": _harmless_resource,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _harmless_resource,
    "aws:cloudwatch/eventRule:EventRule": _harmless_resource,
    "aws:cloudwatch/eventTarget:EventTarget": _harmless_resource,
}


def findings(plan: Plan) -> Iterator[Finding]:
    """Yield the findings of all steps."""
    for step in plan.steps:
        if step.type == "pulumi:pulumi:Stack" or renames.goes_with_copier(step, plan):
            continue
        if step.op in {"import", "read"}:
            yield Change(component=plan.component(step), text=_sentence(step))
        else:
            yield from _rule(step)(step, plan)
    yield from _unprotected(plan)
    for component in sorted({plan.component(step) for step in plan.steps if _gains_protection(step)}):
        yield Change(component=component, text=("Is now protected from deletion",))


def _rule(step: Step) -> _Rule:
    if step.type in _RULES:
        return _RULES[step.type]
    if step.type.startswith("pulumi:providers:"):
        return _provider
    return _unknown_resource if step.old.custom or step.new.custom else _component


def _provider(step: Step, plan: Plan) -> Iterator[Finding]:
    if step.op in {"update", "replace"}:
        yield Change(component=plan.component(step), text=_sentence(step))


def _unprotected(plan: Plan) -> Iterator[Danger]:
    """Yield one danger for each component whose resources lose their protection."""
    for losing, text in (
        (_loses_protection, "Is no longer protected: a later update can delete or replace it"),
        (_loses_retention, "Is no longer retained in AWS when it is removed from the stack"),
    ):
        components = dict.fromkeys(plan.component(step) for step in plan.steps if losing(step))
        for component in components:
            yield Danger(kind=Kind.REMOVES_PROTECTION, component=component, text=(text,))


def _loses_protection(step: Step) -> bool:
    return step.old.protect and not step.new.protect and step.op != "delete"


def _gains_protection(step: Step) -> bool:
    return step.new.protect and not step.old.protect and step.op in {"same", "update"}


def _loses_retention(step: Step) -> bool:
    return step.old.retained and not step.new.retained and step.op != "delete"
