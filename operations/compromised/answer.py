"""Carry out an answer to a leak."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from components.lambdas.writer import generation_labels
from operations import errors
from operations.adopt.model import SourceError
from operations.compromised.generations import Edited, Key, raise_generations, sharing_stacks
from operations.compromised.model import Plan, Report, SecretPlan, Task
from operations.compromised.renewal import Renewal
from operations.console import cancel_on_signals
from operations.fleet.stack_files import edited_stack
from operations.operation import Operation
from operations.renewal.functions import lambda_client
from operations.renewal.model import Failure, ReaderOutcome, ReaderPlan
from operations.renewal.readers import planned, restart
from operations.renewal.rotations import Rotations, incident, look
from operations.restore.plan import Target
from operations.results import Change, Result
from operations.rollback.history import CURRENT, Secret
from operations.threads import mapped
from program.arns import Account
from program.desired import DesiredSecret
from stack_file.stack_secrets import by_name

Tell = Callable[[str], None]

_THREADS = 8
_INVOCATION = "aws:lambda/invocation:Invocation"
_OWN_COMPONENTS = "aws-secrets:index:"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer to a leak, with everything that its steps share.

    Attributes:
        target: the stack.
        plan: what to do.
        report: what was done; it is complete at every moment.
        folder: of the project.
        timeout: seconds to wait for each rotation and each deployment.
        update: whether the command may update the stack.
        tell: shows a line of progress; called by several threads.
        stop: set when the command is interrupted.
    """

    target: Target
    plan: Plan
    report: Report
    folder: Path
    timeout: float
    update: bool
    tell: Tell
    stop: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def client(self) -> Any:  # noqa: ANN401  boto3 is untyped
        """The client of Secrets Manager for all threads; boto3's sessions are for one."""
        return self.target.aws.client("secretsmanager")

    @property
    def account(self) -> Account:
        """The stack's account and region."""
        caller = self.target.caller
        return Account(caller.account_id, caller.partition, self.target.aws.region)

    def look(self) -> None:
        """Write down what AWS has, before anything is changed."""
        client = self.client

        def one(plan: SecretPlan) -> None:
            outcome = self.report.secrets[plan.name]
            try:
                found = look(client, plan.name)
            except Failure as failure:
                outcome.problems.append(str(failure))
                return
            outcome.arn, outcome.before = found.arn, _current(found)

        self._each(self.plan.secrets, one)
        self.report.tasks = [*self.plan.tasks, *(task for one in self.plan.secrets for task in one.tasks)]
        self.report.checks = [check for one in self.plan.secrets for check in one.checks]

    def preview(self) -> None:
        """Write down what would be done with the readers and the stack file."""
        self.report.readers = [planned(reader, self.account) for reader in self.plan.readers]
        self._raise(write=False)

    def carry_out(self) -> None:
        """Do everything; what fails is in the report."""
        rotations = Rotations(
            client=self.client,
            incident=incident(self.report.since, at_once=True),
            timeout=self.timeout,
            consequence="the leaked value may still work",
            tell=self.tell,
            stop=self.stop,
        )
        renewal = Renewal(rotations=rotations, functions=lambda_client(self.target.aws))
        self._each(self.plan.secrets, partial(self._renew, renewal))
        self._regenerate()
        self._each(self.plan.secrets, self._look_again)
        for reader in self.plan.readers:
            self.report.readers.append(self._restart(reader))

    def _renew(self, renewal: Renewal, plan: SecretPlan) -> None:
        outcome = self.report.secrets[plan.name]
        if not plan.rotations or not outcome.arn:
            return
        try:
            renewal.renew(plan, outcome)
        except Failure as failure:
            outcome.problems.append(str(failure))
            self.tell(f"{plan.name}: {failure}")

    def _look_again(self, plan: SecretPlan) -> None:
        outcome = self.report.secrets[plan.name]
        if outcome.arn:
            try:
                outcome.after = _current(look(self.client, plan.name))
            except Failure as failure:
                outcome.problems.append(str(failure))

    def _restart(self, reader: ReaderPlan) -> ReaderOutcome:
        if not any(self.report.secrets[name].is_renewed for name in reader.secrets):
            outcome = planned(reader, self.account)
            outcome.text = f"There is nothing new to read yet. When there is: {outcome.text}"
            return replace(outcome, outcome="by-hand")
        return restart(reader, self.target.aws, self.account, self.timeout, self.tell)

    # generated keys

    def _keys(self) -> list[Key]:
        declared = by_name(self.target.stack.file)
        client = self.client
        keys = []
        for plan in self.plan.secrets:
            outcome = self.report.secrets[plan.name]
            if not plan.keys or not outcome.arn:
                continue
            try:
                applied = _applied(look(client, plan.name))
            except Failure as failure:
                outcome.problems.append(str(failure))
                continue
            for place, source in declared[plan.name].sources:
                name = place[1] if place[0] == "values" else ""
                if name in plan.keys:
                    keys.append(
                        Key(
                            secret=plan.name,
                            key=name,
                            place=(*plan.secret.place, *place),
                            declared=source.generation,
                            applied=applied.get(generation_labels.key_hash(name), 1),
                        )
                    )
        return keys

    def _raise(self, *, write: bool) -> tuple[list[Key], Edited]:
        keys = self._keys()
        configuration = self.target.stack.configuration
        edited = raise_generations(self.folder, configuration, keys, self.report.since, write=write)
        secrets = {plan.name: plan.secret for plan in self.plan.secrets}
        edited_in = edited_stack(self.folder, configuration.stack)
        is_group = edited_in != configuration.stack
        command = f"python -m operations {'fleet ' * is_group}up --stack {edited_in}"
        for key in edited.impossible:
            self.report.tasks.append(_generation_by_hand(key, secrets[key.secret], command))
        shared = sharing_stacks(self.folder, configuration, edited.raised)
        self.report.tasks += [_shared_file(file, stacks) for file, stacks in shared.items()]
        return keys, edited

    def _regenerate(self) -> None:
        try:
            keys, edited = self._raise(write=True)
        except (SourceError, errors.InvalidConfigurationError) as error:
            self._fail([plan.name for plan in self.plan.secrets if plan.keys], str(error))
            return
        for key in edited.raised:
            self.tell(
                f"{key.secret}: generation {edited.wanted[key.secret, key.key]} of {key.key or 'its value'}."
            )
        open_keys = [key for key in keys if edited.wanted.get((key.secret, key.key), 0) > key.applied]
        if open_keys:
            try:
                self._update(sorted({key.secret for key in open_keys}))
            except errors.OperationCancelledError:
                raise KeyboardInterrupt from None
            except errors.OperationError as error:
                self._fail(sorted({key.secret for key in open_keys}), f"The update failed: {error}")
        self._confirm(keys, edited.wanted)

    def _update(self, secrets: Sequence[str]) -> None:
        """Update the stack, if that changes these secrets' values alone."""
        stack = self.target.engine
        command = f"python -m operations up --stack {stack.name}"
        if not self.update:
            self._leave(secrets, "The generations are raised in the stack file. Update the stack.", command)
            return
        preview = self._follow(stack.preview)
        others = [change for change in preview.changes if not _is_of(change, secrets)]
        if others:
            shown = ", ".join(f"{change.operation} {change.name}" for change in others[:5])
            more = f" and {len(others) - 5} more" if len(others) > 5 else ""  # noqa: PLR2004  as above
            self._leave(
                secrets,
                "The generations are raised in the stack file, but an update would do more than the leak "
                f"needs: {shown}{more}. Review it, update the stack, and run this command again.",
                command,
            )
            return
        self._follow(stack.up)
        self.report.update = f"The stack was updated: {len(preview.changes)} changes."
        self.tell(self.report.update)

    @staticmethod
    def _follow(start: Callable[[], Operation]) -> Result:
        with cancel_on_signals(start, quiet=True) as operation:
            return operation.result()

    def _confirm(self, keys: Sequence[Key], wanted: Mapping[tuple[str, str], int]) -> None:
        """Write down which keys AWS has regenerated by now."""
        client = self.client
        for secret in dict.fromkeys(key.secret for key in keys):
            try:
                applied = _applied(look(client, secret))
            except Failure as failure:
                self._fail([secret], str(failure))
                continue
            for key in keys:
                goal = wanted.get((key.secret, key.key))
                if key.secret == secret and goal is not None:
                    if applied.get(generation_labels.key_hash(key.key), 1) >= goal:
                        self.report.secrets[secret].regenerated.append(key.key)
                    elif not self._is_left(secret):
                        self._fail([secret], f"{key.key or 'Its value'} was not regenerated.")

    def _is_left(self, secret: str) -> bool:
        return bool(self.report.secrets[secret].problems) or any(
            task.where == secret for task in self.report.tasks
        )

    def _leave(self, secrets: Sequence[str], text: str, command: str) -> None:
        for secret in secrets:
            self.report.tasks.append(Task(where=secret, text=text, commands=(command,)))

    def _fail(self, secrets: Sequence[str], message: str) -> None:
        for secret in secrets:
            self.report.secrets[secret].problems.append(message)

    def _each(self, plans: Sequence[SecretPlan], step: Callable[[SecretPlan], None]) -> None:
        """Run a step for each secret, several at a time; Ctrl-C ends the wait at once."""
        try:
            mapped(step, plans, _THREADS)
        except BaseException:
            self.stop.set()
            raise


