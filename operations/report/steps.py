"""The steps of an update, with the engine's several steps for one resource merged into one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from components import tokens
from operations import signatures
from operations.report.model import Component, Name, Text

# Assets and archives have a `hash` of their content.
FILES = {signatures.ASSET, signatures.ARCHIVE}
UNKNOWN = signatures.UNKNOWN_TEXT

_REPLACING = {
    *("replace", "create-replacement", "delete-replaced"),
    *("read-replacement", "discard-replaced", "import-replacement"),
}
_PLAIN = {"same", "create", "update", "delete", "read", "import"}

# Component type to the word that reports use; part of their JSON.
WORDS = {
    tokens.SECRET: "secret",
    tokens.CACHE_LOGIN: "login",
    tokens.MYSQL_LOGIN: "login",
    tokens.POSTGRES_LOGIN: "login",
    tokens.SMTP_CREDENTIALS: "login",
    tokens.READ_ACCESS: "reader",
    tokens.ROTATION: "rotation",
    tokens.MASTER_ROTATION: "master secret",
    tokens.PARTNER_ROTATION: "partner rotation",
    tokens.ROTATION_FUNCTION: "rotation function",
    tokens.ECS_REDEPLOYMENT: "redeployment",
    tokens.VALUE_WRITER: "writer",
    tokens.SECRET_COPIER: "copier",
    tokens.NOTICES: "notices",
    tokens.SCHEDULED_REHEARSAL: "scheduled rehearsal",
    tokens.ENCRYPTION_KEY: "encryption key",
}
LOGINS = {tokens.CACHE_LOGIN, tokens.MYSQL_LOGIN, tokens.POSTGRES_LOGIN, tokens.SMTP_CREDENTIALS}
"""Components that have a secret."""
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
PROVIDER = "pulumi:providers:aws"


@dataclass(frozen=True, kw_only=True)
class State:
    """A resource before or after the update.

    Attributes:
        inputs, outputs: its properties.
        parent: URN of its parent.
        custom: False for a component, which has no counterpart in AWS.
        protect: whether Pulumi refuses to delete it.
        retained: whether it stays in AWS when it is removed from the stack.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    custom: bool = False
    protect: bool = False
    retained: bool = False


_NOTHING = State()
_ARN_COLONS = 5  # arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
_MOST = 1_000_000  # above any limit in AWS


@dataclass(frozen=True, kw_only=True)
class Step:
    """The change of one resource.

    Attributes:
        op: same, create, update, replace, delete, read or import.
        urn, type, name: the resource.
        old, new: its state before and after the update; empty if it does not exist.
        properties: paths of the properties that change.
        causes: properties that require a replacement.
    """

    op: str
    urn: str
    type: str
    name: str
    old: State
    new: State
    properties: tuple[str, ...]
    causes: tuple[str, ...]

    @property
    def parent(self) -> str:
        """Return the URN of the parent."""
        return self.new.parent or self.old.parent

    def changed(self, key: str) -> bool:
        """Return whether an input changed, or the provider reports a change of it."""
        old, new = _by_content(self.old.inputs.get(key)), _by_content(self.new.inputs.get(key))
        return old != new or any(
            path == key or path.startswith((f"{key}.", f"{key}[")) for path in self.properties
        )

    def changed_inputs(self) -> list[str]:
        """Return the top-level inputs that change; none if the engine has nothing to do."""
        if self.op == "same":
            return []
        keys = {*self.old.inputs, *self.new.inputs} - {"__defaults"}
        return sorted(key for key in keys if self.changed(key))


def _by_content(value: object) -> object:
    """Return the hash of an asset or archive, whose path depends on the checkout, or any other value."""
    if isinstance(value, Mapping) and value.get(signatures.KEY) in FILES and value.get("hash"):
        return value["hash"]
    return value


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All steps of an update, and the relations between them.

    Attributes:
        steps: one step for each resource, ordered by URN.
        by_urn: URN to step.
        created_secrets: names of the secrets that the update creates.
        names_by_arn: ARN to name of the stack's existing secrets.
        read_by_arn: ARNs of the secrets of others that components read.
    """

    steps: tuple[Step, ...]
    by_urn: Mapping[str, Step]
    created_secrets: frozenset[str]
    names_by_arn: Mapping[str, str]
    read_by_arn: frozenset[str] = frozenset()

    @cached_property
    def own_secrets(self) -> frozenset[str]:
        """Return the names of the stack's secrets before or after the update."""
        return self.created_secrets.union(self.names_by_arn.values())

    @cached_property
    def accounts(self) -> frozenset[str]:
        """Return the accounts of the stack's secrets; empty if none exists yet."""
        return frozenset(arn.split(":")[4] for arn in self.names_by_arn if arn.count(":") >= _ARN_COLONS)

    @property
    def has_live_secrets(self) -> bool:
        """Return whether a secret of the stack already exists."""
        return any(step.type == SECRET and step.op != "create" for step in self.steps)

    def parent(self, step: Step) -> Step | None:
        """Return the step of the parent; None if the log has none."""
        return self.by_urn.get(step.parent)

    def top(self, step: Step) -> Step:
        """Return the step of the outermost component that contains it, or the step itself."""
        seen = set()
        while step.urn not in seen and step.parent and ":pulumi:Stack::" not in step.parent:
            seen.add(step.urn)
            step = self.parent(step) or _not_logged(step.parent)
        return step

    def component(self, step: Step) -> Component:
        """Return the component that findings about a step name."""
        top = self.top(step)
        return Component(what=WORDS.get(top.type, "resource"), name=top.name)

    def in_new_component(self, step: Step) -> bool:
        """Return whether the outermost component is created."""
        return self.top(step).op == "create"

    def in_deleted_component(self, step: Step) -> bool:
        """Return whether the outermost component is deleted."""
        return self.top(step).op == "delete"


