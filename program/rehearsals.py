"""Declare rehearsals of rotations on a schedule, if the stack file asks for them."""

from collections.abc import Mapping

from components.rotation_function import RotationFunction
from components.scheduled_rehearsal import RehearsedSecret, ScheduledRehearsal, ScheduledRehearsalArgs
from program.aws_lookups import Servers
from program.desired import REHEARSAL
from program.rehearsed import rehearsed, schemas_of
from program.rotations import served_by
from program.secret_args import SecretDefaults


def declare(
    defaults: SecretDefaults, servers: Servers, functions: Mapping[str, RotationFunction]
) -> ScheduledRehearsal | None:
    """Declare them; return None if the stack file has no `rehearsal`, or no function of the stack rotates.

    Args:
        defaults: settings that the stack's components share.
        servers: what the stack's logins log in to.
        functions: the rotation functions by their logical names.
    """
    desired, declared = defaults.desired, defaults.desired.stack_file.rehearsal
    names = rehearsed(desired)
    if declared is None or not names:
        return None
    served = served_by(desired, defaults.account, servers, lambda _: None)
    function_of = {secret: functions[name] for name, one in served.items() for secret in one.secret_names}
    return ScheduledRehearsal(
        REHEARSAL,
        ScheduledRehearsalArgs(
            common=defaults.function_settings(),
            secrets=[
                RehearsedSecret(
                    secret_name=name,
                    function=function_of[name],
                    schemas=schemas_of(desired.secrets[name], desired),
                )
                for name in names
            ],
            every_days=declared.every_days,
            hour=declared.hour,
            log_group_name=desired.rehearsal_log_group,
        ),
    )
