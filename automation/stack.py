"""One stack: what can be done with it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from automation import configuration, errors
from automation.command import Cli
from automation.operation import Operation, Order
from automation.report import Report, report
from automation.report.digest import is_reviewed
from automation.report.events import Event
from automation.report.live import Snapshot
from automation.results import Kind, UpdateRecord
from automation.secrecy import with_markers
from settings import StackFile


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Made by `Workspace.stack`, `.create` or `.open`. May be used by several threads.

    Every method raises a subclass of AutomationError: UnknownStack, WrongPassphrase, CredentialsRefused,
    BackendUnreachable or EngineFailure where nothing else is said.
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
        """Checks a configuration, then writes it to the stack file, all of it or nothing.

        Args:
            structure: what the stack file has below `aws-secrets:`, keys without it: {"secrets": {...}}. It
                takes the place of the whole structure that is there.
            secrets: config name to value, for every `config:` in the structure that is new or changes. The
                stack's secrets provider encrypts them; those that are there already stay.
            aws: what the stack file has below `aws:`, such as {"region": "eu-west-1"}; other keys of it stay.

        Of the file's comments only those at its head are kept: a checkout's stack files are better edited by
        hand.

        Raises:
            BadSettings: with every mistake there is; nothing was written.
        """
        return configuration.configure(self.cli, self.name, structure, secrets or {}, aws or {})

    def check(self) -> StackFile:
        """Checks the configuration that the stack has; decrypts nothing, and asks AWS nothing.

        Raises:
            BadSettings: with every mistake there is.
        """
        return configuration.check(self.cli, self.name)

    def preview(self) -> Operation:
        """What an up would do; changes nothing."""
        return self._operation("preview")

    def up(self) -> Operation:
        """Creates and updates what the stack file says."""
        return self._operation("up")

    def require_reviewed(self, reviewed: str, *, live: bool = True) -> Report:
        """Return the report of what an up would do now, if that is what was reviewed.

        It previews the stack. An up right after it does the same, unless somebody updates the stack in
        between: let one job at a time update a stack.

        Args:
            reviewed: the `digest` of the report that was reviewed, or "nothing" for one without changes.
            live: compare what AWS has now as well, with the credentials of this process.

        Raises:
            NotReviewed: an up would do something else. Its `report` says what.
        """
        events = self.preview().result().engine_events
        made = report(events, self.name, live=live_side(events) if live else None)
        if is_reviewed(made, reviewed):
            return made
        raise errors.NotReviewed(self.name, made)

    def refresh(self, *, clear_pending_creates: bool = False) -> Operation:
        """Reads what there is in AWS into the state.

        Args:
            clear_pending_creates: forget creations that a killed update left (docs/recovery.md, step 3).
        """
        return self._operation("refresh", ["--clear-pending-creates"] if clear_pending_creates else [])

    def destroy(self) -> Operation:
        """Deletes everything that the stack has made, as far as protection allows."""
        return self._operation("destroy")

    def outputs(self) -> dict[str, Any]:
        """The outputs of the last up; `SECRET` stands for what is secret."""
        told: dict[str, Any] = json.loads(self.cli.run(self.name, "stack", "output", "--json"))
        return {name: with_markers(value) for name, value in told.items()}

    def history(self, *, limit: int | None = None) -> list[UpdateRecord]:
        """What was done to the stack, the last first, at most `limit` entries."""
        page = [] if limit is None else ["--page-size", str(limit), "--page", "1"]
        told = json.loads(self.cli.run(self.name, "stack", "history", "--json", *page))
        return [_record(entry) for entry in told]

    def cancel(self) -> None:
        """Takes the lock away that a killed update left; on Pulumi Cloud, also ends an update that runs.

        With state in a file or an object store, an update that still runs goes on without its lock: make sure
        that there is none. An update of this process is better ended by `Operation.cancel`.
        """
        self.cli.run(self.name, "cancel", "--yes")

    def _operation(self, kind: Kind, options: Sequence[str] = ()) -> Operation:
        order = Order(kind=kind, stack=self.name, cli=self.cli, inline=self.inline, options=options)
        return Operation(order, self.pool)


def live_side(events: Iterable[Event]) -> Snapshot:
    """Return what AWS has now of the secrets in a preview's events."""
    # the AWS SDKs cost every other command half a second
    from automation.report.live.asking import snapshot  # noqa: PLC0415

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
