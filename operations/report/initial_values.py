"""Assess changes of initial values in the stack file and in state, and whether they reach the live secret."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from components import tokens
from components import undeployed_changes as changes
from operations.report.model import Change, Component, Danger, Finding, Kind, Name, Text, joined, named
from operations.report.steps import LOGINS, SECRET, UNKNOWN, VERSION, Plan, Step, is_hidden


def origins(step: Step | None, *, old: bool) -> Mapping[str, Any]:
    """Return the source of each key's initial value, from the inputs of a Secret component.

    Args:
        step: the component's step; any other step has no values.
        old: whether to use the inputs before the update.

    Returns:
        JSON key to source. A secret without keys has one entry, with words for the whole value as its key.
    """
    if step is None or step.type != tokens.SECRET:
        return {}
    return changes.declared_values((step.old if old else step.new).inputs)


def component(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess a Secret component, whose inputs declare the source of each value and the mode."""
    if step.op != "update" or "initialValues" not in step.old.inputs or _writes_a_value(step, plan):
        return
    owner = plan.component(step)
    if any(is_hidden(state.inputs.get("initialValues")) for state in (step.old, step.new)):
        text: Text = ("Pulumi hides the declared values, so their changes are unknown",)
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=text)
        return
    before, after = (origins(step, old=old) for old in (True, False))
    modes = [str(state.inputs.get("mode", changes.ONCE)) for state in (step.old, step.new)]
    if modes[0] != modes[1]:
        text = ("initialValues changes from ", Name(modes[0]), " to ", Name(modes[1]))
        yield Change(component=owner, text=text)
    removed = {str(key) for key in changes.asked_away(step.old.inputs, step.new.inputs)}
    if changes.content_of(step.old.inputs) != changes.content_of(step.new.inputs):
        yield _content_change(step, owner)
        if modes[1] != changes.ONCE and not changes.whole_name(step.new.inputs):
            # the live text may be a JSON object, and then the writer treats it as one
            regenerated = {key for key, origin in after.items() if changes.generation_of(origin) > 1}
            yield from _written(set(), regenerated, removed, owner)
        return
    added, regenerated = {*after} - {*before}, {*changes.raised(before, after)}
    applied: set[str] = set()
    if modes[1] != changes.ONCE:
        applied = {*added, *regenerated, *removed}
        yield from _written(added, regenerated, removed, owner)
    before, after = (
        {key: origin for key, origin in values.items() if key not in applied} for values in (before, after)
    )
    explained = modes[0] != modes[1] or bool(applied or removed)
    yield from _not_applied(before, after, owner, explained=explained)


def _content_change(step: Step, owner: Component) -> Danger:
    """Return the danger of a secret that changes between JSON keys, text and binary."""
    before, after = changes.contents_in_words(step.old.inputs, step.new.inputs)
    if step.new.inputs.get("mode", changes.ONCE) != changes.ONCE and changes.replaces_content(
        step.new.inputs
    ):
        text: Text = (f"The live value changes from {before} to {after}, because its generation is raised",)
        return Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)
    text = (f"The stack file changes it from {before} to {after}, which is not applied to the live secret",)
    return Danger(kind=Kind.STAYS_OUT_OF_AWS, component=owner, text=text)


def _written(
    added: set[str], regenerated: set[str], removed: set[str], owner: Component
) -> Iterator[Finding]:
    """Yield what the value writer changes in the live secret."""
    if added:
        yield Change(component=owner, text=(*named(added), f" {_is(added)} added to the live secret"))
    if regenerated:
        be = _is(regenerated)
        text: Text = (*named(regenerated), f" {be} overwritten in AWS, because the generation is raised")
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)
    if removed:
        text = (*named(removed), f" {_is(removed)} removed from the live secret")
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)


def _not_applied(
    before: Mapping[str, Any], after: Mapping[str, Any], owner: Component, *, explained: bool
) -> Iterator[Finding]:
    """Yield the declared changes that are not applied to the live secret.

    Args:
        before: sources of the values that the writer does not touch, before the update.
        after: the same after the update.
        owner: the secret.
        explained: whether the update has a cause other than the change of a hidden value.
    """
    common = {*before} & {*after}
    changed = {key for key in common if before[key] != after[key]}
    hidden = {key for key in common if hides(before[key]) and hides(after[key])} - changed
    added, removed = {*after} - {*before}, {*before} - {*after}
    sentences: list[Text] = []
    if changed:
        possibly: Text = (
            (" (and possibly that of ", *named(hidden), ", which Pulumi hides)") if hidden else ()
        )
        sentences.append(("changes the initial value of ", *named(changed), *possibly))
    if added:
        sentences.append(("adds ", *named(added)))
    if removed:
        sentences.append(("removes ", *named(removed)))
    if hidden and (explained or (sentences and not changed)):
        text: Text = (
            "Pulumi hides whether the configured value of ",
            *named(hidden),
            " changes as well; such a change is not applied to the live secret",
        )
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=text)
    if not sentences and hidden and not explained:
        one_of = (
            "changes the initial value of " if len(hidden) == 1 else "changes the initial value of one of "
        )
        sentences.append((one_of, *named(hidden)))
    if sentences:
        yield Danger(
            kind=Kind.STAYS_OUT_OF_AWS,
            component=owner,
            text=("The stack file ", *joined(sentences, "; "), ". This is not applied to the live secret"),
        )


