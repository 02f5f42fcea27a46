"""What happens to first values: in the stack file, in Pulumi's state, and by mistake in AWS."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from automation.report.model import Change, Component, Danger, Finding, Kind, Name, Text, joined, named
from automation.report.steps import LOGIN, SECRET, SECRET_COMPONENT, UNKNOWN, VERSION, Plan, Step, hidden
from components import reach


def initial_values(step: Step | None, *, old: bool) -> Mapping[str, Any]:
    """Key to where its first value comes from, as a component Secret says; empty for any other step.

    A secret without keys has one entry, whose key is in words (components/reach.py).
    """
    if step is None or step.type != SECRET_COMPONENT:
        return {}
    return reach.declared_values((step.old if old else step.new).inputs)


def component(step: Step, plan: Plan) -> Iterator[Finding]:
    """A component Secret, whose inputs say where values come from and who writes them."""
    if step.op != "update" or "initialValues" not in step.old.inputs or _writes_a_value(step, plan):
        return
    owner = plan.component(step)
    if any(hidden(state.inputs.get("initialValues")) for state in (step.old, step.new)):
        text: Text = ("Pulumi hides which values it has, and so what happens to them",)
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=text)
        return
    before, after = (initial_values(step, old=old) for old in (True, False))
    modes = [str(state.inputs.get("mode", reach.ONCE)) for state in (step.old, step.new)]
    if modes[0] != modes[1]:
        text = ("The values are written in another mode: ", Name(modes[1]), " instead of ", Name(modes[0]))
        yield Change(component=owner, text=text)
    removed = {str(key) for key in reach.asked_away(step.old.inputs, step.new.inputs)}
    if reach.content_of(step.old.inputs) != reach.content_of(step.new.inputs):
        yield _other_content(step, owner)
        if modes[1] != reach.ONCE and not reach.whole_name(step.new.inputs):
            # the text in AWS may be a JSON object, and then the writer treats it as one
            renewed = {key for key, origin in after.items() if reach.generation_of(origin) > 1}
            yield from _written(set(), renewed, removed, owner)
        return
    added, renewed = {*after} - {*before}, {*reach.raised(before, after)}
    reaching: set[str] = set()
    if modes[1] != reach.ONCE:
        reaching = {*added, *renewed, *removed}
        yield from _written(added, renewed, removed, owner)
    before, after = (
        {key: origin for key, origin in values.items() if key not in reaching} for values in (before, after)
    )
    explained = modes[0] != modes[1] or bool(reaching or removed)
    yield from _staying_out(before, after, owner, explained=explained)


def _other_content(step: Step, owner: Component) -> Danger:
    """What happens where a secret has keys no more, or is to have some."""
    before, after = reach.contents_in_words(step.old.inputs, step.new.inputs)
    if step.new.inputs.get("mode", reach.ONCE) != reach.ONCE and reach.replaces_content(step.new.inputs):
        text: Text = (f"Becomes {after} instead of {before} in AWS, because its generation is raised",)
        return Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)
    text = (f"In the stack file it becomes {after} instead of {before}: AWS keeps the value that it has",)
    return Danger(kind=Kind.STAYS_OUT_OF_AWS, component=owner, text=text)


def _written(added: set[str], renewed: set[str], removed: set[str], owner: Component) -> Iterator[Finding]:
    """What the writer does."""
    if added:
        yield Change(component=owner, text=(*named(added), " is added in AWS"))
    if renewed:
        text: Text = (*named(renewed), " gets a new value in AWS, because its generation was raised")
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)
    if removed:
        text = (*named(removed), " is taken out of the secret")
        yield Danger(kind=Kind.OVERWRITES_VALUE, component=owner, text=text)


def _staying_out(
    before: Mapping[str, Any], after: Mapping[str, Any], owner: Component, *, explained: bool
) -> Iterator[Finding]:
    """What AWS keeps as it is; `explained` if the update has another cause than a value that is hidden."""
    changed = {key for key in {*before} & {*after} if before[key] != after[key]}
    secret_ones = {key for key in {*before} & {*after} if hides(before[key]) and hides(after[key])} - changed
    sentences: list[Text] = []
    if changed:
        perhaps: Text = (
            (" (perhaps also of ", *named(secret_ones), ", which is hidden)") if secret_ones else ()
        )
        sentences.append(("the first value of ", *named(changed), " changes", *perhaps))
    if {*after} - {*before}:
        sentences.append((*named({*after} - {*before}), " is added"))
    if {*before} - {*after}:
        sentences.append((*named({*before} - {*after}), " is taken away"))
    if secret_ones and (explained or (sentences and not changed)):
        text: Text = (
            "Pulumi hides whether the configured value of ",
            *named(secret_ones),
            " changes too; if it does, AWS keeps the one that it has",
        )
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=text)
    if not sentences and secret_ones and not explained:
        one_of = "the first value of " if len(secret_ones) == 1 else "the first value of one of "
        sentences.append((one_of, *named(secret_ones), " changes"))
    if sentences:
        yield Danger(
            kind=Kind.STAYS_OUT_OF_AWS,
            component=owner,
            text=("In the stack file ", *joined(sentences, "; "), ": AWS keeps the secret as it is"),
        )


def hides(origin: object) -> bool:
    """Return whether a configured value is secret, with a generation next to it or without."""
    return hidden(origin) or (isinstance(origin, Mapping) and hidden(origin.get("value")))


def _writes_a_value(step: Step, plan: Plan) -> bool:
    """Whether the first value goes to AWS again, against all that this program does."""
    top = plan.top(step).urn
    return any(
        other.type == VERSION and plan.top(other).urn == top and _may_become_live(other)
        for other in plan.steps
    )


def _may_become_live(step: Step) -> bool:
    """Whether a step of an initial version can change the live value.

    AWS makes no version current that is put without AWSCURRENT beside others, and what Pulumi only forgets
    stays as it is.
    """
    if step.op == "create":
        return "AWSCURRENT" in (labels := _labels(step.new.inputs)) or UNKNOWN in labels
    return step.op != "same" and not (step.op == "delete" and step.old.retained)


def _labels(properties: Mapping[str, Any]) -> set[str]:
    """Return a version's labels; AWSCURRENT where none is given, as AWS puts it then."""
    labels = properties.get("versionStages")
    if isinstance(labels, str):
        return {labels}
    return {str(label) for label in labels} if isinstance(labels, list) and labels else {"AWSCURRENT"}


