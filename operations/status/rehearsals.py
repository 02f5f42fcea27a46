"""The outcomes of rehearsals on a schedule, from the log of the function that starts them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from components.lambdas.rehearsal import outcomes
from operations.status.aws import AwsSession, Denied
from operations.status.errors import ALLOW, denial
from operations.status.model import Problem, Rehearsal, Secret
from operations.status.texts import KINDS
from program.desired import Desired
from program.rehearsed import rehearsed


def with_outcomes(
    secrets: tuple[Secret, ...], desired: Desired, aws: AwsSession, now: datetime
) -> tuple[Secret, ...]:
    """Return the secrets with their last rehearsals; as they are if the stack file has no schedule.

    Raises:
        QueryError: AWS could not be asked.
    """
    declared, names = desired.stack_file.rehearsal, set(rehearsed(desired))
    if declared is None or not names:
        return secrets
    log = aws.log(outcomes.filters(desired.rehearsal_log_group, declared.every_days, now))
    if isinstance(log, Denied):
        problem = Problem(kind="unknown", text=denial(log.action), remedy=ALLOW)
        return tuple(_with(one, [problem]) if one.name in names else one for one in secrets)
    last = outcomes.latest(log.events) if log else {}
    known = not log or log.is_complete
    return tuple(
        _rehearsed(one, last.get(one.name), declared.every_days, now, is_known=known)
        if one.name in names and not one.existing and one.presence == "present"
        else one
        for one in secrets
    )


def _rehearsed(
    secret: Secret, last: outcomes.Outcome | None, every_days: int, now: datetime, *, is_known: bool
) -> Secret:
    if last is None and not is_known:
        text = "The log of rehearsals has more events than are read, so its last rehearsal is unknown"
        remedy = "Read the log of the function: docs/rehearsal.md."
        return _with(secret, [Problem(kind="unknown", text=text, remedy=remedy)])
    found = outcomes.trouble(last, every_days, secret.created, now)
    rehearsal = (
        Rehearsal(at=last.at, works=not last.findings, steps=tuple(one.step for one in last.findings))
        if last and now - last.at <= outcomes.window(every_days)
        else Rehearsal(at=None, works=None)
    )
    problems = [Problem(kind="rehearsal", text=text, remedy=remedy) for text, remedy in found]
    return replace(_with(secret, problems), rehearsal=rehearsal)


def _with(secret: Secret, problems: Iterable[Problem]) -> Secret:
    """Return the secret with more problems, worst first."""
    together = [*secret.problems, *problems]
    return replace(secret, problems=tuple(sorted(together, key=lambda problem: KINDS.index(problem.kind))))