def _is(keys: set[str]) -> str:
    return "is" if len(keys) == 1 else "are"


def hides(origin: object) -> bool:
    """Return whether Pulumi hides a configured value, with or without a generation next to it."""
    return is_hidden(origin) or (isinstance(origin, Mapping) and is_hidden(origin.get("value")))


def _writes_a_value(step: Step, plan: Plan) -> bool:
    """Return whether the initial version may be written again, which this program never does."""
    top = plan.top(step).urn
    return any(
        other.type == VERSION and plan.top(other).urn == top and _may_become_live(other)
        for other in plan.steps
    )


def _may_become_live(step: Step) -> bool:
    """Return whether a step of an initial version can change the live value.

    A version that is put with labels other than AWSCURRENT does not become current, and a version that Pulumi
    only removes from state stays in AWS.
    """
    if step.op == "create":
        return "AWSCURRENT" in (labels := _labels(step.new.inputs)) or UNKNOWN in labels
    return step.op != "same" and not (step.op == "delete" and step.old.retained)


def _labels(properties: Mapping[str, Any]) -> set[str]:
    """Return a version's staging labels; AWS attaches AWSCURRENT if none is given."""
    labels = properties.get("versionStages")
    if isinstance(labels, str):
        return {labels}
    return {str(label) for label in labels} if isinstance(labels, list) and labels else {"AWSCURRENT"}


def _moves_labels(step: Step) -> bool:
    """Return whether an update moves a version's staging labels.

    After a refresh the inputs may have fewer labels than the outputs, which moves none.
    """
    if not step.changed("versionStages"):
        return False
    old, new = _labels(step.old.inputs), _labels(step.new.inputs)
    attached = step.old.outputs.get("versionStages")
    unchanged = isinstance(attached, list) and new == {str(label) for label in attached}
    return not (unchanged and ("AWSCURRENT" in old or "AWSCURRENT" not in new))


def random_value(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess a random.RandomPassword, whose value went to AWS when the secret was created."""
    if (
        step.op == "same"
        or plan.in_new_component(step)
        or plan.in_deleted_component(step)
        or _writes_a_value(step, plan)
    ):
        return
    parent = plan.parent(step)
    key = unquote(step.name.partition("-random:")[2])
    owner = plan.component(step)
    if not key and parent is not None:
        key = changes.whole_name(parent.new.inputs or parent.old.inputs) or key
    if parent is not None and parent.type == tokens.SECRET:
        before, after = (origins(parent, old=old) for old in (True, False))
        if parent.op == "update" and before.get(key) != after.get(key):
            return  # reported for the component
    if step.op != "replace":
        text: Text = ("The random value ", Name(key), f" is {step.op}d in Pulumi's state")
        yield Change(component=owner, text=text)
    elif parent is not None and parent.type in {tokens.SECRET, *LOGINS}:
        yield Danger(
            kind=Kind.STAYS_OUT_OF_AWS,
            component=owner,
            text=(
                Name(key),
                " is regenerated in Pulumi's state only. This is not applied to the live secret",
            ),
        )
    else:
        yield Danger(
            kind=Kind.CANNOT_BE_JUDGED,
            component=owner,
            text=(Name(step.name), " is regenerated, and this report does not know what uses it"),
        )


def version(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.secretsmanager.SecretVersion: the initial version, which is written once."""
    secret_changes = any(
        other.type == SECRET and other.parent == step.parent and other.op in {"create", "replace", "delete"}
        for other in plan.steps
    )
    if step.op == "same" or secret_changes:
        return
    if not _may_become_live(step):
        text: Text = (
            ("An initial version is added; the live value does not change",)
            if step.op == "create"
            else ("The initial version is removed from state and stays in AWS",)
        )
        yield Change(component=plan.component(step), text=text)
        return
    what = {
        "create": "An initial value is written to an existing secret and becomes the live value",
        "replace": "The initial version is replaced: the initial value becomes the live value",
        "delete": "The initial version is deleted, possibly with the live value, and the secret stays",
    }.get(step.op)
    value = _moves_labels(step) or any(
        step.changed(key) for key in ("secretString", "secretBinary", "secretId")
    )
    if what or value:
        yield Danger(
            kind=Kind.OVERWRITES_VALUE,
            component=plan.component(step),
            text=(what or "The initial version is written again: the live value is overwritten",),
        )
    else:
        changed = named(step.changed_inputs() or step.properties)
        yield Change(component=plan.component(step), text=("The initial version changes: ", *changed))
