"""Assess changes of roles: their permissions, and who may assume them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from components import tokens
from operations.report.access import (
    SECRET_CONTEXT,
    PolicyChange,
    Wording,
    assess,
    combined_change,
    describe,
    policy_change,
    readable,
    secret_name,
    without_created,
)
from operations.report.model import Change, Danger, Finding, Kind, Name, Text, named
from operations.report.policies import Wider, wider
from operations.report.renames import is_of_copier
from operations.report.steps import UNKNOWN, Plan, State, Step

# What a reader and the rotation function need of a secret and its key.
_READING = {
    *("secretsmanager:getsecretvalue", "secretsmanager:describesecret", "kms:decrypt", "kms:generatedatakey"),
    *("secretsmanager:putsecretvalue", "secretsmanager:updatesecretversionstage"),
    "secretsmanager:listsecretversionids",  # reads no value
    *("logs:createlogstream", "logs:putlogevents"),
}
_ITS_OWN = re.compile(r"arn:[a-z-]+:(kms:[a-z0-9-]+:\d{12}:key/|logs:[a-z0-9-]+:\d{12}:log-group:)\S+")
_INLINE = "aws:iam/rolePolicy:RolePolicy"
_MANAGED = "aws:iam/policy:Policy"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
_NOT_ASSESSED = ("managedPolicyArns", "inlinePolicies", "permissionsBoundary")


@dataclass(frozen=True, kw_only=True)
class _Policy:
    """An inline or managed policy, and the role that has it before and after the update."""

    step: Step
    old_role: str | None
    new_role: str | None
    moves: bool

    @property
    def changes(self) -> bool:
        """Return whether it may change the permissions of a role."""
        changed = self.step.op != "same" and (self.step.op != "update" or self.step.changed("policy"))
        return changed or self.moves


def managed_policy(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.iam.Policy: with all policies of its role if its component attaches it, else alone."""
    siblings = _policies(step, plan)
    if any(other.step.urn == step.urn for other in siblings):
        yield from _assess_together(siblings, step, plan)
        return
    if step.op == "same" or (step.op == "update" and not step.changed("policy")):
        return
    documents = policy_change(step.old.inputs.get("policy"), step.new.inputs.get("policy"))
    yield from assess(documents, _wording(step), step, plan)


