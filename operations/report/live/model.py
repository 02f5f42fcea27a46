"""A snapshot of settings in AWS, passed from the job with credentials to the job that reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The rotation of a secret.

    Attributes:
        rules: the schedule, named as in the inputs of aws.secretsmanager.SecretRotation.
        function: ARN of the Lambda function; empty for managed rotation.
    """

    rules: Mapping[str, str | int] = field(default_factory=dict)
    function: str = ""


@dataclass(frozen=True, kw_only=True)
class LiveSecret:
    """A secret as AWS describes it.

    Attributes:
        presence: whether the secret exists; `denied` if the caller is not authorized to describe it.
        description: its description.
        tags: its tags.
        kms_key: ARN, ID or alias; empty for the AWS managed key.
        replicas: region to KMS key.
        rotation: None if rotation is off.
        policy: the resource policy; empty if it has none, None if it is not known.
        last_read: the date of the last read. AWS records no time of day.
        deletion_after: the date after which AWS deletes it; None if no deletion is scheduled.
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
    """A KMS key and its key state, such as `PendingDeletion`."""

    arn: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The answers of AWS.

    Attributes:
        version: increases when a field is renamed, removed or changes its meaning, because the pull request's
            code writes the file and the base's code reads it.
        asked_at: the time of the query; None if nothing was queried.
        secrets: by ARN, or by name for secrets that the update creates.
        keys: by ARN, ID or alias, as secrets name them.
        denied: actions that the caller is not authorized to perform.
        unavailable: why AWS could not be queried at all; empty otherwise.
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
    """Return the snapshot that `written` serialized; an unavailable one if the text is invalid."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError:
        return Snapshot(unavailable="the file with AWS's answers is invalid or of another version")
