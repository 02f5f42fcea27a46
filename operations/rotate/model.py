"""The plan of a run, and its outcome. Neither has a place for a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from operations.renewal.model import ReaderPlan
from program.desired import DesiredSecret

Validity = Literal["until-next-rotation", "ended", "as-readers-accept", "own-function"]
SecretState = Literal["unchanged", "planned", "rotated", "rolled-back", "failed"]
ReaderState = Literal["planned", "healthy", "failed", "waiting", "by-hand", "unchanged"]
Holds = Literal["old", "new", "unknown"]


@dataclass(frozen=True, kw_only=True)
class SecretPlan:
    """A secret to rotate.

    Attributes:
        secret: as declared.
        function: ARN of the function that the deployment declares.
        validity: how long its old value works after the rotation.
    """

    secret: DesiredSecret
    function: str
    validity: Validity

    @property
    def name(self) -> str:
        """Its name in AWS."""
        return self.secret.name


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run.

    Attributes:
        secrets: in the order in which they are rotated.
        readers: their workloads, in the order in which they are restarted.
        before: reader to all workloads that must be restarted before it.
        notes: about secrets that the command leaves alone.
    """

    secrets: tuple[SecretPlan, ...]
    readers: tuple[ReaderPlan, ...]
    before: Mapping[str, frozenset[str]]
    notes: tuple[str, ...] = ()


@dataclass(kw_only=True)
class SecretOutcome:
    """The outcome for a secret.

    Attributes:
        before, after: ids of the version that was current, and of the one that this run created; `before` is
            empty if another version has become current since.
        next_rotation: when AWS rotates it again at the latest, if it rotates on a schedule.
        problem: what failed, with what to do.
    """

    name: str
    validity: Validity
    arn: str = ""
    state: SecretState = "unchanged"
    before: str = ""
    after: str = ""
    next_rotation: datetime | None = None
    problem: str = ""


@dataclass(kw_only=True)
class ReaderOutcome:
    """The outcome for a workload.

    Attributes:
        holds: which value its tasks have, as far as the command can see.
        text: what was done, or what to do.
        commands: what a person must run, or can run to find the cause.
    """

    name: str
    state: ReaderState
    holds: Holds
    text: str
    commands: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Report:
    """A whole run.

    Attributes:
        since: start of the first run, with which a repetition goes on.
        ended: None until the command has ended.
        back: whether it is the way back.
        stopped: why the run ended before its end; empty if it did not.
        go_on: the command that goes on.
        way_back: the command that goes back, and the same step by step.
    """

    stack: str
    account: str
    region: str
    since: datetime
    started: datetime
    ended: datetime | None = None
    dry_run: bool = False
    back: bool = False
    secrets: dict[str, SecretOutcome] = field(default_factory=dict)
    readers: dict[str, ReaderOutcome] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stopped: str = ""
    go_on: str = ""
    way_back: tuple[str, ...] = ()

    @property
    def has_failures(self) -> bool:
        """Return whether something failed."""
        return (
            bool(self.stopped)
            or any(one.state == "failed" for one in self.secrets.values())
            or any(one.state == "failed" for one in self.readers.values())
        )

    @property
    def is_left(self) -> bool:
        """Return whether a person must still do something."""
        return any(one.state in {"by-hand", "waiting"} for one in self.readers.values())
