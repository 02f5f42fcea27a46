"""Assess changes of secrets: their existence, settings and resource policies."""

from collections.abc import Iterator, Mapping
from typing import Any

from components import undeployed_changes as changes
from components.lambdas.rotation.protocol import KEYS_TAG, POSTGRES, POSTGRES_ALTERNATING, ROTATION_TAG
from components.lambdas.writer.protocol import FILLED_BY_HAND
from operations.report.access import Wording, assess, policy_change
from operations.report.initial_values import hides, origins
from operations.report.model import Change, Component, Danger, Finding, Kind, Name, Text, counted, named
from operations.report.renames import COPY_OF
from operations.report.steps import SECRET, UNKNOWN, Plan, Step, number

_DEFAULT_WINDOW = 30
_POLICY = Wording(subject=("The secret's policy",), broader=("The secret's policy grants broader access",))
_POLICY_OF_CONFIGURED = Wording(
    subject=_POLICY.subject, broader=("It has a configured value, and its policy grants access",)
)
# Kind of rotation before and after to its consequence.
_USERS = {
    (POSTGRES_ALTERNATING, POSTGRES): "A single user instead of alternating users: the next rotation "
    "invalidates the password that workloads have read",
    (POSTGRES, POSTGRES_ALTERNATING): "Alternating users instead of a single one: a second user and an "
    "owner role get its privileges",
}


def secret(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.secretsmanager.Secret."""
    component = plan.component(step)
    name = Name(str((step.old.inputs or step.new.inputs).get("name", step.name)))
    subject: Text = ("Its secret ", name, " is ") if component.name != name.text else ("Its secret is ",)
    if component == Component(what="secret", name=name.text):
        subject = ("Is ",)
    if step.op == "create":
        yield Change(component=component, text=(*subject, "created", *_initial_keys(step, plan)))
    elif step.op == "delete":
        days = _window(step.old.inputs)
        until = f"; it can be restored for {counted(days, 'day')}" if days else " immediately and permanently"
        yield Danger(kind=Kind.DELETES_SECRET, component=component, text=(*subject, f"deleted{until}"))
    elif step.op == "replace":
        why: Text = (" because of ", *named(step.causes)) if step.causes else ()
        yield Danger(
            kind=Kind.REPLACES_SECRET,
            component=component,
            text=(*subject, "replaced", *why, ": deleted, and created again with initial values"),
        )
        text: Text = ("The live value is lost: the replacement has initial values",)
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=component, text=text)
    else:
        # the provider may report no change where one of these is removed
        removed = [
            key
            for key in ("kmsKeyId", "replicas")
            if step.old.inputs.get(key) and not step.new.inputs.get(key)
        ]
        for key in sorted({*step.changed_inputs(), *removed}):
            yield from _property(step, key, plan)


def _initial_keys(step: Step, plan: Plan) -> Text:
    parent = plan.parent(step)
    declared = origins(parent, old=False)
    if parent is None or not declared:
        return ()
    if parent.new.inputs.get(COPY_OF):
        return ()  # its value is that of the other secret
    waiting = [
        key for key, origin in declared.items() if isinstance(origin, Mapping) and FILLED_BY_HAND in origin
    ]
    if changes.whole_name(parent.new.inputs):
        _, words = changes.contents_in_words(parent.old.inputs, parent.new.inputs)
        return (f" as {words}", *(("; waiting for manual input",) if waiting else ()))
    return (
        *(" with ", *named(declared)),
        *(("; waiting for manual input: ", *named(waiting)) if waiting else ()),
    )


def _property(step: Step, key: str, plan: Plan) -> Iterator[Finding]:
    component = plan.component(step)
    old, new = step.old.inputs.get(key), step.new.inputs.get(key)
    match key:
        case "recoveryWindowInDays":
            before, after = _window(step.old.inputs), _window(step.new.inputs)
            how = f"from {counted(before, 'day')} to {counted(after, 'day')}"
            if after < before:
                text = (f"The recovery window is shortened {how}",)
                yield Danger(kind=Kind.SHORTENS_RECOVERY, component=component, text=text)
            else:
                yield Change(component=component, text=(f"The recovery window is extended {how}",))
        case "kmsKeyId" if new is None:
            text = ("Its own KMS key is removed from the stack file, but AWS keeps encrypting with it",)
            yield Danger(kind=Kind.STAYS_OUT_OF_AWS, component=component, text=text)
        case "kmsKeyId":
            yield Change(component=component, text=("It is encrypted with a different KMS key",))
        case "replicas":
            yield from _replicas(step, plan)
        case "description":
            yield Change(component=component, text=("The description changes",))
        case "tags":
            yield from _tags(old, new, step, plan)
        case "tagsAll":
            return
        case "policy":
            yield Danger(
                kind=Kind.CANNOT_BE_JUDGED,
                component=component,
                text=("The secret has an inline policy, which this report cannot assess",),
            )
        case _:
            yield Change(component=component, text=("The secret's ", Name(key), " changes"))


def _replicas(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess replicas; the provider keeps all of them if the whole list is removed."""
    component = plan.component(step)
    before, after = (_keys_by_region(state.inputs.get("replicas")) for state in (step.old, step.new))
    removed = {*before} - {*after}
    other_key = {region for region in {*before} & {*after} if before[region] != after[region]}
    if added := {*after} - {*before}:
        yield Change(component=component, text=("Replicated to ", *named(added)))
    if removed and not after:
        text: Text = ("The replica in ", *named(removed), " is removed from the stack file, but stays in AWS")
        yield Danger(kind=Kind.STAYS_OUT_OF_AWS, component=component, text=text)
    elif removed:
        text = ("The replica in ", *named(removed), " is deleted")
        yield Danger(kind=Kind.DELETES_REPLICA, component=component, text=text)
    if other_key:
        text = ("The replica in ", *named(other_key), " is deleted and created again with a different key")
        yield Danger(kind=Kind.DELETES_REPLICA, component=component, text=text)
    if UNKNOWN in {*before, *after}:
        text = ("The replicas are not known before the update",)
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=component, text=text)
    elif before == after:
        yield Change(component=component, text=("The replicas change",))


