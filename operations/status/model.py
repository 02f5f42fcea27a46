"""The data model of a status. Its field names are those of the JSON output."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

# Increased when a field is renamed, removed or changes its meaning; not when one is added.
VERSION = 1

Kind: TypeAlias = Literal[
    "expired",
    "unavailable",
    "rotation",
    "rehearsal",
    "readers",
    "drift",
    "waiting",
    "aging",
    "unknown",
]
What: TypeAlias = Literal[
    "description", "tags", "encryption", "rotation", "policy", "replicas", "partner", "type"
]
Content: TypeAlias = Literal["keys", "text", "binary"]
Platform: TypeAlias = Literal["kubernetes", "ecs", "lambda"]
RotationState: TypeAlias = Literal["on-schedule", "running", "unfinished", "overdue", "off"]
ReaderKind: TypeAlias = Literal["workload", "policy", "function", "deployment", "person", "service", "other"]
AlarmState: TypeAlias = Literal["OK", "INSUFFICIENT_DATA", "ALARM"]

_JSON = ConfigDict(alias_generator=to_camel)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that needs attention.

    Attributes:
        kind: `expired` (its declared date has passed), `unavailable` (missing in AWS, scheduled for deletion,
            without a value, or its KMS key is unusable), `rotation` (overdue, unfinished, or the function's
            error alarm is on), `rehearsal` (on a schedule: the last one found something that would break the
            next rotation, or there was none in time), `readers` (a principal that is not declared reads it),
            `drift`, `waiting` (for manual input), `aging` (too old, or soon too old or expired), `unknown` (a
            permission is missing).
        text: what is wrong, as one sentence without its period.
        remedy: what to do, in sentences; commands are in backticks.
    """

    __pydantic_config__ = _JSON

    kind: Kind
    text: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A setting that differs between the stack file and AWS.

    Attributes:
        what: the setting.
        declared, actual: its value in the stack file and in AWS, in words.
    """

    __pydantic_config__ = _JSON

    what: What
    declared: str
    actual: str


@dataclass(frozen=True, kw_only=True)
class Placeholder:
    """A key that is filled in by hand, and where to get its value; `key` is empty for a whole value."""

    __pydantic_config__ = _JSON

    key: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """The declared last day on which a key's value is valid; `key` is empty for a whole value."""

    __pydantic_config__ = _JSON

    key: str
    date: date


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """A secret's rotation in AWS.

    Attributes:
        state: `on-schedule`; `running`: a rotation started less than an hour ago; `unfinished`: one started
            and has not finished; `overdue`: none has run in time; `off`: rotation is disabled.
        schedule: in words, or AWS's schedule expression.
        last_rotated: when a rotation last succeeded; None if none has.
        next_by: the latest time of the next rotation, as AWS reports it.
        pending_since: when the unfinished rotation stored its new value; None if it has not.
        function: ARN of the rotation function; empty if AWS rotates the secret itself.
        deferred: how many rotations in a row renewed nothing, because clients use an old password
            (`whileOldPasswordIsUsed: defer`).
    """

    __pydantic_config__ = _JSON

    state: RotationState
    schedule: str
    last_rotated: datetime | None
    next_by: datetime | None
    pending_since: datetime | None
    function: str
    deferred: int = 0


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The last rehearsal of a secret's rotation on a schedule.

    Attributes:
        at: when it ended; None if there was none in time.
        works: whether the next rotation would work; None if there was none in time.
        steps: the steps that would fail.
    """

    __pydantic_config__ = _JSON

    at: datetime | None
    works: bool | None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A workload and the keys of one secret that it reads; no keys if it reads the whole value."""

    __pydantic_config__ = _JSON

    workload: str
    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ActualReader:
    """A principal that read a secret, as CloudTrail recorded it.

    Attributes:
        principal: ARN of the role or user; of a person's session; the AWS service; or what is known of a
            principal of another account.
        account: its account; empty for an AWS service.
        kind: `workload`: the role of a workload in the stack file; `policy`: named in the secret's declared
            resource policy; `function`: one of the stack's functions; `deployment`: a role that updates the
            stack; `person`: AWS recorded MFA, the console, IAM Identity Center or the root user; `service`:
            an AWS service on its own behalf; `other`: none of these.
        declared: whether the stack file has it read this secret.
        workloads: the workloads with this role.
        reads: number of successful reads.
        last_read: the latest of them.
        sources: IP addresses, VPC endpoints or AWS services that it read from, the latest first, at most 5.
    """

    __pydantic_config__ = _JSON

    principal: str
    account: str
    kind: ReaderKind
    declared: bool
    workloads: tuple[str, ...]
    reads: int
    last_read: datetime
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A client that is logged in with a password that the next rotation ends.

    Attributes:
        user: the user in the database.
        host: where it connects from; empty if the server does not show it.
        application: the name that it gave itself; empty if it has none.
    """

    __pydantic_config__ = _JSON

    user: str
    host: str
    application: str


@dataclass(frozen=True, kw_only=True)
class OldPasswords:
    """The clients that use a password which the next rotation ends.

    Attributes:
        outlook: what the next rotation would do about them, in sentences.
        holders: the clients that were seen, at most five.
    """

    __pydantic_config__ = _JSON

    outlook: str
    holders: tuple[Holder, ...]


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A change of the stack file that would fit what was observed.

    Attributes:
        path: the place in the stack file.
        change: whether to add or remove the lines.
        lines: YAML.
        reason: the observation, as one sentence without its period.
    """

    __pydantic_config__ = _JSON

    path: str
    change: Literal["add", "remove"]
    lines: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Readings:
    """The readers of a secret in the observed time, compared with the stack file.

    Attributes:
        actual: the principals that read it, undeclared ones first.
        silent: workloads that are declared to read it and did not.
        unread: whether nobody but functions and deployments read it.
        unread_keys: keys that no workload of the stack file reads; CloudTrail does not record keys.
        monthly_usd: list price of the secret with its replicas; 0 for a secret of others.
        suggestions: changes of the stack file.
    """

    __pydantic_config__ = _JSON

    actual: tuple[ActualReader, ...]
    silent: tuple[str, ...]
    unread: bool
    unread_keys: tuple[str, ...]
    monthly_usd: float
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A secret that the stack file declares or that a workload reads, and its state in AWS.

    Attributes:
        name: in AWS; the full ARN for a secret of another account.
        path: in the stack file; of an existing secret, the first place that reads it.
        presence: `unknown` if a permission is missing, and for a secret of another account.
        arn: full ARN; None if the secret is missing.
        console: URL in the AWS console; None if the secret is missing, and on an emulated AWS.
        content: the declared form of its value: a JSON object with keys, one text, or binary.
        keys: declared JSON keys; of an existing secret, those that workloads read, `*` for the whole value.
        placeholders: the keys that are filled in by hand.
        filled: `waiting`: the secret still holds its initial value; `filled`: somebody has replaced it;
            `unclear`: a rotation has, perhaps before anybody filled in the value; `not-by-hand`: no
            placeholders.
        created, last_changed: AWS's dates; the second changes with any change, tags included.
        deletion_after: when AWS deletes it for good; None unless its deletion is scheduled.
        rotation: None if AWS does not rotate it and never has.
        drift: differences from the stack file.
        readers: workloads of the stack file that read it.
        problems: what needs attention, worst first.
        existing: whether it is managed outside this stack.
        managed_by: the AWS service that manages it, such as `rds`.
        partner: AWS's type of a partner's credentials that it rotates itself; None for any other secret.
        last_accessed: the day on which AWS last saw a read in this region; None if there was none.
        readings: None unless readers were asked for.
        value_created: when AWS stored the current version; None unless it was requested, for `max_age_days`.
        max_age_days: the declared days after which its value is too old; None for never.
        expires: the declared expiry dates.
        rehearsal: the last rehearsal on a schedule; None if it has none, or a permission is missing.
        old_passwords: None unless they were asked for, and for a secret without `whileOldPasswordIsUsed`.
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
    last_accessed: datetime | None = None
    readings: Readings | None = None
    value_created: datetime | None = None
    max_age_days: int | None = None
    expires: tuple[Expiry, ...] = ()
    rehearsal: Rehearsal | None = None
    old_passwords: OldPasswords | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A workload that reads secrets.

    Attributes:
        name: in the stack file.
        platform: where it runs.
        runs_as: its identity on the platform, in words.
        role: ARN of the IAM role that reads; None if the stack creates the role and its name is not known.
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
        alarm: the worst state of its alarms in CloudWatch; None if there are none or a permission is missing.
        since: when the alarm entered this state.
        secrets: names of the secrets that it rotates.
        problems: what needs attention.
    """

    __pydantic_config__ = _JSON

    arn: str
    alarm: AlarmState | None
    since: datetime | None
    secrets: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Counts of all secrets, of healthy ones (`well`), and of secrets and functions per kind of problem."""

    __pydantic_config__ = _JSON

    secrets: int
    well: int
    unavailable: int
    rotation: int
    drift: int
    waiting: int
    unknown: int
    expired: int = 0
    aging: int = 0
    readers: int = 0
    rehearsal: int = 0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The events from which the readers are known.

    Attributes:
        source: CloudTrail's event history, or the files of a trail.
        since, until: the observed time.
        is_complete: whether all events of it were read; if not, nothing is reported as unread.
        events, damaged: number of events that were looked at, and of those that could not be read.
        unread_usd: list price in a month of the secrets that nobody reads.
        usd_per_secret, price_date: the list price (US regions) in a month, and when it was noted.
        problems: what keeps the readers unknown.
    """

    __pydantic_config__ = _JSON

    source: Literal["event-history", "trail"]
    since: datetime
    until: datetime
    is_complete: bool
    events: int
    damaged: int
    unread_usd: float
    usd_per_secret: float
    price_date: date
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The monthly price of a stack, in US dollars.

    Attributes:
        monthly_usd: the sum.
        secrets, replicas, keys, alarms: what it is for: secrets and their replicas, the stack's KMS key, and
            the alarms of its functions.
        price_list: date of the price list.
        basis: the kind of prices, in words.
        not_counted: in words.
    """

    __pydantic_config__ = _JSON

    monthly_usd: float
    secrets: int
    replicas: int
    keys: int
    alarms: int
    price_list: date
    basis: str
    not_counted: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """The status of a stack's secrets at one moment.

    Attributes:
        version: of the data model.
        account, region: the AWS account and region.
        asked_at: when AWS was queried.
        summary: counts.
        secrets: in the order of the stack file, then those managed outside this stack.
        workloads: the workloads that read them.
        functions: the functions that rotate them.
        observation: the events from which the readers are known; None unless readers were asked for.
        cost: the list price of what exists in AWS.
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
    observation: Observation | None = None
    cost: Cost | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return the problems of all secrets and functions, and of the observation of readers."""
        return (
            *(problem for secret in self.secrets for problem in secret.problems),
            *(problem for function in self.functions for problem in function.problems),
            *(self.observation.problems if self.observation else ()),
        )
