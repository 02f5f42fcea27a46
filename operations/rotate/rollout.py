"""Carry out a run, or its way back."""

import shlex
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.lambdas.common.labels import deferral_of
from operations.renewal import services
from operations.renewal.functions import lambda_client
from operations.renewal.model import Failure, ReaderPlan
from operations.renewal.readers import changed, planned
from operations.renewal.rotations import Incident, Rotations, check, explained, incident, look
from operations.restore.plan import Refusal, Target
from operations.rollback import move
from operations.rollback.history import CURRENT, PENDING, PREVIOUS, Secret, Version, history
from operations.rotate.health import Checks, wait
from operations.rotate.model import Plan, ReaderOutcome, Report, SecretOutcome, SecretPlan
from program.arns import Account
from stack_file.workloads import Redeploy, Restart

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A run, with everything that its steps share.

    Attributes:
        target: the stack.
        plan: what to do.
        report: what was done; it is complete at every moment.
        timeout: seconds to wait for each rotation.
        rotates: whether secrets are rotated; otherwise readers are restarted alone.
        restarts: whether readers are restarted.
        restarted: readers that a person has restarted.
        tell: shows a line of progress.
        stop: set when the command is interrupted.
    """

    target: Target
    plan: Plan
    report: Report
    timeout: float
    rotates: bool
    restarts: bool
    restarted: Collection[str]
    tell: Tell
    stop: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def _secrets(self) -> Any:  # noqa: ANN401  boto3 is untyped
        return self.target.aws.client("secretsmanager")

    @cached_property
    def _ecs(self) -> Any:  # noqa: ANN401  boto3 is untyped
        return self.target.aws.client("ecs")

    @cached_property
    def _incident(self) -> Incident:
        return incident(self.report.since)

    @property
    def _account(self) -> Account:
        caller = self.target.caller
        return Account(caller.account_id, caller.partition, self.target.aws.region)

    # before anything is changed

    def look(self) -> None:
        """Write down what AWS has.

        Raises:
            Refusal: the run cannot begin, or cannot go on; the message lists all reasons.
        """
        problems: list[str] = []
        for plan in self.plan.secrets:
            self.report.secrets[plan.name] = SecretOutcome(name=plan.name, validity=plan.validity)
            try:
                self._look_at(plan)
            except Failure as failure:
                problems.append(f"{plan.name}: {failure}")
        is_begun = any(one.after for one in self.report.secrets.values())
        if not self.report.back:
            for reader in self.plan.readers:
                problems += self._unready(reader, is_begun=is_begun)
        if problems:
            raise Refusal("\n".join([*problems, "Nothing was changed."]))
        self._plan_readers()

    def _look_at(self, plan: SecretPlan) -> None:
        """Raise Failure if this secret keeps the run from beginning or going on."""
        secret, outcome = look(self._secrets, plan.name), self.report.secrets[plan.name]
        outcome.arn = secret.arn
        current = secret.labelled(CURRENT)
        outcome.before = current.version_id if current else ""
        if not self.rotates:
            return
        version, state = self._incident.find(secret, 1)
        if state == "done":
            outcome.after, outcome.state = version, "rotated"
            outcome.before = _before(secret, version)
            if _is_rolled_back(secret, version):
                outcome.state = "rolled-back"
                if not self.report.back:
                    raise Failure("This run was taken back. Begin a new one, without --since.")
            elif self.report.back and not outcome.before:
                raise Failure(
                    "Leave it out of the command, and the others go back without it. "
                    + _choose(plan.name, self.report.stack)
                )
            return
        if self.report.back:
            if state == "pending":
                raise Failure("Its rotation is in progress. Run the command without --back first.")
            return
        check(secret, plan.secret, plan.function)
        pending = secret.labelled(PENDING)
        if state != "pending" and pending not in {None, current}:
            raise Failure(
                "A rotation is in progress (a version has AWSPENDING). Wait until it has finished; if it "
                'keeps failing, see docs/rotation.md, "When a rotation fails".'
            )
        outcome.state = "planned"

    def _unready(self, reader: ReaderPlan, *, is_begun: bool) -> list[str]:
        """Return why a reader keeps the run from beginning: once it has begun, it goes on."""
        name, found = reader.workload.name, list[str]()
        if is_begun:
            return []
        try:
            if self.restarts:
                found += self._checks(reader).problems()
            if self.rotates and (service := _service(reader)):
                found += self._left_behind(reader, self._describe(service))
        except Failure as failure:
            found.append(str(failure))
        return [f"reader {name}: {one}" for one in found]

    def _left_behind(self, reader: ReaderPlan, found: dict[str, Any]) -> list[str]:
        """Return that tasks have an earlier value than the current one, which this rotation would end."""
        latest = services.newest(found)
        if not latest:
            return []
        for name in reader.secrets:
            since = self._current_since(name)
            if since and latest["createdAt"] <= since:
                when = f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
                problem = (
                    f"Its tasks started before the last rotation of {name} ({when}), and another one would "
                    "end the value that they hold. If a run was interrupted, go on with its --since; "
                    "otherwise restart the readers first, with --restart-only."
                )
                return [problem]
        return []

    def _current_since(self, name: str) -> datetime | None:
        """Return when a rotation made the current value current; None if none has."""
        rotated: datetime | None = self._described(name).get("LastRotatedDate")
        secret = look(self._secrets, name)
        current, previous = secret.labelled(CURRENT), secret.labelled(PREVIOUS)
        if rotated and current and (copied := deferral_of(current.labels)):
            return copied.written(rotated)  # a deferred rotation renewed nothing
        if rotated and current and previous and current.created < previous.created:
            return current.created  # it was rolled back, and is current again
        return rotated

    def _plan_readers(self) -> None:
        for reader in self.plan.readers:
            outcome = planned(reader, self._account)
            by_hand = outcome.outcome == "by-hand"
            text = outcome.text
            if reader.workload.declared.automatic_redeploy and not self.report.back:
                text += (
                    " The stack's own rule also deploys it as soon as the secret changes, in no order "
                    "(automatic: false in ecs.redeploy leaves it to this command)."
                )
            self.report.readers[outcome.name] = ReaderOutcome(
                name=outcome.name,
                state="by-hand" if by_hand else "planned",
                holds="unknown" if by_hand else "old",
                text=text,
                commands=outcome.commands,
            )

    # forward

    def carry_out(self) -> None:
        """Rotate and restart until the end, or until something fails, which is in the report."""
        rotations = Rotations(
            client=self._secrets,
            incident=self._incident,
            timeout=self.timeout,
            consequence="no reader was restarted",
            tell=self.tell,
            stop=self.stop,
        )
        for plan in self.plan.secrets if self.rotates else ():
            if not self._rotate(rotations, plan):
                return
        if not self.restarts:
            self._leave_readers()
            return
        for reader in self.plan.readers:
            if not self._restart(reader):
                break
        self._look_at_the_rest()

    def _rotate(self, rotations: Rotations, plan: SecretPlan) -> bool:
        outcome = self.report.secrets[plan.name]
        try:
            outcome.after = rotations.rotate(plan.secret, plan.function, 1, 1)
            outcome.next_rotation = self._described(plan.name).get("NextRotationDate")
        except Failure as failure:
            outcome.state, outcome.problem = "failed", str(failure)
            self.report.stopped = f"The rotation of {plan.name} failed: {failure}"
            return False
        outcome.state = "rotated"
        self.tell(f"{plan.name}: version {outcome.after} is current.")
        return True

    def _restart(self, reader: ReaderPlan) -> bool:
        """Restart a reader and wait until it is healthy; return whether the next one may follow."""
        name, outcome = reader.workload.name, self.report.readers[reader.workload.name]
        waits_for = [
            one
            for one in self.plan.before[name]
            if one in self.report.readers and self.report.readers[one].state in {"by-hand", "waiting"}
        ]
        if waits_for:
            first = next(one for one in self.report.readers if one in waits_for)
            outcome.state = "waiting"
            outcome.text = f"It waits for {first}, which a person must restart first."
            return True
        service = _service(reader)
        if service is None and name not in self.restarted:
            return True
        try:
            deployment = self._deploy(service, reader) if service else ""
            outcome.holds = "unknown"
            self.tell(f"{name}: waiting until it is healthy.")
            wait(self._checks(reader), deployment, self.stop)
        except Failure as failure:
            outcome.state, outcome.text = "failed", str(failure)
            outcome.commands = (services.describing(service),) if service else ()
            self.report.stopped = f"Reader {name} failed its health check: {failure}"
            return False
        outcome.state, outcome.holds, outcome.commands = "healthy", "new", ()
        outcome.text = "It was restarted, and is healthy."
        self.tell(f"{name}: restarted and healthy.")
        return True

    def _leave_readers(self) -> None:
        for reader in self.plan.readers:
            outcome = self.report.readers[reader.workload.name]
            if outcome.state != "planned":
                continue
            outcome.state, outcome.text = "unchanged", "It was not restarted, without --restart."
            if reader.workload.declared.automatic_redeploy:
                outcome.holds = "unknown"
                outcome.text = "The stack's own rule deploys it again (ecs.redeploy)."

    def _look_at_the_rest(self) -> None:
        """Find out what readers hold that this run did not restart: the stack's own rule may have done it."""
        for reader in self.plan.readers:
            service, outcome = _service(reader), self.report.readers[reader.workload.name]
            if service is None or outcome.state not in {"planned", "failed", "waiting"}:
                continue
            try:
                since = changed(self.target.aws, reader.secrets)
                found = self._describe(service)
            except Failure:
                outcome.holds = "unknown"
                continue
            latest = services.newest(found)
            if not latest or latest["createdAt"] <= since:
                outcome.holds = "old"
            else:
                outcome.holds = "new" if services.has_read(found, since) else "unknown"
            if outcome.state == "planned":
                outcome.state, outcome.text = "waiting", "It was not restarted."

    # back

    def go_back(self) -> None:
        """Make the earlier values current again, then restart the readers that have read the new ones."""
        began: dict[str, datetime] = {}
        for plan in reversed(self.plan.secrets):
            outcome = self.report.secrets[plan.name]
            if not outcome.after:
                outcome.state = "unchanged"
                continue
            try:
                began[plan.name] = self._roll_back(plan, outcome)
            except (Failure, move.Refusal) as failure:
                outcome.state, outcome.problem = "failed", str(failure)
                self.report.stopped = f"{plan.name} could not be rolled back: {failure}"
                return
        for reader in reversed(self.plan.readers) if self.restarts else ():
            self._restart_back(reader, began)

    def _roll_back(self, plan: SecretPlan, outcome: SecretOutcome) -> datetime:
        """Roll a secret back, unless that was done; return when this run's version was created."""
        try:
            secret = history(self._secrets, plan.name, is_login=plan.secret.is_login)
            ours = _version(secret, outcome.after)
            current = secret.labelled(CURRENT)
            if current is not None and current.version_id == ours.version_id:
                if plan.validity == "own-function":
                    undo = shlex.join([plan.name, "--stack", self.report.stack, "--to", outcome.before])
                    raise Failure(
                        "Your own function rotates it, and only it knows whether the earlier value still "
                        f"works. If so: python -m operations rollback {undo}. Then run this command again."
                    )
                rollback = move.plan(
                    secret,
                    "previous",
                    written=plan.secret.mode != "once",
                    rotation_function=plan.function,
                )
                move.roll_back(self._secrets, lambda_client(self.target.aws), rollback)
                self.tell(f"{plan.name}: version {rollback.target.version_id} is current again.")
            elif not _is_rolled_back(secret, outcome.after):
                raise Failure(_choose(plan.name, self.report.stack))
        except (ClientError, BotoCoreError) as error:
            action = getattr(error, "operation_name", "UpdateSecretVersionStage")
            service = "lambda" if action == "Invoke" else "secretsmanager"
            raise explained(
                error, f"{service}:{'InvokeFunction' if action == 'Invoke' else action}"
            ) from None
        outcome.state = "rolled-back"
        return ours.created

    def _restart_back(self, reader: ReaderPlan, began: dict[str, datetime]) -> None:
        """Restart a reader that may have read a new value; a failure stops no other reader."""
        name, outcome = reader.workload.name, self.report.readers[reader.workload.name]
        service, read = _service(reader), [began[one] for one in reader.secrets if one in began]
        if not read:
            outcome.state, outcome.holds, outcome.text = "unchanged", "old", "Its secrets were not rotated."
            return
        if service is None:
            outcome.text = f"If it was restarted since, restart it again. {outcome.text}"
            return
        try:
            latest = services.newest(self._describe(service))
            if latest and latest["createdAt"] < min(read):
                outcome.state, outcome.text = "unchanged", "It was not restarted, and has the old value."
                return
            deployment = self._deploy(service, reader)
            outcome.holds = "unknown"
            self.tell(f"{name}: waiting until it is healthy.")
            wait(self._checks(reader), deployment, self.stop)
        except Failure as failure:
            outcome.state, outcome.text = "failed", str(failure)
            outcome.commands = (services.describing(service),)
            return
        outcome.state, outcome.holds, outcome.text = "healthy", "old", "It was restarted, and is healthy."
        self.tell(f"{name}: restarted and healthy.")

    # AWS

    def _checks(self, reader: ReaderPlan) -> Checks:
        declared = reader.workload.declared.restart or Restart()
        return Checks(aws=self.target.aws, restart=declared, service=_service(reader))

    def _deploy(self, service: Redeploy, reader: ReaderPlan) -> str:
        since = changed(self.target.aws, reader.secrets)
        try:
            return services.deploy(self._ecs, service, since)
        except (ClientError, BotoCoreError) as error:
            raise explained(error, f"ecs:{getattr(error, 'operation_name', 'UpdateService')}") from None

    def _describe(self, service: Redeploy) -> dict[str, Any]:
        try:
            return services.describe(self._ecs, service)
        except (ClientError, BotoCoreError) as error:
            raise explained(error, "ecs:DescribeServices") from None

    def _described(self, name: str) -> dict[str, Any]:
        try:
            return dict(self._secrets.describe_secret(SecretId=name))
        except (ClientError, BotoCoreError) as error:
            raise explained(error, "secretsmanager:DescribeSecret") from None


def _service(reader: ReaderPlan) -> Redeploy | None:
    ecs = reader.workload.declared.ecs
    return ecs.redeploy if ecs else None


def _version(secret: Secret, version_id: str) -> Version:
    return next(one for one in secret.versions if one.version_id == version_id)


def _before(secret: Secret, ours: str) -> str:
    """Return the version that was current before this run's; empty if another one has followed since."""
    current = secret.labelled(CURRENT)
    if current and current.version_id == ours:
        current = secret.labelled(PREVIOUS)
    elif not _is_rolled_back(secret, ours):
        return ""
    return current.version_id if current else ""


def _choose(name: str, stack: str) -> str:
    command = f"python -m operations rollback {shlex.join([name, '--stack', stack])}"
    return f"Another version has become current since. Choose one: {command}"


def _is_rolled_back(secret: Secret, ours: str) -> bool:
    """Return whether this run's version gave way to an earlier one."""
    current = secret.labelled(CURRENT)
    return current is not None and current.created < _version(secret, ours).created
