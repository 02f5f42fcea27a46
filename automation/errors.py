"""What can go wrong, each with the words that an operator needs.

`str(error)` says what is wrong, what it means and what to do; no secret value is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.visible import visible
from settings.mistakes import entry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from automation.report import Report
    from automation.results import Result
    from settings import Mistake


class AutomationError(Exception):
    """Any error of this package.

    Attributes:
        done: what the operation had done until then; None where it did not begin.
    """

    done: Result | None = None


class BadSettings(AutomationError):
    """The stack's configuration has mistakes; nothing was changed.

    Attributes:
        mistakes: all that there are, each with path, what is wrong, consequence and remedy.
    """

    def __init__(self, stack: str, mistakes: Sequence[Mistake]) -> None:
        self.stack = stack
        self.mistakes = tuple(mistakes)
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        entries = "".join(f"\n\n{entry(mistake)}" for mistake in mistakes)
        super().__init__(f"The configuration of stack {stack} has {count}; nothing was changed.{entries}")


class UnknownStack(AutomationError):
    """The backend has no stack of this name."""

    def __init__(self, stack: str) -> None:
        self.stack = stack
        super().__init__(
            f"The backend has no stack {stack}; nothing was changed. Check the name and the backend's URL "
            f"(`pulumi stack ls`), or make it: pulumi stack init {stack} --no-select"
        )


class StackExists(AutomationError):
    """The stack to create is there already."""

    def __init__(self, stack: str) -> None:
        self.stack = stack
        super().__init__(f"The backend has a stack {stack} already; it was left as it is. Open it instead.")


class BadStackName(AutomationError):
    """The engine takes no such name."""

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        super().__init__(f"The engine takes no such stack name: {cause}. Nothing was changed.")


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """Who holds a stack's lock: a process of `user` at `host`, since `since`."""

    user: str
    host: str
    process: int
    since: datetime


class Conflict(AutomationError):
    """Another update has the stack; nothing was changed.

    Attributes:
        holders: whose locks there are, as far as the backend tells: files and object stores do, Pulumi Cloud
            does not.
    """

    def __init__(self, stack: str, holders: Sequence[LockHolder], cause: str) -> None:
        self.stack = stack
        self.holders = tuple(holders)
        by = "".join(
            f"\n  {holder.user}@{holder.host}, process {holder.process}, since {holder.since.isoformat()}"
            for holder in holders
        )
        super().__init__(
            f"Another update has stack {stack}; nothing was changed.{by or f' {cause}'}\n"
            "Wait until it ends. If it was killed, take its lock away and see docs/recovery.md: "
            f"pulumi cancel --yes --stack {stack}"
        )


class WrongPassphrase(AutomationError):
    """The passphrase does not decrypt the stack's configuration, or there is none."""

    def __init__(self, stack: str, *, missing: bool) -> None:
        self.stack = stack
        self.missing = missing
        wrong = (
            f"No passphrase for stack {stack} is set"
            if missing
            else f"The passphrase does not fit stack {stack}"
        )
        super().__init__(
            f"{wrong}, so its secrets cannot be decrypted; nothing was changed. "
            "Give the one that the stack was made with, as PULUMI_CONFIG_PASSPHRASE or "
            "PULUMI_CONFIG_PASSPHRASE_FILE in the environment."
        )


class CredentialsRefused(AutomationError):
    """Credentials are missing, wrong or expired, for AWS or for the backend."""

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(
            f"Credentials for stack {stack} are missing, wrong or expired:\n  {cause}\n"
            "Renew them (`aws sso login`, AWS_PROFILE, PULUMI_ACCESS_TOKEN) and do the same again."
        )


