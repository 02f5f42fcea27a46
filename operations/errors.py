"""Errors of this package.

`str(error)` says what is wrong and what to do about it. It never contains a secret value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from components.visible import visible
from operations.exit_codes import ExitCode
from stack_file.mistakes import entry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from operations.report import Report
    from operations.results import Result
    from stack_file import Mistake


class OperationError(Exception):
    """Base class of every error of this package.

    Attributes:
        json_type: `error.type` in the JSON of the command line. Programs match on it, so it never changes.
        exit_code: exit code of the command line.
        done: what the operation had done when it failed; None if it did not begin.
    """

    json_type: ClassVar[str] = "AutomationError"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    done: Result | None = None


class InvalidConfigurationError(OperationError):
    """The stack's configuration has mistakes; nothing was changed.

    Attributes:
        mistakes: all of them, each with its path, cause, consequence and remedy.
    """

    json_type = "BadSettings"
    exit_code = ExitCode.BAD_SETTINGS

    def __init__(self, stack: str, mistakes: Sequence[Mistake]) -> None:
        self.stack = stack
        self.mistakes = tuple(mistakes)
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        entries = "".join(f"\n\n{entry(mistake)}" for mistake in mistakes)
        super().__init__(f"The configuration of stack {stack} has {count}; nothing was changed.{entries}")


class StackNotFoundError(OperationError):
    """The backend has no stack with this name."""

    json_type = "UnknownStack"
    exit_code = ExitCode.STACK_NOT_FOUND

    def __init__(self, stack: str, message: str = "") -> None:
        self.stack = stack
        super().__init__(
            message
            or f"Stack {stack} does not exist in this backend; nothing was changed. Check the name and the "
            f"backend URL (`pulumi stack ls`), or create it: pulumi stack init {stack} --no-select"
        )


class StackAlreadyExistsError(OperationError):
    """The stack to create already exists."""

    json_type = "StackExists"

    def __init__(self, stack: str) -> None:
        self.stack = stack
        super().__init__(
            f"Stack {stack} already exists in this backend; it was not changed. Open it instead."
        )


class InvalidStackNameError(OperationError):
    """Pulumi does not accept the name."""

    json_type = "BadStackName"

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        super().__init__(f"Not a valid stack name: {cause}. Nothing was changed.")


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """The process that holds a stack's lock."""

    user: str
    host: str
    process: int
    since: datetime


class ConcurrentUpdateError(OperationError):
    """The stack is locked by another update; nothing was changed.

    Attributes:
        holders: who holds the lock. Empty on Pulumi Cloud, which does not report it.
    """

    json_type = "Conflict"
    exit_code = ExitCode.CONFLICT

    def __init__(self, stack: str, holders: Sequence[LockHolder], cause: str) -> None:
        self.stack = stack
        self.holders = tuple(holders)
        by = "".join(
            f"\n  {holder.user}@{holder.host}, process {holder.process}, since {holder.since.isoformat()}"
            for holder in holders
        )
        super().__init__(
            f"Stack {stack} is locked by another update; nothing was changed.{by or f' {cause}'}\n"
            "Wait until that update ends. If it was killed, release its lock and see docs/recovery.md: "
            f"pulumi cancel --yes --stack {stack}"
        )


class PassphraseError(OperationError):
    """The passphrase is missing, or does not decrypt the stack's configuration."""

    json_type = "WrongPassphrase"
    exit_code = ExitCode.WRONG_PASSPHRASE

    def __init__(self, stack: str, *, missing: bool) -> None:
        self.stack = stack
        self.missing = missing
        wrong = (
            f"The passphrase of stack {stack} is not set"
            if missing
            else f"The passphrase of stack {stack} is wrong"
        )
        super().__init__(
            f"{wrong}, so its secrets cannot be decrypted; nothing was changed. Set PULUMI_CONFIG_PASSPHRASE "
            "or PULUMI_CONFIG_PASSPHRASE_FILE to the passphrase that the stack was created with."
        )


class CredentialsError(OperationError):
    """Credentials for AWS or for the backend are missing, wrong or expired."""

    json_type = "CredentialsRefused"
    exit_code = ExitCode.CREDENTIALS

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(
            f"Credentials for stack {stack} are missing, wrong or expired:\n  {cause}\n"
            "Renew them (`aws sso login`, AWS_PROFILE, PULUMI_ACCESS_TOKEN) and try again."
        )


class AwsUnreachableError(OperationError):
    """AWS does not respond, so the provider cannot check the credentials."""

    json_type = "AwsUnreachable"
    exit_code = ExitCode.FAILED

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(
            f"AWS cannot be reached for stack {stack}; nothing was changed there:\n  {cause}\n"
            "Check the network, a proxy, AWS_ENDPOINT_URL and aws:region."
        )


