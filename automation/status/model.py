"""What is known of a stack's secrets, without any value. The names are those of the JSON output too."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

# Grows by one when a field is renamed, taken away or gets another meaning; not when one is added.
VERSION = 1

Kind: TypeAlias = Literal["unavailable", "rotation", "drift", "waiting", "unknown"]
What: TypeAlias = Literal[
    "description", "tags", "encryption", "rotation", "policy", "replicas", "partner", "type"
]
Content: TypeAlias = Literal["keys", "text", "binary"]
Platform: TypeAlias = Literal["kubernetes", "ecs", "lambda"]

_JSON = ConfigDict(alias_generator=to_camel)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that wants a person's attention.

    Attributes:
        kind: `unavailable` (missing in AWS, scheduled for deletion, without a value, or its KMS key cannot be
            used), `rotation` (overdue or unfinished, or the function's alarm), `drift`, `waiting` (for a
            person to fill it), `unknown` (AWS did not say).
        text: what is wrong, a sentence.
        remedy: what to do, a sentence.
    """

    __pydantic_config__ = _JSON

    kind: Kind
    text: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where AWS has something else than the stack file declares.

    Attributes:
        what: which setting.
        declared, actual: both sides, in words.
    """

    __pydantic_config__ = _JSON

    what: What
    declared: str
    actual: str


@dataclass(frozen=True, kw_only=True)
class Placeholder:
    """A key that a person fills, and where to get what it holds; `key` is empty for a whole value."""

    __pydantic_config__ = _JSON

    key: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """How a secret rotates in AWS.

    Attributes:
        state: `on-schedule`; `running`: a rotation began less than an hour ago; `unfinished`: one began and
            did not end; `overdue`: none was made in time; `off`: switched off.
        schedule: in words or as AWS's expression.
        last_rotated: when a rotation last succeeded; none may have.
        next_by: when the next one is over at the latest, as AWS says it.
        pending_since: when the rotation that has not ended put its new value; None also where it put none.
        function: ARN of the function.
    """

    __pydantic_config__ = _JSON

    state: Literal["on-schedule", "running", "unfinished", "overdue", "off"]
    schedule: str
    last_rotated: datetime | None
    next_by: datetime | None
    pending_since: datetime | None
    function: str


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A workload and the keys of one secret that it reads; none where it reads a whole value."""

    __pydantic_config__ = _JSON

    workload: str
    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A secret that the stack file declares or that a workload reads, and what AWS says of it.

    Attributes:
        name: in AWS; the full ARN of one of another account.
        path: in the stack file; of an existing secret the first place that reads it.
        presence: `unknown` where AWS may not be asked, and for a secret of another account.
        arn: full ARN; None unless it is there.
        console: address in AWS's console; None where it is not there, and on an emulated AWS.
        content: what its value is as declared: a JSON object with keys, one text, or binary.
        keys: declared JSON keys, if it has keys; of an existing secret those that workloads read, `*` for
            the whole.
        placeholders: those keys that a person fills.
        filled: `waiting`: the secret still holds its first value; `filled`: somebody has written another one;
            `unclear`: rotation has, which may have come before the person; `not-by-hand`: no placeholders.
        created, last_changed: AWS's dates; the second moves with any change, tags included.
        deletion_after: when AWS deletes it for good; None unless deletion is scheduled.
        rotation: None where AWS rotates it not, and never has.
        drift: differences from the stack file.
        readers: workloads of the stack file that read it.
        problems: what wants attention, worst first.
        existing: this stack does not make it.
        managed_by: the AWS service that manages it, such as `rds`.
        partner: AWS's type of a vendor's credentials that it rotates itself; None for any other secret.
    """

    __pydantic_config__ = _JSON

    name: str
    path: str
    presence: Literal["present", "deletion-scheduled", "missing", "unknown"]
    arn: str | None
    console: str | None
    content: Content
    keys: tuple[str, ...]
    placeholders: tuple[Placeholder, ...]
    filled: Literal["waiting", "filled", "unclear", "not-by-hand", "unknown"]
    created: datetime | None
    last_changed: datetime | None
    deletion_after: datetime | None
    rotation: Rotation | None
    drift: tuple[Difference, ...]
    readers: tuple[Reader, ...]
    problems: tuple[Problem, ...]
    existing: bool = False
    managed_by: str | None = None
    partner: str | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Who reads.

    Attributes:
        name: in the stack file.
        platform: where it runs.
        runs_as: who that is there, in words.
        role: ARN of the role it reads with; None for one that the stack makes and whose name was not given.
    """

    __pydantic_config__ = _JSON

    name: str
    platform: Platform
    runs_as: str
    role: str | None


@dataclass(frozen=True, kw_only=True)
class Function:
    """A rotation function and its error alarms.

    Attributes:
        arn: of the function.
        alarm: the worst state of its alarms, in CloudWatch's words; None without any, or if AWS did not say.
        since: since when.
        secrets: names of the secrets that it rotates.
        problems: what wants attention.
    """

    __pydantic_config__ = _JSON

    arn: str
    alarm: Literal["OK", "ALARM", "INSUFFICIENT_DATA"] | None
    since: datetime | None
    secrets: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How many secrets there are and need nothing; how many, functions included, have a problem of a kind."""

    __pydantic_config__ = _JSON

    secrets: int
    well: int
    unavailable: int
    rotation: int
    drift: int
    waiting: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class Status:
    """A stack's secrets at one moment.

    Attributes:
        version: of this form.
        asked_at: when.
        account, region: where.
        summary: counts.
        secrets: as the stack file has them, then those that workloads read and the stack does not make.
        workloads: who reads.
        functions: what rotates.
    """

    __pydantic_config__ = _JSON

    version: int
    project: str
    stack: str
    account: str
    region: str
    asked_at: datetime
    summary: Summary
    secrets: tuple[Secret, ...]
    workloads: tuple[Workload, ...]
    functions: tuple[Function, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them."""
        return (
            *(problem for secret in self.secrets for problem in secret.problems),
            *(problem for function in self.functions for problem in function.problems),
        )
