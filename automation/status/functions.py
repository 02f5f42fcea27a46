"""The rotation functions of a stack's secrets, and what their error alarms say."""

from collections.abc import Iterable

from automation.status.aws import Alarm, Asking, Denied
from automation.status.declared import Declared
from automation.status.model import Function, Problem, Secret


def functions_of(
    secrets: Iterable[Secret], declared: Iterable[Declared], aws: Asking
) -> tuple[Function, ...]:
    """All that rotate secrets of the stack now."""
    operators_own = {one.schedule.function_arn for one in declared if one.schedule}
    rotated: dict[str, list[str]] = {}
    for secret in secrets:
        if secret.rotation and secret.rotation.state != "off" and secret.rotation.function:
            rotated.setdefault(secret.rotation.function, []).append(secret.name)
    alarms = aws.alarms(rotated)
    return tuple(
        _function(arn, names, alarms[arn], ours=arn not in operators_own) for arn, names in rotated.items()
    )


def _function(arn: str, names: list[str], asked: Alarm | Denied, *, ours: bool) -> Function:
    if isinstance(asked, Denied):
        text = f"These credentials may not call {asked.action}"
        remedy = "Allow it: docs/status.md lists what a status needs."
        problem = Problem(kind="unknown", text=text, remedy=remedy)
        return Function(arn=arn, alarm=None, since=None, secrets=tuple(names), problems=(problem,))
    problems = []
    if asked.state == "ALARM":
        problems.append(
            Problem(
                kind="rotation",
                text="Its error alarm is on: a rotation failed in the last minutes and is tried again",
                remedy="The last [ERROR] in its log says why; docs/rotation.md says what to do.",
            )
        )
    elif asked.state is None and ours:
        problems.append(
            Problem(
                kind="drift",
                text="It has no error alarm: nobody would be told of a failed rotation",
                remedy="pulumi up --refresh makes the alarm again.",
            )
        )
    return Function(
        arn=arn, alarm=asked.state, since=asked.since, secrets=tuple(names), problems=tuple(problems)
    )
