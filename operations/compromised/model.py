"""The plan of an answer to a leak, and its outcome. Neither has a place for a value."""

from dataclasses import dataclass, field
from datetime import datetime

from operations.renewal.model import ReaderOutcome, ReaderPlan
from program.desired import DesiredSecret


@dataclass(frozen=True, kw_only=True)
class Leak:
    """The extent of a leak: the whole stack if nothing is set.

    Attributes:
        secret: the name of one secret.
        key: its only key that leaked; None for all of its keys.
        workload: the name of a workload, whose secrets leaked.
    """

    secret: str | None = None
    key: str | None = None
    workload: str | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task for a person.

    Attributes:
        where: the secret, with the key if there is one, or the workload.
        text: what to do.
        commands: exact shell commands, in order; no value is on their command lines.
    """

    where: str
    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SecretPlan:
    """The plan for a secret.

    Attributes:
        secret: as declared.
        rotations: how often it must be rotated until the leaked value is dead; 0 if nothing rotates it.
        function: ARN of the function that the deployment declares; empty if AWS rotates the secret itself.
        is_login: whether its sessions must be ended.
        keys: generated keys that the writer regenerates; the key of a whole value is empty.
        tasks: what a person must do about its other keys.
        checks: how to prove that the old value is dead.
    """

    secret: DesiredSecret
    rotations: int = 0
    function: str = ""
    is_login: bool = False
    keys: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    checks: tuple[Task, ...] = ()

    @property
    def name(self) -> str:
        """Its name in AWS."""
        return self.secret.name

    @property
    def is_renewed(self) -> bool:
        """Return whether the command renews something of it."""
        return bool(self.rotations or self.keys)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An answer to a leak.

    Attributes:
        secrets: the secrets, in the order of the stack file.
        readers: their workloads.
        tasks: what a person must do about secrets of others.
    """

    secrets: tuple[SecretPlan, ...]
    readers: tuple[ReaderPlan, ...]
    tasks: tuple[Task, ...] = ()


@dataclass(kw_only=True)
class SecretOutcome:
    """The outcome for a secret.

    Attributes:
        before, after: ids of the current version.
        rotated: ids of the versions that this incident's rotations created, in order.
        dead_at: when the last rotation was seen to be complete, which is when the old value died.
        regenerated: keys that the writer regenerated.
        sessions: number of sessions that were ended; None if it has none.
        problems: what failed, with what to do.
    """

    name: str
    arn: str = ""
    before: str = ""
    after: str = ""
    rotated: list[str] = field(default_factory=list)
    dead_at: datetime | None = None
    regenerated: list[str] = field(default_factory=list)
    sessions: int | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def is_renewed(self) -> bool:
        """Return whether readers have something new to read."""
        return bool(self.rotated or self.regenerated)


@dataclass(kw_only=True)
class Report:
    """The whole answer.

    Attributes:
        since: start of the incident, with which a repetition goes on.
        ended: None until the command has ended.
        checks: how to prove that the old values are dead.
    """

    stack: str
    account: str
    region: str
    since: datetime
    started: datetime
    ended: datetime | None = None
    dry_run: bool = False
    secrets: dict[str, SecretOutcome] = field(default_factory=dict)
    readers: list[ReaderOutcome] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    checks: list[Task] = field(default_factory=list)
    update: str = ""

    @property
    def has_failures(self) -> bool:
        """Return whether something failed that the command should have done."""
        readers = any(reader.outcome == "failed" for reader in self.readers)
        return readers or any(secret.problems for secret in self.secrets.values())

    @property
    def is_left(self) -> bool:
        """Return whether a person must still do something."""
        return bool(self.tasks) or any(reader.outcome == "by-hand" for reader in self.readers)
