"""Each setting of a secret on its three sides, and what becomes of an edit that was made in AWS.

Descriptions, values of tags and whatever else may hold any text are compared and never shown.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from automation.report.access import Compared, as_mapping, compared, spelled
from automation.report.live.model import LiveSecret, Snapshot
from automation.report.live.subjects import Subject
from automation.report.model import Name, Text, joined, named
from automation.report.policies import Statement, wider
from automation.report.rotation import in_words
from automation.report.steps import PROVIDER, UNKNOWN, Plan, Step, hidden
from components.policies import AWS_MANAGED_ALIAS

# `reverted`: the update writes something else; `adopted`: the stack file now has what AWS has.
Fate = Literal["reverted", "adopted", "left"]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Something that AWS has otherwise than Pulumi's state.

    Attributes:
        what: begins a sentence, such as `The policy was edited`.
        now: what AWS has, where that can be shown.
        fate: what the update does with it.
        reverted: what the update does in detail.
    """

    what: Text
    fate: Fate
    now: Text = ()
    reverted: tuple[Text, ...] = ()


def edits(subject: Subject, live: LiveSecret, snapshot: Snapshot, plan: Plan) -> Iterator[Edit]:
    """Return what AWS has otherwise than state, of a secret that is there."""
    if subject.secret is not None:
        yield from _description(subject.secret, live)
        yield from _encryption(subject.secret, live, snapshot)
        yield from _tags(subject.secret, live, _ignored_tags(plan))
        yield from _replicas(subject.secret, live)
        yield from _policy(subject.policy, live, plan)
    if subject.secret is not None or subject.rotation is not None:
        yield from _rotation(subject.rotation, live, own=subject.secret is not None)


def _fate(*, writes: bool, same: bool) -> Fate:
    if same:
        return "adopted"
    return "reverted" if writes else "left"


def _in_state(step: Step, key: str) -> Any:  # noqa: ANN401  whatever JSON holds
    return step.old.outputs.get(key, step.old.inputs.get(key))


def _updates_secret(step: Step) -> bool:
    """Return whether the provider calls UpdateSecret, which takes the description and the key."""
    return step.op == "update" and (step.changed("description") or step.changed("kmsKeyId"))


def _description(step: Step, live: LiveSecret) -> Iterator[Edit]:
    before, after = _in_state(step, "description"), step.new.inputs.get("description")
    if hidden(before) or UNKNOWN in (before, after) or str(before or "") == live.description:
        return
    changed = step.op == "update" and step.changed("description")
    same = changed and str(after or "") == live.description
    yield Edit(what=("The description was edited",), fate=_fate(writes=_updates_secret(step), same=same))


def _encryption(step: Step, live: LiveSecret, snapshot: Snapshot) -> Iterator[Edit]:
    def arn(name: object) -> str:
        text = "" if str(name or "").endswith(AWS_MANAGED_ALIAS) else str(name or "")
        known = snapshot.keys.get(text)
        return known.arn if known else text

    before, after, now = (
        arn(name) for name in (_in_state(step, "kmsKeyId"), step.new.inputs.get("kmsKeyId"), live.kms_key)
    )
    if before == now:
        return
    # without a key in the stack file the provider leaves AWS's as it is
    writes = _updates_secret(step) and after != ""
    same = step.op == "update" and step.changed("kmsKeyId") and after == now
    shown: Text = (Name(now),) if now else ("the key that AWS manages",)
    yield Edit(what=("Another KMS key was chosen",), now=shown, fate=_fate(writes=writes, same=same))


def _tags(step: Step, live: LiveSecret, ignored: tuple[frozenset[str], tuple[str, ...]]) -> Iterator[Edit]:
    declared = as_mapping(step.old.inputs.get("tags"))
    before = {**as_mapping(_in_state(step, "tags")), **as_mapping(step.old.outputs.get("tagsAll"))}
    wanted = as_mapping(step.new.inputs.get("tags"))
    keys, prefixes = ignored
    by_fate: dict[Fate, set[str]] = {}
    for key in {*before, *live.tags}:
        if key in keys or key.startswith(prefixes) or hidden(before.get(key)):
            continue
        if before.get(key) == live.tags.get(key):
            continue
        # default tags of the provider are in state only
        after = wanted.get(key) if key in wanted or key in declared else before.get(key)
        changes = step.op == "update" and after != before.get(key)
        same = changes and after == live.tags.get(key)
        by_fate.setdefault(_fate(writes=changes, same=same), set()).add(key)
    for fate in sorted(by_fate):
        yield Edit(what=("Tags were edited",), now=named(by_fate[fate]), fate=fate)