def _other_labels(step: Step) -> bool:
    """Return whether an update moves a version's labels.

    A refresh may leave in the inputs fewer of the labels that the outputs have; that moves none.
    """
    if not step.changed("versionStages"):
        return False
    old, new = _labels(step.old.inputs), _labels(step.new.inputs)
    has = step.old.outputs.get("versionStages")
    had_them = isinstance(has, list) and new == {str(label) for label in has}
    return not (had_them and ("AWSCURRENT" in old or "AWSCURRENT" not in new))


def random_value(step: Step, plan: Plan) -> Iterator[Finding]:
    """A random.RandomPassword: a value in Pulumi's state, which AWS got when the secret was created."""
    if step.op == "same" or plan.begins(step) or plan.ends(step) or _writes_a_value(step, plan):
        return
    parent = plan.parent(step)
    key = unquote(step.name.partition("-random:")[2])
    owner = plan.component(step)
    if not key and parent is not None:
        key = reach.whole_name(parent.new.inputs or parent.old.inputs) or key
    if parent is not None and parent.type == SECRET_COMPONENT:
        before, after = (initial_values(parent, old=old) for old in (True, False))
        if parent.op == "update" and before.get(key) != after.get(key):
            return  # the component says it
    if step.op != "replace":
        text: Text = ("The random value ", Name(key), f" is {step.op}d in Pulumi's state")
        yield Change(component=owner, text=text)
    elif parent is not None and parent.type in {SECRET_COMPONENT, LOGIN}:
        yield Danger(
            kind=Kind.STAYS_OUT_OF_AWS,
            component=owner,
            text=(Name(key), " is generated again in Pulumi's state alone; AWS keeps the value it has"),
        )
    else:
        yield Danger(
            kind=Kind.CANNOT_BE_JUDGED,
            component=owner,
            text=(Name(step.name), " is generated again, and this report does not know who uses it"),
        )


def version(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.secretsmanager.SecretVersion: the one that is written once."""
    made_with_it = any(
        other.type == SECRET and other.parent == step.parent and other.op in {"create", "replace", "delete"}
        for other in plan.steps
    )
    if step.op == "same" or made_with_it:
        return
    if not _may_become_live(step):
        text: Text = (
            ("A first value is kept beside the live one, which stays",)
            if step.op == "create"
            else ("Pulumi no longer keeps a first value",)
        )
        yield Change(component=plan.component(step), text=text)
        return
    what = {
        "create": "A first value is written to a secret that exists: it becomes the live value",
        "replace": "The initial version is deleted and written again: the first value becomes the live value",
        "delete": "The initial version is deleted, and the secret stays: its live value may go with it",
    }.get(step.op)
    value = _other_labels(step) or any(
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
