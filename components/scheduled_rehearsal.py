"""Rehearsals of rotations on a schedule: a rule, the function that it invokes, and an alarm of their own.

The rule could invoke the rotation functions directly, but then whoever may change its targets could send them
any event, such as one that provisions a login. This function ignores its event.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import function_parts, tokens
from .archives import rehearsal_code
from .checks import check_number, check_secret_name, check_strings
from .function_parts import FunctionCode, FunctionSettings
from .lambdas.build import REHEARSAL_HANDLER
from .lambdas.rehearsal import declared
from .lambdas.rehearsal.declared import Rehearsed
from .policies import document, log_writing
from .rotation_function import RotationFunction

_MEMORY_MEGABYTES = 256
_TIMEOUT_SECONDS = 900  # Lambda's limit
_LAST_HOUR, _MOST_DAYS = 23, 31


@dataclass(frozen=True, kw_only=True)
class RehearsedSecret:
    """A secret whose rotation is rehearsed.

    Attributes:
        secret_name: name in AWS.
        function: the function that rotates it.
        schemas: PostgreSQL: the schemas that its login must be able to use. Default: none.

    Raises:
        ArgumentError: not a valid name, or schemas is not a list.
    """

    secret_name: str
    function: RotationFunction
    schemas: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_secret_name(self.secret_name)
        check_strings("RehearsedSecret", "schemas", self.schemas)


@dataclass(frozen=True, kw_only=True)
class ScheduledRehearsalArgs:
    """Arguments of scheduled rehearsals.

    Attributes:
        common: settings shared with the program's other functions. Default: FunctionSettings(), with the
            account and region of the program's default provider.
        secrets: the secrets.
        every_days: days between two rehearsals, 1 to 31; fewer at the end of a month. Default: 1.
        hour: hour of the day in UTC. Default: 12.
        log_group_name: name of the log group, from which the outcomes are read. Default: the provider's.
        handler: entry point in the function's code. Default: this package's.

    Raises:
        ArgumentError: days or an hour that do not exist.
    """

    common: FunctionSettings = field(default_factory=FunctionSettings)
    secrets: Sequence[RehearsedSecret]
    every_days: int = 1
    hour: int = 12
    log_group_name: str | None = None
    handler: str = REHEARSAL_HANDLER

    def __post_init__(self) -> None:
        check_number("ScheduledRehearsal", "every_days", self.every_days, 1, _MOST_DAYS)
        check_number("ScheduledRehearsal", "hour", self.hour, 0, _LAST_HOUR)


def schedule(args: ScheduledRehearsalArgs) -> str:
    """Return the schedule expression; the count of days begins with each month."""
    return f"cron(0 {args.hour} {'*' if args.every_days == 1 else f'1/{args.every_days}'} * ? *)"


def _functions(args: ScheduledRehearsalArgs) -> list[RotationFunction]:
    return list(dict.fromkeys(secret.function for secret in args.secrets))


def declared_file(args: ScheduledRehearsalArgs) -> str:
    """Return the file in the archive: which secrets to rehearse, and with which functions."""
    functions = _functions(args)
    return declared.written(
        [
            Rehearsed(secret.secret_name, functions.index(secret.function), tuple(secret.schemas))
            for secret in args.secrets
        ]
    )


def _permissions(log_group_arn: str, function_arns: Sequence[str]) -> str:
    invoke = {
        "Sid": "HaveTheseRehearse",
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": sorted(function_arns),
    }
    return document(*([invoke] if function_arns else []), log_writing(log_group_arn))


class ScheduledRehearsal(pulumi.ComponentResource):
    """A rule of EventBridge, the function that it invokes, and an alarm while a rotation would fail.

    Attributes:
        function_name: name of the function.
        log_group_name: name of its log group, which has the outcomes.
    """

    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ScheduledRehearsalArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # for reports on previews: the role's policy is not known before the log group exists
        reads: dict[str, list[str]] = {"reads": []}
        super().__init__(tokens.SCHEDULED_REHEARSAL, name, reads, opts)
        functions = _functions(args)
        arns = [function.arn for function in functions]
        names = pulumi.Output.all(*(function.function_name for function in functions))
        about = "Rehearses rotations of secrets of AWS Secrets Manager"
        function, log_group = function_parts.python_function(
            name,
            args.common,
            FunctionCode(
                about=about,
                failure="A rotation would fail, or could not be rehearsed. The function's log says which and "
                "why. The alarm ends with the next rehearsal that finds nothing.",
                archive=rehearsal_code(declared_file(args)),
                handler=args.handler,
                memory_megabytes=_MEMORY_MEGABYTES,
                timeout_seconds=_TIMEOUT_SECONDS,
                variables={declared.FUNCTIONS_VARIABLE: names.apply(" ".join)},
                log_group_name=args.log_group_name,
                keeps_alarm=True,
            ),
            lambda arn: [
                pulumi.Output.all(arn, *arns).apply(lambda known: _permissions(known[0], known[1:]))
            ],
            self,
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            description=about,
            schedule_expression=schedule(args),
            tags=dict(args.common.tags) or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        function_parts.invoke_by_rule(name, rule, function, self)
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.register_outputs({"functionName": self.function_name, "logGroupName": self.log_group_name})