def _ignored_tags(plan: Plan) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the keys and prefixes of tags that the provider leaves alone, besides AWS's own."""
    keys: set[str] = set()
    prefixes = {"aws:"}
    for step in plan.steps:
        if step.type != PROVIDER:
            continue
        declared = step.new.inputs.get("ignoreTags")
        try:  # providers take nested inputs as JSON
            ignored = as_mapping(json.loads(declared) if isinstance(declared, str) else declared)
        except (ValueError, RecursionError):
            continue
        keys |= {*map(str, _listed(ignored.get("keys")))}
        prefixes |= {*map(str, _listed(ignored.get("keyPrefixes")))}
    return frozenset(keys), tuple(prefixes)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _replicas(step: Step, live: LiveSecret) -> Iterator[Edit]:
    before, after = _regions(_in_state(step, "replicas")), _regions(step.new.inputs.get("replicas"))
    if before is None or after is None:
        return
    now = {*live.replicas}
    removes = before - after if after else set()  # the whole list gone, the provider leaves them all
    for what, regions in (("A copy was added", now - before), ("A copy was removed", before - now)):
        if not regions:
            continue
        written = regions & (removes | (after - before)) if step.op == "update" else set[str]()
        adopted = {region for region in written if (region in after) == (region in now)}
        by_fate: dict[Fate, set[str]] = {
            "reverted": written - adopted,
            "adopted": adopted,
            "left": regions - written,
        }
        for fate in filter(by_fate.__getitem__, by_fate):
            yield Edit(what=(what,), now=named(by_fate[fate]), fate=fate)


def _regions(replicas: object) -> set[str] | None:
    """Return the regions of a list of replicas; None if it is not known."""
    if replicas is None:
        return set()
    if not isinstance(replicas, list) or not all(isinstance(replica, Mapping) for replica in replicas):
        return None
    return {str(replica.get("region")) for replica in replicas}


def _rotation(step: Step | None, live: LiveSecret, *, own: bool) -> Iterator[Edit]:
    """Compare the rotation; a secret that is not the stack's `own` rotated before the stack knew it."""
    before = _Schedule.of_state(step.old.outputs or step.old.inputs) if step and step.op != "create" else None
    now = _Schedule(live.rotation.rules, live.rotation.function) if live.rotation else None
    if _alike(before, now):
        return
    kept = step is not None and step.op == "delete" and step.old.retained
    writes = step is not None and step.op != "same" and not kept
    after = _Schedule.of_state(step.new.inputs) if step and step.op != "delete" else None
    what = "Rotation was switched off" if now is None else "Rotation was changed"
    if before is None:
        what = "Rotation was switched on" if own else "It rotates already"
    shown: Text = in_words(now.rules) if now else ()
    if before and now and _alike(_Schedule(before.rules, now.function), now):
        shown = ("another function rotates it",)
    becomes: Text = ("it rotates ", *in_words(after.rules)) if after else ("it no longer rotates",)
    yield Edit(
        what=(what,),
        now=shown,
        fate=_fate(writes=writes, same=writes and _alike(after, now)),
        reverted=(becomes,),
    )


@dataclass(frozen=True)
class _Schedule:
    """Rules as inputs of a SecretRotation, and the function's ARN."""

    rules: Mapping[str, Any]
    function: str

    @classmethod
    def of_state(cls, properties: Mapping[str, Any]) -> "_Schedule | None":
        if properties.get("rotationEnabled") is False:
            return None
        return cls(
            as_mapping(properties.get("rotationRules")), str(properties.get("rotationLambdaArn") or "")
        )


def _alike(one: _Schedule | None, live: _Schedule | None) -> bool:
    if one is None or live is None:
        return one is live
    # of an expression AWS computes the days
    keys = ["scheduleExpression", "duration"]
    if not one.rules.get("scheduleExpression"):
        keys.append("automaticallyAfterDays")
    if any((one.rules.get(key) or None) != (live.rules.get(key) or None) for key in keys):
        return False
    return UNKNOWN in one.function or one.function == live.function


def _policy(step: Step | None, live: LiveSecret, plan: Plan) -> Iterator[Edit]:
    if live.policy is None:
        return
    state = _in_state(step, "policy") if step and step.op != "create" else None
    drift = compared(state, live.policy)
    if drift.old is None or drift.new is None:
        if state != live.policy:
            yield Edit(what=("The policy cannot be compared with the one",), fate="left")
        return
    if not wider(drift.old, drift.new) and not wider(drift.new, drift.old):
        return
    writes = step is not None and step.op != "same"
    wanted = compared(None, step.new.inputs.get("policy") if step and step.op != "delete" else None)
    becomes = Compared(old=drift.new, new=wanted.new, spelling=f"{drift.spelling} {wanted.spelling}")
    same = becomes.new is not None and not _in_detail(becomes, plan)
    yield Edit(
        what=("The policy was edited",),
        now=joined(_beyond(drift, plan), "; "),
        fate=_fate(writes=writes, same=writes and same),
        reverted=tuple(_in_detail(becomes, plan)),
    )


def _beyond(drift: Compared, plan: Plan) -> list[Text]:
    """Return what the live policy allows more and less than the one in state."""
    return [
        (f"it allows {how} than before, by ", *spelled(found, drift.spelling, plan))
        for how, old, new in (("more", drift.old, drift.new), ("less", drift.new, drift.old))
        if (found := wider(_known(old), _known(new)))
    ]


def _in_detail(becomes: Compared, plan: Plan) -> list[Text]:
    """Return what is allowed after the update and not now, and the other way round."""
    if becomes.new is None:
        return [("with a policy that is not known before the update",)]
    return [
        (how, *spelled(found, becomes.spelling, plan))
        for how, old, new in (
            ("allowed no longer: ", becomes.new, becomes.old),
            ("allowed again: ", becomes.old, becomes.new),
        )
        if (found := wider(_known(old), _known(new)))
    ]


def _known(statements: list[Statement] | None) -> list[Statement]:
    return statements or []