class BackendUnreachable(AutomationError):
    """The backend with the state does not answer, or is not there."""

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(
            f"The backend with the state of stack {stack} cannot be used:\n  {cause}\n"
            "Check the backend's URL (PULUMI_BACKEND_URL), the network and the rights to it. If an update had"
            " begun, go on as docs/recovery.md says."
        )


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One resource that failed. `cause` is what the provider said."""

    urn: str
    type: str
    name: str
    cause: str


class ProviderFailure(AutomationError):
    """AWS or a provider refused something; what was done before it is recorded.

    Attributes:
        failures: each resource that failed, the first first.
    """

    def __init__(self, stack: str, failures: Sequence[Failure]) -> None:
        self.stack = stack
        self.failures = tuple(failures)
        entries = "".join(
            f"\n\n  {visible(failure.name)} ({visible(failure.type)})\n    "
            + failure.cause.replace("\n", "\n    ")
            for failure in failures
        )
        super().__init__(
            f"{len(failures)} of stack {stack}'s resources failed. What was done before is recorded; "
            f"put the cause right and do the same again.{entries}"
        )


class ProgramFailure(AutomationError):
    """The program stopped before it had declared everything."""

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(f"The program of stack {stack} stopped:\n  " + cause.replace("\n", "\n  "))


class Cancelled(AutomationError):
    """The operation was cancelled and the engine has ended and unlocked the stack.

    Attributes:
        at_once: whether it was not let finish what was under way, which then may stay unrecorded.
    """

    def __init__(self, stack: str, kind: str, *, at_once: bool) -> None:
        self.stack = stack
        self.at_once = at_once
        what_now = (
            "What was under way may have been done and not recorded: docs/recovery.md says how to go on."
            if at_once and kind != "preview"
            else "What was under way has been finished and recorded; the next one goes on from there."
        )
        super().__init__(f"The {kind} of stack {stack} was cancelled. {what_now}")


class NotReviewed(AutomationError):
    """An update would do something other than what was reviewed; nothing was done.

    Attributes:
        report: what it would do.
    """

    def __init__(self, stack: str, report: Report) -> None:
        self.stack = stack
        self.report = report
        remedy = (
            f"To do that, give its digest: {report.digest}"
            if report.digest
            else "It is incomplete, so it has no digest: see why the preview failed"
        )
        super().__init__(
            f"The update of stack {stack} is not the one that was reviewed: the stack file, the program, the "
            "state or AWS is another. Nothing was done.\n  Read the report of what it would do now. "
            f"{remedy}."
        )


class EngineKilled(AutomationError):
    """The engine died in the middle; the lock is left, and creations may be unrecorded."""

    def __init__(self, stack: str, kind: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        remedy = (
            "A preview changes nothing; do the same again."
            if kind == "preview"
            else "What it had done is recorded, but for what was under way. Go on as docs/recovery.md says: "
            f"pulumi cancel --yes --stack {stack}; "
            f"pulumi refresh --yes --clear-pending-creates --stack {stack}; then the same again."
        )
        super().__init__(f"The engine of stack {stack} was killed in the middle ({cause}). {remedy}")


class EventsTruncated(AutomationError):
    """The operation succeeded, but its event log does not say so to the end."""

    def __init__(self, stack: str, kind: str) -> None:
        self.stack = stack
        super().__init__(
            f"The {kind} of stack {stack} succeeded, but its event log is cut off, so what changed is not "
            "all known here (is the disk full?). The state is complete: see the stack's history."
        )


class EngineMissing(AutomationError):
    """There is no `pulumi` on PATH."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The Pulumi CLI cannot be run: {cause}. Install it, or put its folder on PATH "
            "(on the local cloud: `. .local/env`)."
        )


class EngineFailure(AutomationError):
    """The engine failed in a way that has no type of its own; `cause` is what it said."""

    def __init__(self, stack: str, cause: str) -> None:
        self.stack = stack
        self.cause = cause
        super().__init__(f"The engine could not do it for stack {stack}:\n  " + cause.replace("\n", "\n  "))


class NoProject(AutomationError):
    """The folder is not a checkout of this program, or its Pulumi.yaml cannot be read."""

    def __init__(self, folder: Path, cause: str | None = None) -> None:
        super().__init__(
            cause or f"There is no Pulumi.yaml in {folder}. Name the folder of the project (--cwd)."
        )
