"""Compare each setting of a secret in state, in the stack file and in AWS.

Free text, such as descriptions and tag values, is compared but never shown.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from components.policies import AWS_MANAGED_ALIAS
from operations.report.access import PolicyChange, as_mapping, describe, policy_change
from operations.report.live.model import LiveSecret, Snapshot
from operations.report.live.subjects import Subject
from operations.report.model import Name, Text, joined, named
from operations.report.policies import wider
from operations.report.rotation import in_words
from operations.report.steps import PROVIDER, UNKNOWN, Plan, Step, is_hidden

# `reverted`: the update writes another value; `adopted`: the stack file now has the value in AWS.
Fate = Literal["reverted", "adopted", "left"]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A setting in AWS that differs from Pulumi's state.

    Attributes:
        what: begins a sentence, such as `The policy was edited`.
        fate: what the update does with the edit.
        now: the setting in AWS, if it may be shown.
        reverted: details of what the update writes.
    """

    what: Text
    fate: Fate
    now: Text = ()
    reverted: tuple[Text, ...] = ()


def edits(subject: Subject, live: LiveSecret, snapshot: Snapshot, plan: Plan) -> Iterator[Edit]:
    """Yield the settings of an existing secret that differ from state."""
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
    """Return whether the provider calls UpdateSecret, which writes description and key together."""
    return step.op == "update" and (step.changed("description") or step.changed("kmsKeyId"))


def _description(step: Step, live: LiveSecret) -> Iterator[Edit]:
    before, after = _in_state(step, "description"), step.new.inputs.get("description")
    if is_hidden(before) or UNKNOWN in (before, after) or str(before or "") == live.description:
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
    # without a key in the stack file the provider does not change the one in AWS
    writes = _updates_secret(step) and after != ""
    same = step.op == "update" and step.changed("kmsKeyId") and after == now
    shown: Text = (Name(now),) if now else ("the AWS managed key",)
    yield Edit(what=("The KMS key was changed",), now=shown, fate=_fate(writes=writes, same=same))


def _tags(step: Step, live: LiveSecret, ignored: tuple[frozenset[str], tuple[str, ...]]) -> Iterator[Edit]:
    declared = as_mapping(step.old.inputs.get("tags"))
    before = {**as_mapping(_in_state(step, "tags")), **as_mapping(step.old.outputs.get("tagsAll"))}
    desired = as_mapping(step.new.inputs.get("tags"))
    keys, prefixes = ignored
    by_fate: dict[Fate, set[str]] = {}
    for key in {*before, *live.tags}:
        if key in keys or key.startswith(prefixes) or is_hidden(before.get(key)):
            continue
        if before.get(key) == live.tags.get(key):
            continue
        # the provider's default tags are in state only
        after = desired.get(key) if key in desired or key in declared else before.get(key)
        changes = step.op == "update" and after != before.get(key)
        same = changes and after == live.tags.get(key)
        by_fate.setdefault(_fate(writes=changes, same=same), set()).add(key)
    for fate in sorted(by_fate):
        yield Edit(what=("Tags were edited",), now=named(by_fate[fate]), fate=fate)


def _ignored_tags(plan: Plan) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the keys and the key prefixes of tags that the provider ignores, including AWS's own."""
    keys: set[str] = set()
    prefixes = {"aws:"}
    for step in plan.steps:
        if step.type != PROVIDER:
            continue
        declared = step.new.inputs.get("ignoreTags")
        try:  # a provider's nested inputs are JSON
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
    removes = before - after if after else set()  # the provider keeps all if the whole list is removed
    for what, regions in (("A replica was added", now - before), ("A replica was removed", before - now)):
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
    """Return the regions of a list of replicas; None if the list is not known."""
    if replicas is None:
        return set()
    if not isinstance(replicas, list) or not all(isinstance(replica, Mapping) for replica in replicas):
        return None
    return {str(replica.get("region")) for replica in replicas}


def _rotation(step: Step | None, live: LiveSecret, *, own: bool) -> Iterator[Edit]:
    """Compare the rotation.

    Args:
        step: the step of the rotation, if the stack has one.
        live: the secret in AWS.
        own: whether the stack has the secret itself; one that RDS manages rotates even without the stack.
    """
    before = _Schedule.of_state(step.old.outputs or step.old.inputs) if step and step.op != "create" else None
    now = _Schedule(live.rotation.rules, live.rotation.function) if live.rotation else None
    if _is_same(before, now):
        return
    retained = step is not None and step.op == "delete" and step.old.retained
    writes = step is not None and step.op != "same" and not retained
    after = _Schedule.of_state(step.new.inputs) if step and step.op != "delete" else None
    what = "Rotation was turned off" if now is None else "Rotation was changed"
    if before is None:
        what = "Rotation was turned on" if own else "Rotation is already on"
    shown: Text = in_words(now.rules) if now else ()
    if before and now and _is_same(_Schedule(before.rules, now.function), now):
        shown = ("a different function rotates it",)
    becomes: Text = ("it will rotate ", *in_words(after.rules)) if after else ("it will no longer rotate",)
    yield Edit(
        what=(what,),
        now=shown,
        fate=_fate(writes=writes, same=writes and _is_same(after, now)),
        reverted=(becomes,),
    )


@dataclass(frozen=True)
class _Schedule:
    """A rotation schedule, named as in the inputs of a SecretRotation, and the function's ARN."""

    rules: Mapping[str, Any]
    function: str

    @classmethod
    def of_state(cls, properties: Mapping[str, Any]) -> "_Schedule | None":
        if properties.get("rotationEnabled") is False:
            return None
        return cls(
            as_mapping(properties.get("rotationRules")), str(properties.get("rotationLambdaArn") or "")
        )


def _is_same(one: _Schedule | None, live: _Schedule | None) -> bool:
    if one is None or live is None:
        return one is live
    # for a schedule expression, AWS computes the days itself
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
    drift = policy_change(state, live.policy)
    if drift.old is None or drift.new is None:
        if state != live.policy:
            yield Edit(what=("The policy may have been edited",), fate="left")
        return
    if not wider(drift.old, drift.new) and not wider(drift.new, drift.old):
        return
    writes = step is not None and step.op != "same"
    desired = policy_change(None, step.new.inputs.get("policy") if step and step.op != "delete" else None)
    becomes = PolicyChange(old=drift.new, new=desired.new, source=f"{drift.source} {desired.source}")
    same = becomes.new is not None and not _details(becomes, plan)
    yield Edit(
        what=("The policy was edited",),
        now=joined(_drift(drift, plan), "; "),
        fate=_fate(writes=writes, same=writes and same),
        reverted=tuple(_details(becomes, plan)),
    )


def _drift(drift: PolicyChange, plan: Plan) -> list[Text]:
    """Return what the live policy grants beyond the one in state, and what it lacks."""
    return [
        (how, *describe(difference, drift.source, plan))
        for how, old, new in (
            ("it newly grants ", drift.old, drift.new),
            ("it no longer grants ", drift.new, drift.old),
        )
        if (difference := wider(old or [], new or []))
    ]


def _details(becomes: PolicyChange, plan: Plan) -> list[Text]:
    """Return what the update revokes and grants compared with the live policy."""
    if becomes.new is None:
        return [("the new policy is not known before the update",)]
    return [
        (how, *describe(difference, becomes.source, plan))
        for how, old, new in (
            ("revokes ", becomes.new, becomes.old),
            ("grants ", becomes.old, becomes.new),
        )
        if (difference := wider(old or [], new or []))
    ]
