"""What the engine does to each resource: its several steps for one resource as one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from automation.report.model import Component, Name, Text

# Source: pulumi/sdk, resource/sig.go: what marks a value that is secret, and an unknown text.
SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

_REPLACING = {
    *("replace", "create-replacement", "delete-replaced"),
    *("read-replacement", "discard-replaced", "import-replacement"),
}
_PLAIN = {"same", "create", "update", "delete", "read", "import"}

SECRET_COMPONENT = "aws-secrets:index:Secret"
LOGIN = "aws-secrets:index:PostgresLogin"
READER = "aws-secrets:index:ReadAccess"
ROTATION = "aws-secrets:index:Rotation"
MASTER_ROTATION = "aws-secrets:index:MasterRotation"
PARTNER_ROTATION = "aws-secrets:index:PartnerRotation"
FUNCTION = "aws-secrets:index:RotationFunction"
REDEPLOYMENT = "aws-secrets:index:EcsRedeployment"
WRITER = "aws-secrets:index:ValueWriter"
KEY = "aws-secrets:index:EncryptionKey"
WORDS = {
    SECRET_COMPONENT: "secret",
    LOGIN: "login",
    READER: "reader",
    ROTATION: "rotation",
    MASTER_ROTATION: "master secret",
    PARTNER_ROTATION: "partner rotation",
    FUNCTION: "rotation function",
    REDEPLOYMENT: "redeployment",
    WRITER: "writer",
    KEY: "encryption key",
}
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
PROVIDER = "pulumi:providers:aws"


@dataclass(frozen=True, kw_only=True)
class State:
    """A resource before or after; a component is not `custom`, and does nothing itself."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    custom: bool = False
    protect: bool = False
    retained: bool = False


_NOTHING = State()
_ARN_COLONS = 5  # arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
_MOST = 1_000_000  # more than AWS takes anywhere


@dataclass(frozen=True, kw_only=True)
class Step:
    """What happens to one resource.

    Attributes:
        op: same, create, update, replace, delete, read or import.
        urn, type, name: of the resource.
        old, new: before and after; empty where there is none.
        properties: paths of what changes.
        causes: properties that a replacement is because of.
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
        """URN of the parent."""
        return self.new.parent or self.old.parent

    def changed(self, key: str) -> bool:
        """Whether an input is another than before, or the provider says so."""
        return self.old.inputs.get(key) != self.new.inputs.get(key) or any(
            path == key or path.startswith((f"{key}.", f"{key}[")) for path in self.properties
        )

    def changed_inputs(self) -> list[str]:
        """Top-level inputs that change; none where the engine found nothing to do."""
        if self.op == "same":
            return []
        keys = {*self.old.inputs, *self.new.inputs} - {"__defaults"}
        return sorted(key for key in keys if self.changed(key))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All steps, and what one must know of the others to judge each.

    Attributes:
        created_secrets: names of the stack's secrets that the update creates.
        names_by_arn: of the stack's secrets that exist.
        read_by_arn: ARNs of secrets that components read and the stack does not make.
    """

    steps: tuple[Step, ...]
    by_urn: Mapping[str, Step]
    created_secrets: frozenset[str]
    names_by_arn: Mapping[str, str]
    read_by_arn: frozenset[str] = frozenset()

    @cached_property
    def own_secrets(self) -> frozenset[str]:
        """Names of the stack's secrets, before the update or after it."""
        return self.created_secrets.union(self.names_by_arn.values())

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The account of the stack's secrets; empty where none exists yet."""
        return frozenset(arn.split(":")[4] for arn in self.names_by_arn if arn.count(":") >= _ARN_COLONS)

    @property
    def has_live_secrets(self) -> bool:
        """Whether a secret of the stack exists already."""
        return any(step.type == SECRET and step.op != "create" for step in self.steps)

    def parent(self, step: Step) -> Step | None:
        """The step of its parent."""
        return self.by_urn.get(step.parent)

    def top(self, step: Step) -> Step:
        """The outermost component that it is part of, or itself."""
        seen = set()
        while step.urn not in seen and step.parent and ":pulumi:Stack::" not in step.parent:
            seen.add(step.urn)
            step = self.parent(step) or _unseen(step.parent)
        return step

    def component(self, step: Step) -> Component:
        """What a reader of the report knows it as."""
        top = self.top(step)
        return Component(what=WORDS.get(top.type, "resource"), name=top.name)

    def begins(self, step: Step) -> bool:
        """Whether it is part of something that is wholly new."""
        return self.top(step).op == "create"

    def ends(self, step: Step) -> bool:
        """Whether it goes with something that goes as a whole."""
        return self.top(step).op == "delete"


def _unseen(urn: str) -> Step:
    """A parent of which the log says nothing."""
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
    """A whole number, such as one of days; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return int(value)


def hidden(value: object) -> bool:
    """Whether a property's value is secret."""
    return value == "[secret]" or (isinstance(value, Mapping) and value.get(SIGNATURE) == _SECRET)


def merged(metadata: Iterable[Mapping[str, Any]]) -> tuple[Plan, tuple[Text, ...]]:
    """The plan, and why it may not be whole."""
    by_urn: dict[str, list[Mapping[str, Any]]] = {}
    refreshed = False
    problems: list[Text] = []
    for step in metadata:
        if step["op"] == "refresh":
            refreshed = True
        elif step["op"] in _REPLACING | _PLAIN:
            by_urn.setdefault(step["urn"], []).append(step)
        else:
            problems.append(("this report does not know the engine's operation ", Name(step["op"])))
    if refreshed and not by_urn:
        problems.append(("this is the log of a refresh, which this report does not judge",))
    steps = tuple(_merged(urn, by_urn[urn]) for urn in sorted(by_urn))
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


def _merged(urn: str, steps: list[Mapping[str, Any]]) -> Step:
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
        # the engine compares a component's inputs, and does not say where they differ
        properties=tuple(
            sorted(paths or (_differing(before.inputs, after.inputs) if op == "update" else ()))
        ),
        causes=tuple(sorted(causes)),
    )


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Paths of what differs, two names deep."""
    paths = set()
    for key in {*old, *new}:
        before, after = old.get(key), new.get(key)
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
