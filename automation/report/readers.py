"""What happens to roles, to what they may do, and to who may take them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from automation.report.access import (
    SECRET_CONTEXT,
    Compared,
    Subject,
    compared,
    compared_in_sum,
    judged,
    readable,
    secret_name,
    spelled,
    without_created,
)
from automation.report.model import Change, Danger, Finding, Kind, Name, Text, named
from automation.report.policies import Wider, wider
from automation.report.steps import (
    FUNCTION,
    PARTNER_ROTATION,
    READER,
    REDEPLOYMENT,
    UNKNOWN,
    WRITER,
    Plan,
    State,
    Step,
)

# What a reader does with a secret and its key, and what the function does to rotate.
_READING = {
    *("secretsmanager:getsecretvalue", "secretsmanager:describesecret", "kms:decrypt", "kms:generatedatakey"),
    *("secretsmanager:putsecretvalue", "secretsmanager:updatesecretversionstage"),
    *("logs:createlogstream", "logs:putlogevents"),
}
_ITS_OWN = re.compile(r"arn:[a-z-]+:(kms:[a-z0-9-]+:\d{12}:key/|logs:[a-z0-9-]+:\d{12}:log-group:)\S+")
_INLINE = "aws:iam/rolePolicy:RolePolicy"
_MANAGED = "aws:iam/policy:Policy"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
_BESIDE = ("managedPolicyArns", "inlinePolicies", "permissionsBoundary")


@dataclass(frozen=True, kw_only=True)
class _Policy:
    """A policy of a role, inline or managed, and which role has it before and after the update."""

    step: Step
    old_role: str | None
    new_role: str | None
    moves: bool

    @property
    def changes(self) -> bool:
        """Return whether a role may do something else by it; `same` steps are inputs of their role."""
        changed = self.step.op != "same" and (self.step.op != "update" or self.step.changed("policy"))
        return changed or self.moves


def managed_policy(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.iam.Policy: what those may do that it is attached to."""
    beside = _policies(step, plan)
    if any(other.step.urn == step.urn for other in beside):
        yield from _in_sum(beside, step, plan)
        return
    if step.op == "same" or (step.op == "update" and not step.changed("policy")):
        return
    documents = compared(step.old.inputs.get("policy"), step.new.inputs.get("policy"))
    it = ("The policy ", Name(step.name))
    yield from judged(documents, Subject(it=it, allows_more=(*it, " allows more")), step, plan)


