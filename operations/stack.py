"""A stack and its operations."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from operations import configuration, errors
from operations.operation import Invocation, Operation
from operations.pulumi_cli import Cli
from operations.report import Report, report
from operations.report.digest import is_reviewed
from operations.report.events import Event
from operations.report.live import Snapshot
from operations.results import Kind, UpdateRecord
from operations.secrecy import with_markers
from stack_file import StackFile


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack, from `Workspace.stack`, `.create` or `.open`. Thread-safe.

    Every method can raise StackNotFoundError, PassphraseError, CredentialsError, BackendError or EngineError;
    further errors are listed with the method.
    """

    name: str
    inline: bool
    cli: Cli = field(repr=False)
    pool: futures.Executor = field(repr=False)

    def configure(
        self,
        structure: Mapping[str, Any],
        *,
        secrets: Mapping[str, str] | None = None,
        aws: Mapping[str, Any] | None = None,
    ) -> StackFile:
        """Check a configuration, then write it to the stack file atomically.

        Comments inside the file may be lost, so edit the stack files of a checkout by hand instead.

        Args:
            structure: the `aws-secrets:` part of the stack file, without that prefix: {"secrets": {...}}. It
                replaces the existing structure as a whole.
            secrets: a value for each new or changed `config:` in the structure, by config name. The stack's
                secrets provider encrypts them. Existing ones are kept.
            aws: the `aws:` part of the stack file, such as {"region": "eu-west-1"}. Other keys are kept.

        Returns:
            The checked stack file.

        Raises:
            InvalidConfigurationError: the configuration has mistakes; nothing was written.
        """
        return configuration.configure(self.cli, self.name, structure, secrets or {}, aws or {})

    def check(self) -> StackFile:
        """Check the existing configuration, without decrypting values or querying AWS.

        Raises:
            InvalidConfigurationError: the configuration has mistakes.
        """
        return configuration.check(self.cli, self.name)

    def preview(self) -> Operation:
        """Start a preview, which shows what an update would do."""
        return self._operation("preview")

    def up(self) -> Operation:
        """Start an update, which creates or updates the stack's resources."""
        return self._operation("up")

    def require_reviewed(self, reviewed: str, *, live: bool = True) -> Report:
        """Check that an update would do exactly what was reviewed.

        Runs a preview. An `up` right after it does the same unless something updates the stack in between, so
        let only one job at a time update a stack.

        Args:
            reviewed: `digest` of the reviewed report, or "nothing" for one without changes.
            live: also compare with AWS, using the credentials of this process.

        Returns:
            The report of what an update would do now.

        Raises:
            NotReviewedError: an update would do something else, which its `report` describes.
        """
        with self.preview() as preview:  # so that Ctrl-C stops it
            events = preview.result().engine_events
        findings = report(events, self.name, live=query_aws(events) if live else None)
        if is_reviewed(findings, reviewed):
            return findings
        raise errors.NotReviewedError(self.name, findings)

    def refresh(self, *, clear_pending_creates: bool = False) -> Operation:
        """Start a refresh, which updates the state from AWS.

        Args:
            clear_pending_creates: drop creations that an interrupted update left pending (docs/recovery.md).
        """
        return self._operation("refresh", ["--clear-pending-creates"] if clear_pending_creates else [])

    def destroy(self) -> Operation:
        """Start the deletion of every resource of the stack; protected ones make it fail."""
        return self._operation("destroy")

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the last update, with `SECRET` in place of secret values."""
        outputs: dict[str, Any] = json.loads(self.cli.run(self.name, "stack", "output", "--json"))
        return {name: with_markers(value) for name, value in outputs.items()}

    def history(self, *, limit: int | None = None) -> list[UpdateRecord]:
        """Return the updates of the stack, latest first.

        Args:
            limit: maximum number of entries (default: all).
        """
        page = [] if limit is None else ["--page-size", str(limit), "--page", "1"]
        entries = json.loads(self.cli.run(self.name, "stack", "history", "--json", *page))
        return [_record(entry) for entry in entries]

    def cancel(self) -> None:
        """Release the lock left by an interrupted update; on Pulumi Cloud, also cancel a running update.

        On other backends a running update continues without its lock, so make sure that there is none. To
        cancel an update of this process, use `Operation.cancel`.
        """
        self.cli.run(self.name, "cancel", "--yes")

    def _operation(self, kind: Kind, options: Sequence[str] = ()) -> Operation:
        invocation = Invocation(kind=kind, stack=self.name, cli=self.cli, inline=self.inline, options=options)
        return Operation(invocation, self.pool)


def query_aws(events: Iterable[Event]) -> Snapshot:
    """Return what AWS has now for the secrets in a preview's events; reads no value."""
    # the AWS SDK would slow down every other command by half a second
    from operations.report.live.query import snapshot  # noqa: PLC0415

    return snapshot(events)


def _record(entry: Mapping[str, Any]) -> UpdateRecord:
    ended = entry.get("endTime")
    return UpdateRecord(
        kind=entry["kind"],
        result=entry["result"],
        started=datetime.fromisoformat(entry["startTime"]),
        ended=datetime.fromisoformat(ended) if ended else None,
        version=entry.get("version") or None,
        counts=entry.get("resourceChanges") or {},
        message=entry.get("message", ""),
    )
