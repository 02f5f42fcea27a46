"""What happens to secrets: whether they stay, how they are kept, and their policies."""

from collections.abc import Iterator, Mapping
from typing import Any

from automation.report.access import Subject, compared, judged
from automation.report.first_values import hides, initial_values
from automation.report.model import Change, Component, Danger, Finding, Kind, Name, Text, counted, named
from automation.report.steps import SECRET, UNKNOWN, Plan, Step, number
from components import reach

_DEFAULT_WINDOW = 30
_POLICY = Subject(it=("The secret's policy",), allows_more=("The secret's policy lets more in",))
_POLICY_OF_CONFIGURED = Subject(
    it=_POLICY.it, allows_more=("It holds a configured value, and its policy lets in",)
)
_ROTATION_TAGS = "aws-secrets:rotation"
_ROTATION_KEYS = "aws-secrets:rotation-keys"
# Kind of rotation before and after to what it means (components/rotation_tags.py).
_USERS = {
    ("postgres-alternating", "postgres"): "One user instead of two that take turns: a password that a "
    "workload has read works no longer than until the next rotation",
    ("postgres", "postgres-alternating"): "Two users that take turns instead of one: a second user and an "
    "owner role get its privileges",
}


def secret(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.secretsmanager.Secret."""
    component = plan.component(step)
    name = Name(str((step.old.inputs or step.new.inputs).get("name", step.name)))
    it: Text = ("Its secret ", name, " is ") if component.name != name.text else ("Its secret is ",)
    if component == Component(what="secret", name=name.text):
        it = ("Is ",)
    if step.op == "create":
        yield Change(component=component, text=(*it, "created", *_first_keys(step, plan)))
    elif step.op == "delete":
        days = _window(step.old.inputs)
        until = f"; it can be restored for {counted(days, 'day')}" if days else " at once and for good"
        yield Danger(kind=Kind.DELETES_SECRET, component=component, text=(*it, f"deleted{until}"))
    elif step.op == "replace":
        why: Text = (", because of ", *named(step.causes)) if step.causes else ()
        yield Danger(
            kind=Kind.REPLACES_SECRET,
            component=component,
            text=(*it, "deleted and made again with first values", *why),
        )
        text: Text = ("The live value is lost: what is made again begins with first values",)
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=component, text=text)
    else:
        # the provider may find nothing to do where one of these is taken away
        taken = [
            key
            for key in ("kmsKeyId", "replicas")
            if step.old.inputs.get(key) and not step.new.inputs.get(key)
        ]
        for key in sorted({*step.changed_inputs(), *taken}):
            yield from _property(step, key, plan)


def _first_keys(step: Step, plan: Plan) -> Text:
    parent = plan.parent(step)
    declared = initial_values(parent, old=False)
    if parent is None or not declared:
        return ()
    waiting = [
        key for key, origin in declared.items() if isinstance(origin, Mapping) and "filledByHand" in origin
    ]
    if reach.whole_name(parent.new.inputs):
        _, words = reach.contents_in_words(parent.old.inputs, parent.new.inputs)
        return (f" as {words}", *(("; a person fills it",) if waiting else ()))
    return (
        *(" with ", *named(declared)),
        *(("; a person fills ", *named(waiting)) if waiting else ()),
    )


def _property(step: Step, key: str, plan: Plan) -> Iterator[Finding]:
    component = plan.component(step)
    old, new = step.old.inputs.get(key), step.new.inputs.get(key)
    match key:
        case "recoveryWindowInDays":
            before, after = _window(step.old.inputs), _window(step.new.inputs)
            how = f"from {counted(before, 'day')} to {counted(after, 'day')}"
            if after < before:
                text = (f"A deleted secret can be restored for less time: {how}",)
                yield Danger(kind=Kind.SHORTENS_RECOVERY, component=component, text=text)
            else:
                yield Change(component=component, text=(f"Recovery window {how}",))
        case "kmsKeyId" if new is None:
            text = ("The key of its own is taken away only here: AWS goes on encrypting with it",)
            yield Danger(kind=Kind.STAYS_OUT_OF_AWS, component=component, text=text)
        case "kmsKeyId":
            yield Change(component=component, text=("Another key encrypts it",))
        case "replicas":
            yield from _replicas(step, plan)
        case "description":
            yield Change(component=component, text=("Description changes",))
        case "tags":
            yield from _tags(old, new, step, plan)
        case "tagsAll":
            return
        case "policy":
            yield Danger(
                kind=Kind.CANNOT_BE_JUDGED,
                component=component,
                text=("A policy is written into the secret itself, where this report does not look",),
            )
        case _:
            yield Change(component=component, text=(Name(key), " of the secret changes"))


def _replicas(step: Step, plan: Plan) -> Iterator[Finding]:
    """Copies in other regions, as the provider treats them: the whole list gone, it leaves them all."""
    component = plan.component(step)
    before, after = (_keys_by_region(state.inputs.get("replicas")) for state in (step.old, step.new))
    gone = {*before} - {*after}
    other_key = {region for region in {*before} & {*after} if before[region] != after[region]}
    if added := {*after} - {*before}:
        yield Change(component=component, text=("Copied to ", *named(added)))
    if gone and not after:
        text: Text = ("The copy in ", *named(gone), " leaves the stack file only: AWS keeps it")
        yield Danger(kind=Kind.STAYS_OUT_OF_AWS, component=component, text=text)
    elif gone:
        text = ("The copy in ", *named(gone), " is deleted")
        yield Danger(kind=Kind.DELETES_REPLICA, component=component, text=text)
    if other_key:
        text = ("The copy in ", *named(other_key), " is deleted and made again with another key")
        yield Danger(kind=Kind.DELETES_REPLICA, component=component, text=text)
    if UNKNOWN in {*before, *after}:
        text = ("Which copies it has is not known before the update",)
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=component, text=text)
    elif before == after:
        yield Change(component=component, text=("Copies change",))


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
    rotation = {key for key in changed if key.startswith(_ROTATION_TAGS)}
    more = {*_words(after, _ROTATION_KEYS)} - {*_words(before, _ROTATION_KEYS)}
    if _ROTATION_TAGS in rotation and _ROTATION_TAGS in before and _ROTATION_TAGS in after:
        users = _USERS.get((str(before[_ROTATION_TAGS]), str(after[_ROTATION_TAGS])))
        text: Text = (users or "The next rotation treats it as another kind of secret",)
        kind = Kind.CHANGES_LOGIN if users else Kind.CANNOT_BE_JUDGED
        yield Danger(kind=kind, component=owner, text=text)
    elif more and _ROTATION_KEYS in before:
        text = (*named(more), " gets a new value at each rotation from now on")
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)
    elif rotation and rotation <= {*before} and rotation <= {*after}:
        yield Change(component=owner, text=("The next rotation makes values of another form",))
    if changed - rotation:
        yield Change(component=owner, text=("Tags change: ", *named(changed - rotation)))


def _words(tags: Mapping[str, Any], key: str) -> list[str]:
    return str(tags.get(key) or "").split()


def _window(inputs: Mapping[str, Any]) -> int:
    days = number(inputs.get("recoveryWindowInDays"))
    return _DEFAULT_WINDOW if days is None else days


def policy(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.secretsmanager.SecretPolicy."""
    if step.op == "same":  # inputs may differ where the provider writes a document in its own form
        return
    secret_of_it = next(
        (other for other in plan.steps if other.type == SECRET and other.parent == step.parent), None
    )
    if secret_of_it is not None and secret_of_it.op in {"create", "delete"}:
        # it may hold a value that is configured for another secret already
        configured = map(hides, initial_values(plan.parent(step), old=False).values())
        if step.op == "create" and plan.has_live_secrets and any(configured):
            yield from judged(
                compared(None, step.new.inputs.get("policy")), _POLICY_OF_CONFIGURED, step, plan
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
            text=("AWS no longer refuses a policy that lets everyone in",),
        )
    old, new = (state.inputs.get("policy") for state in (step.old, step.new))
    if step.op == "replace" and step.changed("secretArn"):
        old = None
    if new == UNKNOWN or old != new or step.op in {"create", "delete"}:
        yield from judged(compared(old, new), _POLICY, step, plan)