def _current(secret: Secret) -> str:
    current = secret.labelled(CURRENT)
    return current.version_id if current else ""


def _applied(secret: Secret) -> Mapping[str, int]:
    """Return the generations that the writer has applied, by the hashes of the keys."""
    records = (generation_labels.read(one.version_id, one.labels) for one in secret.versions)
    return generation_labels.merged(record for record in records if record is not None) or {}


def _is_of(change: Change, secrets: Sequence[str]) -> bool:
    """Return whether a change regenerates values of these secrets, and does nothing else."""
    if change.type.startswith(_OWN_COMPONENTS) or change.type == "pulumi:pulumi:Stack":
        return True
    names = {f"{secret}{end}-values" for secret in secrets for end in ("", "-login")}
    return change.type == _INVOCATION and change.name in names


def _generation_by_hand(key: Key, secret: DesiredSecret, command: str) -> Task:
    return Task(
        where=f"{key.secret}, key {key.key}" if key.key else key.secret,
        text=f"Its entry could not be edited. Write `generation: {max(key.declared, key.applied) + 1}` to "
        f"it ({secret.path}), and update the stack.",
        commands=(command,),
    )


def _shared_file(file: str, stacks: Sequence[str]) -> Task:
    return Task(
        where=file,
        text=f"Other stacks include this file, too: {', '.join(stacks)}. With the raised generations their "
        "next updates regenerate the same keys there. To prevent that, move this stack's entries to its own "
        "file.",
    )