def role_policy(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.iam.RolePolicy: what a role may do by all of its policies, however they are divided."""
    yield from _in_sum(_policies(step, plan), step, plan)


def _in_sum(beside: list[_Policy], step: Step, plan: Plan) -> Iterator[Finding]:
    [own] = [policy for policy in beside if policy.step.urn == step.urn]
    role = _role(own)
    changing = [policy.step.urn for policy in beside if policy.changes and _role(policy) == role]
    if step.urn not in changing[:1]:
        return  # said with the first of them
    after = [policy.step.new for policy in beside if policy.new_role == role]
    documents = compared_in_sum(
        [_document(policy.step.old) for policy in beside if policy.old_role == role],
        [_document(state) for state in after],
    )
    may_read = _may_read(step, plan)
    declared = _declared(plan.parent(step), plan)
    if may_read and documents.old is not None and documents.new is not None:
        yield from _known(documents, may_read, step, plan)
    elif may_read and documents.old is not None and declared is not None and _is_unknown(after):
        # not known because something has no ARN yet: the component has the names of its secrets
        yield from _gained(declared, readable(documents.old, plan), may_read, step, plan)
    else:
        it = ("The policy ", Name(step.name))
        yield from judged(documents, Subject(it=it, allows_more=(*it, " allows more")), step, plan)


def _policies(step: Step, plan: Plan) -> list[_Policy]:
    """Return the policies of roles with the step's parent: inline ones, and those attached to one role."""
    siblings = [other for other in plan.steps if other.parent == step.parent]
    attachments = [other for other in siblings if other.type == _ATTACHMENT]
    found = []
    for other in siblings:
        if other.type == _INLINE:
            old = None if other.op == "create" else str(other.old.inputs.get("role") or "")
            new = None if other.op == "delete" else str(other.new.inputs.get("role") or "")
            found.append(_Policy(step=other, old_role=old, new_role=new, moves=other.changed("role")))
        elif other.type == _MANAGED:
            own = [attachment for attachment in attachments if _attaches(attachment, other)]
            old = next((_attached_to(at.old) for at in own if at.op != "create"), None)
            new = next((_attached_to(at.new) for at in own if at.op != "delete"), None)
            if len(own) == 1:
                found.append(_Policy(step=other, old_role=old, new_role=new, moves=old != new))
    return found


def _attaches(attachment: Step, policy: Step) -> bool:
    """Return whether an attachment is of the policy; one that is created has no ARN, and gives its name."""
    arns = {
        state.inputs.get("policyArn")
        for state, there in (
            (attachment.old, attachment.op != "create"),
            (attachment.new, attachment.op != "delete"),
        )
        if there
    }
    known = policy.old.outputs.get("arn")
    return (known is not None and known in arns) or (UNKNOWN in arns and attachment.name == policy.name)


def _attached_to(state: State) -> str:
    return str(state.inputs.get("role") or "")


def _role(policy: _Policy) -> str | None:
    """Return the role that has a policy after the update, else the one before it."""
    return policy.old_role if policy.new_role is None else policy.new_role


def _document(state: State) -> object:
    return state.inputs.get("policy")


def _is_unknown(after: Iterable[State]) -> bool:
    """Return whether the engine does not know the role's policies before the update."""
    documents = [_document(state) for state in after]
    return any(isinstance(document, str) and UNKNOWN in document for document in documents)


def _may_read(step: Step, plan: Plan) -> str:
    """How it is said that a component may read; empty for what is no component of ours."""
    top = plan.top(step)
    if top.type in {FUNCTION, PARTNER_ROTATION}:
        return "May rotate, and so read, "
    if top.type == WRITER:
        return "May write, and so read, "
    if top.type == READER and top.op == "create":
        return "A new reader may read "
    return "May read " if top.type in {READER, REDEPLOYMENT} else ""


def _declared(component: Step | None, plan: Plan) -> set[str] | None:
    """Names of the secrets that a component says it reads; None if it does not say."""
    if component is None:
        return None
    names, arns = (component.new.inputs.get(key) for key in ("reads", "readsByArn"))
    if not isinstance(names, list):
        return None
    # one without an ARN yet is made by this update as well
    by_arn = {
        secret_name(str(arn), plan) or str(arn)
        for arn in (arns if isinstance(arns, list) else [])
        if arn != UNKNOWN
    }
    return {str(name) for name in names} | by_arn


def _known(documents: Compared, may_read: str, step: Step, plan: Plan) -> Iterator[Finding]:
    old, new = documents.old or [], documents.new or []
    found = wider(old, without_created(new, plan))
    before, after = readable(old, plan), readable(new, plan)
    live = after - before - plan.created_secrets
    if live:
        rest = _beyond_reading(found, live, plan)
        more: Text = ("; beyond that ", *spelled(rest, documents.spelling, plan)) if rest else ()
        text: Text = (may_read, *named(live), *more)
        yield Danger(kind=Kind.WIDENS_ACCESS, component=plan.component(step), text=text)
    elif _beyond_reading(found, live, plan) if plan.begins(step) else found:
        text = ("The policy allows more: ", *spelled(found, documents.spelling, plan))
        yield Danger(kind=Kind.WIDENS_ACCESS, component=plan.component(step), text=text)
    elif before == after and not plan.begins(step):
        same = not found and not wider(new, old)
        form = "The policy is written in another form, and allows the same"
        text = (form if same else "Reads the same secrets by another policy",)
        yield Change(component=plan.component(step), text=text)
    yield from _gained(after - live, before, may_read, step, plan)


def _beyond_reading(found: Wider, live: set[str], plan: Plan) -> Wider:
    """What is wider apart from that these secrets can be read and decrypted."""
    return Wider(
        principals=tuple(principal for principal in found.principals if principal != "*"),
        actions=tuple(action for action in found.actions if action not in _READING),
        resources=tuple(
            resource
            for resource in found.resources
            if secret_name(resource, plan) not in live and not _ITS_OWN.fullmatch(resource)
        ),
        conditions=tuple(key for key in found.conditions if key != SECRET_CONTEXT),
        denials=found.denials,
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
        yield Change(component=owner, text=("No longer reads ", *named(before - after)))


def role(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.iam.Role: who may take it."""
    owner = plan.component(step)
    if step.op in {"same", "delete"}:
        if step.op == "delete" and not plan.ends(step):
            yield Change(component=owner, text=("The role ", Name(step.name), " is deleted"))
        return
    for key in filter(step.changed, _BESIDE):
        text: Text = (Name(step.name), " changes in ", Name(key), ", where this report does not look")
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=("The role ", *text))
    if step.op == "create":
        if not plan.begins(step):
            yield Change(component=owner, text=("The role ", Name(step.name), " is created"))
        return
    old, new = (state.inputs.get("assumeRolePolicy") for state in (step.old, step.new))
    if old != new or new == UNKNOWN:
        subject = Subject(
            it=("Who may take the role ", Name(step.name)),
            allows_more=("The role ", Name(step.name), " can be taken in more ways"),
        )
        yield from judged(compared(old, new), subject, step, plan)
    if step.op == "replace":
        yield Change(component=owner, text=("The role ", Name(step.name), " is made again"))
    others = [key for key in step.changed_inputs() if key not in {*_BESIDE, "assumeRolePolicy", "tagsAll"}]
    if others and step.op == "update":
        yield Change(component=owner, text=("The role changes: ", *named(others)))


def attachment(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.iam.RolePolicyAttachment; of a policy of the same component, that says what the role may do."""
    if any(policy.step.type == _MANAGED and _attaches(step, policy.step) for policy in _policies(step, plan)):
        return
    if step.op == "delete":
        yield Change(
            component=plan.component(step), text=("The policy ", Name(step.name), " is taken from its role")
        )
    elif step.op != "same":
        yield Danger(
            kind=Kind.WIDENS_ACCESS,
            component=plan.component(step),
            text=("A role gets the policy ", Name(step.name), ", where this report does not look"),
        )


def pod_identity(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.eks.PodIdentityAssociation: which pods have a role."""
    owner = plan.component(step)
    if step.op == "same" or plan.begins(step) or plan.ends(step):
        return
    if step.op == "delete":
        yield Change(component=owner, text=("Pods lose the role",))
    elif step.op == "create" or {"clusterName", "namespace", "serviceAccount", "roleArn"} & {
        *step.changed_inputs()
    }:
        yield Danger(
            kind=Kind.WIDENS_ACCESS, component=owner, text=("Pods of another service account have the role",)
        )
    else:
        yield Change(component=owner, text=("The pods' association with the role changes",))
