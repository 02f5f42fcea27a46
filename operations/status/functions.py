"""The rotation functions of a stack's secrets, and their error alarms."""

from collections.abc import Iterable

from operations.status.aws import Alarm, AwsSession, Denied
from operations.status.declared import DeclaredSecret
from operations.status.errors import ALLOW, denial
from operations.status.model import Function, Problem, Secret
from operations.status.rotation import log_command


def functions_of(
    secrets: Iterable[Secret], declared: Iterable[DeclaredSecret], aws: AwsSession
) -> tuple[Function, ...]:
    """Return the functions that currently rotate the stack's secrets."""
    operators_own = {one.schedule.function_arn for one in declared if one.schedule}
    rotated: dict[str, list[str]] = {}
    for secret in secrets:
        if secret.rotation and secret.rotation.state != "off" and secret.rotation.function:
            rotated.setdefault(secret.rotation.function, []).append(secret.name)
    alarms = aws.alarms(rotated)
    return tuple(
        _function(arn, names, alarms[arn], needs_alarm=arn not in operators_own)
        for arn, names in rotated.items()
    )


def _function(arn: str, names: list[str], alarm: Alarm | Denied, *, needs_alarm: bool) -> Function:
    if isinstance(alarm, Denied):
        problem = Problem(kind="unknown", text=denial(alarm.action), remedy=ALLOW)
        return Function(arn=arn, alarm=None, since=None, secrets=tuple(names), problems=(problem,))
    problems = []
    if alarm.state == "ALARM":
        problems.append(
            Problem(
                kind="rotation",
                text="The error alarm is on: a rotation failed within the last minutes and is being retried",
                remedy=f"The last [ERROR] in the log has the cause: {log_command(arn)}. For what to do, see "
                'docs/rotation.md, "When a rotation fails".',
            )
        )
    elif alarm.state is None and needs_alarm:
        problems.append(
            Problem(
                kind="drift",
                text="The error alarm is missing: nobody is notified of a failed rotation",
                remedy="Run `pulumi up --refresh` to create the alarm again.",
            )
        )
    return Function(
        arn=arn, alarm=alarm.state, since=alarm.since, secrets=tuple(names), problems=tuple(problems)
    )