def _not_logged(urn: str) -> Step:
    """Return an unchanged step for a parent that the log does not have."""
    types, _, name = urn.split("::", 2)[-1].partition("::")
    return Step(
        op="same",
        urn=urn,
        type=types.rpartition("$")[2],
        name=name,
        old=_NOTHING,
        new=_NOTHING,
        properties=(),
        causes=(),
    )


def number(value: object) -> int | None:
    """Return a whole number, such as a number of days; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return int(value)


def is_hidden(value: object) -> bool:
    """Return whether the engine hides a value because it is secret."""
    return value == "[secret]" or (
        isinstance(value, Mapping) and value.get(signatures.KEY) == signatures.SECRET
    )


def build_plan(metadata: Iterable[Mapping[str, Any]]) -> tuple[Plan, tuple[Text, ...]]:
    """Merge the engine's steps into a plan.

    Args:
        metadata: metadata of the engine's steps, in order.

    Returns:
        The plan, and the reasons why it may be incomplete.
    """
    by_urn: dict[str, list[Mapping[str, Any]]] = {}
    refreshed = False
    problems: list[Text] = []
    for step in metadata:
        if step["op"] == "refresh":
            refreshed = True
        elif step["op"] in _REPLACING | _PLAIN:
            by_urn.setdefault(step["urn"], []).append(step)
        else:
            problems.append(("the engine's operation ", Name(step["op"]), " is unknown to this report"))
    if refreshed and not by_urn:
        problems.append(("this is the log of a refresh, which this report cannot assess",))
    steps = tuple(_merge(urn, by_urn[urn]) for urn in sorted(by_urn))
    secrets = [step for step in steps if step.type == SECRET]
    plan = Plan(
        steps=steps,
        by_urn={step.urn: step for step in steps},
        created_secrets=frozenset(
            str(step.new.inputs.get("name")) for step in secrets if step.op == "create"
        ),
        names_by_arn={
            str(step.old.outputs["arn"]): str(step.old.outputs.get("name"))
            for step in secrets
            if "arn" in step.old.outputs
        },
        read_by_arn=frozenset(
            str(arn)
            for step in steps
            for state in (step.old, step.new)
            if isinstance(arns := state.inputs.get("readsByArn"), list)
            for arn in arns
        ),
    )
    return plan, tuple(dict.fromkeys(problems))


def _merge(urn: str, steps: list[Mapping[str, Any]]) -> Step:
    ops = {step["op"] for step in steps}
    op = "replace" if ops & _REPLACING or len(ops - {"same"}) > 1 else min(ops - {"same"}, default="same")
    old = next((step["old"] for step in steps if step.get("old")), None)
    new = next((step["new"] for step in steps if step.get("new")), None)
    paths = {
        str(path)
        for step in steps
        for path in (
            *(step.get("detailedDiff") or {}),
            *(() if step.get("detailedDiff") else step.get("diffs") or ()),
        )
    }
    causes = {str(key) for step in steps for key in step.get("keys") or ()}
    before, after = _state(old), _state(new)
    return Step(
        op=op,
        urn=urn,
        type=steps[0]["type"],
        name=urn.split("::", 3)[3],
        old=before,
        new=after,
        # for a component the engine reports that inputs differ, but not where
        properties=tuple(
            sorted(paths or (_differing(before.inputs, after.inputs) if op == "update" else ()))
        ),
        causes=tuple(sorted(causes)),
    )


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Return the paths of differing inputs, at most two levels deep."""
    paths = set()
    for key in {*old, *new}:
        before, after = _by_content(old.get(key)), _by_content(new.get(key))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            paths |= {
                f"{key}.{inner}" for inner in {*before, *after} if before.get(inner) != after.get(inner)
            }
        elif before != after:
            paths.add(str(key))
    return paths


def _state(state: Mapping[str, Any] | None) -> State:
    if state is None:
        return _NOTHING
    return State(
        inputs=state.get("inputs") or {},
        outputs=state.get("outputs") or {},
        parent=str(state.get("parent") or ""),
        custom=bool(state.get("custom")),
        protect=bool(state.get("protect")),
        retained=bool(state.get("retainOnDelete")),
    )