def role_policy(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.iam.RolePolicy together with all other policies of its role."""
    yield from _assess_together(_policies(step, plan), step, plan)


def _wording(step: Step) -> Wording:
    subject = ("The policy ", Name(step.name))
    return Wording(subject=subject, broader=(*subject, " grants broader access"))


def _assess_together(siblings: list[_Policy], step: Step, plan: Plan) -> Iterator[Finding]:
    [own] = [policy for policy in siblings if policy.step.urn == step.urn]
    role = _role(own)
    changing = [policy.step.urn for policy in siblings if policy.changes and _role(policy) == role]
    if step.urn not in changing[:1]:
        return  # reported once, with the first of them
    after = [policy.step.new for policy in siblings if policy.new_role == role]
    documents = combined_change(
        [_document(policy.step.old) for policy in siblings if policy.old_role == role],
        [_document(state) for state in after],
    )
    may_read = _may_read(step, plan)
    declared = _declared(plan.parent(step), plan)
    if may_read and documents.old is not None and documents.new is not None:
        yield from _known(documents, may_read, step, plan)
    elif may_read and documents.old is not None and declared is not None and _is_unknown(after):
        # not known while an ARN is unknown, but the component lists the names of its secrets
        yield from _gained(declared, readable(documents.old, plan), may_read, step, plan)
    else:
        yield from assess(documents, _wording(step), step, plan)


def _policies(step: Step, plan: Plan) -> list[_Policy]:
    """Return the policies with the step's parent: inline ones, and managed ones attached to one role."""
    siblings = [other for other in plan.steps if other.parent == step.parent]
    attachments = [other for other in siblings if other.type == _ATTACHMENT]
    policies = []
    for other in siblings:
        if other.type == _INLINE:
            old = None if other.op == "create" else str(other.old.inputs.get("role") or "")
            new = None if other.op == "delete" else str(other.new.inputs.get("role") or "")
            policies.append(_Policy(step=other, old_role=old, new_role=new, moves=other.changed("role")))
        elif other.type == _MANAGED:
            own = [attachment for attachment in attachments if _attaches(attachment, other)]
            old = next((_attached_to(at.old) for at in own if at.op != "create"), None)
            new = next((_attached_to(at.new) for at in own if at.op != "delete"), None)
            if len(own) == 1:
                policies.append(_Policy(step=other, old_role=old, new_role=new, moves=old != new))
    return policies


def _attaches(attachment: Step, policy: Step) -> bool:
    """Return whether an attachment attaches the policy, by ARN, or by name while the ARN is unknown."""
    arns = {
        state.inputs.get("policyArn")
        for state, exists in (
            (attachment.old, attachment.op != "create"),
            (attachment.new, attachment.op != "delete"),
        )
        if exists
    }
    known = policy.old.outputs.get("arn")
    return (known is not None and known in arns) or (UNKNOWN in arns and attachment.name == policy.name)


def _attached_to(state: State) -> str:
    return str(state.inputs.get("role") or "")


def _role(policy: _Policy) -> str | None:
    """Return the role that has a policy after the update, or else before it."""
    return policy.old_role if policy.new_role is None else policy.new_role


def _document(state: State) -> object:
    return state.inputs.get("policy")


def _is_unknown(after: Iterable[State]) -> bool:
    """Return whether a policy of the role is unknown before the update."""
    documents = [_document(state) for state in after]
    return any(isinstance(document, str) and UNKNOWN in document for document in documents)


def _may_read(step: Step, plan: Plan) -> str:
    """Return how a sentence about readable secrets begins; empty outside of this program's components."""
    top = plan.top(step)
    if is_of_copier(step, plan):
        return "A function can copy, and so read, "
    if top.type in {tokens.ROTATION_FUNCTION, tokens.PARTNER_ROTATION}:
        return "Can rotate, and so read, "
    if top.type == tokens.VALUE_WRITER:
        return "Can write, and so read, "
    if top.type == tokens.READ_ACCESS and top.op == "create":
        return "A new reader can read "
    reading = {tokens.READ_ACCESS, tokens.ECS_REDEPLOYMENT, tokens.NOTICES}
    return "Can read " if top.type in reading else ""


def _declared(component: Step | None, plan: Plan) -> set[str] | None:
    """Return the names of the secrets that a component declares to read; None if it declares none."""
    if component is None:
        return None
    names, arns = (component.new.inputs.get(key) for key in ("reads", "readsByArn"))
    if not isinstance(names, list):
        return None
    # a secret with an unknown ARN is created by the same update
    by_arn = {
        secret_name(str(arn), plan) or str(arn)
        for arn in (arns if isinstance(arns, list) else [])
        if arn != UNKNOWN
    }
    return {str(name) for name in names} | by_arn


def _known(documents: PolicyChange, may_read: str, step: Step, plan: Plan) -> Iterator[Finding]:
    old, new = documents.old or [], documents.new or []
    wider_access = wider(old, without_created(new, plan))
    before, after = readable(old, plan), readable(new, plan)
    live = after - before - plan.created_secrets
    if live:
        rest = _beyond_reading(wider_access, live, plan)
        more: Text = ("; in addition, ", *describe(rest, documents.source, plan)) if rest else ()
        text: Text = (may_read, *named(live), *more)
        yield Danger(kind=Kind.WIDENS_ACCESS, component=plan.component(step), text=text)
    elif _beyond_reading(wider_access, live, plan) if plan.in_new_component(step) else wider_access:
        text = ("The policy grants broader access: ", *describe(wider_access, documents.source, plan))
        yield Danger(kind=Kind.WIDENS_ACCESS, component=plan.component(step), text=text)
    elif before == after and not plan.in_new_component(step):
        same = not wider_access and not wider(new, old)
        reformatted = "The policy is reformatted and grants the same access"
        text = (reformatted if same else "Reads the same secrets with a different policy",)
        yield Change(component=plan.component(step), text=text)
    yield from _gained(after - live, before, may_read, step, plan)


def _beyond_reading(gained: Wider, live: set[str], plan: Plan) -> Wider:
    """Return what a policy gains other than reading and decrypting these secrets."""
    return Wider(
        principals=tuple(principal for principal in gained.principals if principal != "*"),
        actions=tuple(action for action in gained.actions if action not in _READING),
        resources=tuple(
            resource
            for resource in gained.resources
            if secret_name(resource, plan) not in live and not _ITS_OWN.fullmatch(resource)
        ),
        conditions=tuple(key for key in gained.conditions if key != SECRET_CONTEXT),
        denials=gained.denials,
    )


def _gained(after: set[str], before: set[str], may_read: str, step: Step, plan: Plan) -> Iterator[Finding]:
    owner = plan.component(step)
    live = after - before - plan.created_secrets
    new = (after - before) & plan.created_secrets
    if live:
        yield Danger(kind=Kind.WIDENS_ACCESS, component=owner, text=(may_read, *named(live)))
    if new:
        yield Change(component=owner, text=(may_read, *named(new), ", created by the same update"))
    if before - after:
        yield Change(component=owner, text=("Can no longer read ", *named(before - after)))


def role(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.iam.Role and its trust policy."""
    owner = plan.component(step)
    if step.op in {"same", "delete"}:
        if step.op == "delete" and not plan.in_deleted_component(step):
            yield Change(component=owner, text=("The role ", Name(step.name), " is deleted"))
        return
    for key in filter(step.changed, _NOT_ASSESSED):
        text: Text = (Name(step.name), " changes in ", Name(key), ", which this report cannot assess")
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=("The role ", *text))
    if step.op == "create":
        if not plan.in_new_component(step):
            yield Change(component=owner, text=("The role ", Name(step.name), " is created"))
        return
    old, new = (state.inputs.get("assumeRolePolicy") for state in (step.old, step.new))
    if old != new or new == UNKNOWN:
        subject = ("The trust policy of role ", Name(step.name))
        wording = Wording(subject=subject, broader=(*subject, " grants broader access"))
        yield from assess(policy_change(old, new), wording, step, plan)
    if step.op == "replace":
        yield Change(component=owner, text=("The role ", Name(step.name), " is replaced"))
    assessed = {*_NOT_ASSESSED, "assumeRolePolicy", "tagsAll"}
    others = [key for key in step.changed_inputs() if key not in assessed]
    if others and step.op == "update":
        yield Change(component=owner, text=("The role changes: ", *named(others)))


def attachment(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.iam.RolePolicyAttachment; a policy of the same component is assessed itself."""
    if any(policy.step.type == _MANAGED and _attaches(step, policy.step) for policy in _policies(step, plan)):
        return
    if step.op == "delete":
        text: Text = ("The policy ", Name(step.name), " is detached from its role")
        yield Change(component=plan.component(step), text=text)
    elif step.op != "same":
        yield Danger(
            kind=Kind.WIDENS_ACCESS,
            component=plan.component(step),
            text=("The policy ", Name(step.name), ", which this report cannot assess, is attached to a role"),
        )


def pod_identity(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.eks.PodIdentityAssociation, which gives a role to pods."""
    owner = plan.component(step)
    if step.op == "same" or plan.in_new_component(step) or plan.in_deleted_component(step):
        return
    if step.op == "delete":
        yield Change(component=owner, text=("The role is no longer associated with pods",))
    elif step.op == "create" or {"clusterName", "namespace", "serviceAccount", "roleArn"} & {
        *step.changed_inputs()
    }:
        text = ("The role is associated with pods of a different service account",)
        yield Danger(kind=Kind.WIDENS_ACCESS, component=owner, text=text)
    else:
        yield Change(component=owner, text=("The pod identity association changes",))