def _keys_by_region(replicas: object) -> dict[str, str]:
    if not isinstance(replicas, list):
        return {} if replicas is None else {UNKNOWN: ""}
    return {
        str(replica.get("region")): str(replica.get("kmsKeyId") or "") if isinstance(replica, Mapping) else ""
        for replica in replicas
        if isinstance(replica, Mapping)
    }


def _tags(old: object, new: object, step: Step, plan: Plan) -> Iterator[Finding]:
    owner = plan.component(step)
    before, after = (tags if isinstance(tags, Mapping) else {} for tags in (old, new))
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    rotation = {key for key in changed if key.startswith(ROTATION_TAG)}
    more = {*_words(after, KEYS_TAG)} - {*_words(before, KEYS_TAG)}
    if ROTATION_TAG in rotation and ROTATION_TAG in before and ROTATION_TAG in after:
        users = _USERS.get((str(before[ROTATION_TAG]), str(after[ROTATION_TAG])))
        text: Text = (users or "The next rotation treats it as a different type of secret",)
        kind = Kind.CHANGES_LOGIN if users else Kind.CANNOT_BE_JUDGED
        yield Danger(kind=kind, component=owner, text=text)
    elif more and KEYS_TAG in before:
        text = ("Each rotation will now regenerate ", *named(more))
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)
    elif rotation and rotation <= {*before} and rotation <= {*after}:
        yield Change(component=owner, text=("The next rotation generates values in a different format",))
    if changed - rotation:
        yield Change(component=owner, text=("Tags change: ", *named(changed - rotation)))


def _words(tags: Mapping[str, Any], key: str) -> list[str]:
    return str(tags.get(key) or "").split()


def _window(inputs: Mapping[str, Any]) -> int:
    days = number(inputs.get("recoveryWindowInDays"))
    return _DEFAULT_WINDOW if days is None else days


def policy(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.secretsmanager.SecretPolicy."""
    if step.op == "same":  # inputs may differ where the provider normalizes a document
        return
    secret_of_it = next(
        (other for other in plan.steps if other.type == SECRET and other.parent == step.parent), None
    )
    if secret_of_it is not None and secret_of_it.op in {"create", "delete"}:
        # another secret may have the same configured value already
        configured = map(hides, origins(plan.parent(step), old=False).values())
        if step.op == "create" and plan.has_live_secrets and any(configured):
            yield from assess(
                policy_change(None, step.new.inputs.get("policy")), _POLICY_OF_CONFIGURED, step, plan
            )
        return
    owner = plan.component(step)
    if (
        step.old.inputs.get("blockPublicPolicy")
        and not step.new.inputs.get("blockPublicPolicy")
        and step.op != "delete"
    ):
        yield Danger(
            kind=Kind.WIDENS_ACCESS,
            component=owner,
            text=("AWS no longer rejects a public policy",),
        )
    old, new = (state.inputs.get("policy") for state in (step.old, step.new))
    if step.op == "replace" and step.changed("secretArn"):
        old = None
    if new == UNKNOWN or old != new or step.op in {"create", "delete"}:
        yield from assess(policy_change(old, new), _POLICY, step, plan)
