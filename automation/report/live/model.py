"""A snapshot of what AWS has, as it is passed from the job that may ask to the job that reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Rotation that is on: its rules, as inputs of aws.secretsmanager.SecretRotation name them."""

    rules: Mapping[str, str | int] = field(default_factory=dict)
    function: str = ""


@dataclass(frozen=True, kw_only=True)
class LiveSecret:
    """A secret as AWS describes it.

    Attributes:
        presence: `denied` if the caller may not ask.
        kms_key: ARN, ID or alias; empty for the key that AWS manages.
        replicas: region to key, as above.
        rotation: None if rotation is off.
        policy: the resource policy; empty without one, None if it is not known.
        last_read: the day on which the value was last read. AWS records no time of day.
        deletion_after: when AWS deletes it.
    """

    presence: Literal["present", "deletion-scheduled", "missing", "denied"]
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    kms_key: str = ""
    replicas: Mapping[str, str] = field(default_factory=dict)
    rotation: Rotation | None = None
    policy: str | None = None
    last_read: date | None = None
    deletion_after: date | None = None


@dataclass(frozen=True, kw_only=True)
class LiveKey:
    """A KMS key; `state` is KMS's word for it, such as `PendingDeletion`."""

    arn: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What AWS answered.

    Attributes:
        version: grows when a field is renamed, removed or changes its meaning: a job with the pull request's
            code asks, and one with the base's reads.
        asked_at: when it was asked; None if it was not.
        secrets: by ARN, or by name for secrets that the update creates.
        keys: by any name that a secret has for one.
        denied: operations that the caller may not call.
        unavailable: why AWS could not be asked at all; empty otherwise.
    """

    version: Literal[1] = 1
    asked_at: datetime | None = None
    secrets: Mapping[str, LiveSecret] = field(default_factory=dict)
    keys: Mapping[str, LiveKey] = field(default_factory=dict)
    denied: tuple[str, ...] = ()
    unavailable: str = ""


_ADAPTER = TypeAdapter(Snapshot)


def written(snapshot: Snapshot) -> str:
    """Return the snapshot as one JSON document."""
    return _ADAPTER.dump_json(snapshot, indent=2).decode() + "\n"


def parse(text: bytes) -> Snapshot:
    """Return a snapshot from `written`; one that is unavailable if the text is anything else."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError:
        return Snapshot(unavailable="the file with AWS's answers is not one that this report can read")