class BackendError(OperationError):
    """The state backend does not exist, or does not respond."""

    json_type = "BackendUnreachable"
    exit_code = ExitCode.BACKEND

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(
            f"The state backend of stack {stack} cannot be used:\n  {cause}\n"
            "Check its URL (PULUMI_BACKEND_URL), the network and your permissions. If an update had already "
            "begun, continue with docs/recovery.md."
        )


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A resource that failed. `cause` is the provider's message."""

    urn: str
    type: str
    name: str
    cause: str


class ProviderError(OperationError):
    """AWS or a provider rejected a resource; earlier steps are recorded in the state.

    Attributes:
        failures: every resource that failed, in order.
    """

    json_type = "ProviderFailure"

    def __init__(self, stack: str, failures: Sequence[Failure]) -> None:
        self.stack = stack
        self.failures = tuple(failures)
        entries = "".join(
            f"\n\n  {visible(failure.name)} ({visible(failure.type)})\n    "
            + failure.cause.replace("\n", "\n    ")
            for failure in failures
        )
        count = "1 resource" if len(failures) == 1 else f"{len(failures)} resources"
        super().__init__(
            f"{count} of stack {stack} failed. Steps that succeeded are recorded; fix the cause and run the "
            f"command again.{entries}"
        )


class ProgramError(OperationError):
    """The program failed before it had declared every resource."""

    json_type = "ProgramFailure"

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(f"The program of stack {stack} failed:\n  " + cause.replace("\n", "\n  "))


class OperationCancelledError(OperationError):
    """The operation was cancelled; the engine has exited and unlocked the stack.

    Attributes:
        at_once: True if steps in progress were interrupted, so that their outcome may be unrecorded.
    """

    json_type = "Cancelled"
    exit_code = ExitCode.CANCELLED

    def __init__(self, stack: str, kind: str, *, at_once: bool, has_begun: bool = True) -> None:
        self.stack = stack
        self.at_once = at_once
        if kind == "preview" or not has_begun:
            consequence = "Nothing was changed."
        elif at_once:
            consequence = "Steps in progress may have been done without being recorded: see docs/recovery.md."
        else:
            consequence = "Steps in progress were finished and recorded; run the command again to continue."
        super().__init__(f"The {kind} of stack {stack} was cancelled. {consequence}")


class NotReviewedError(OperationError):
    """The update differs from the one that was reviewed; nothing was changed.

    Attributes:
        report: what the update would do.
    """

    json_type = "NotReviewed"
    exit_code = ExitCode.NOT_REVIEWED

    def __init__(self, stack: str, report: Report) -> None:
        self.stack = stack
        self.report = report
        remedy = (
            f"to apply it, pass its digest: {report.digest}"
            if report.digest
            else "it is incomplete and therefore has no digest, so first fix what makes the preview fail"
        )
        super().__init__(
            f"The update of stack {stack} is not the one that was reviewed: the stack file, the program, the "
            "state or AWS has changed since. Nothing was changed.\n"
            f"  Read the report of what the update would do now; {remedy}."
        )


class EngineKilledError(OperationError):
    """The engine was killed during the operation; it left its lock, and creations may be unrecorded."""

    json_type = "EngineKilled"
    exit_code = ExitCode.ENGINE_KILLED

    def __init__(self, stack: str, kind: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        remedy = (
            "A preview changes nothing; run it again."
            if kind == "preview"
            else "Its finished steps are recorded; steps in progress may not be. Recover as in "
            f"docs/recovery.md: pulumi cancel --yes --stack {stack}; "
            f"pulumi refresh --yes --clear-pending-creates --stack {stack}; then run the command again."
        )
        super().__init__(f"The engine of stack {stack} was killed during the {kind} ({cause}). {remedy}")


class EventLogTruncatedError(OperationError):
    """The operation succeeded, but its event log is incomplete."""

    json_type = "EventsTruncated"
    exit_code = ExitCode.EVENTS_TRUNCATED

    def __init__(self, stack: str, kind: str) -> None:
        self.stack = stack
        super().__init__(
            f"The {kind} of stack {stack} succeeded, but its event log is cut off, so the list of changes is "
            "incomplete. The state is complete: see the stack's history. Check whether the disk is full."
        )


class PulumiNotFoundError(OperationError):
    """The Pulumi CLI is not on PATH, or cannot be executed."""

    json_type = "EngineMissing"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The Pulumi CLI cannot be run: {cause}. Install it, or add its folder to PATH "
            "(on the local cloud: `. .local/env`)."
        )


class EngineError(OperationError):
    """The engine failed for a reason that has no class of its own; `cause` is its message."""

    json_type = "EngineFailure"

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(f"The engine failed for stack {stack}:\n  " + cause.replace("\n", "\n  "))


class ProjectError(OperationError):
    """The folder has no Pulumi.yaml, or it cannot be read."""

    json_type = "NoProject"

    def __init__(self, folder: Path, cause: str | None = None) -> None:
        super().__init__(
            cause or f"There is no Pulumi.yaml in {folder}. Pass the folder of the project (--cwd)."
        )
