"""Models of rotation in a stack file: when, and by what."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stack_file.mistakes import matching, refusal
from stack_file.model import Model

# Source: AWS Secrets Manager User Guide, "Schedule expressions": no more often than every four hours.
_LEAST_HOURS, _MOST_DAYS, _HOURS_A_DAY = 4, 999, 24
_RATE = re.compile(r"rate\((?P<number>[1-9]\d{0,4}) (?P<unit>hours?|days?)\)")
_CRON = re.compile(r"cron\(0 \S+ \S+ \S+ \S+ \S+\)")
_MOST_TAG_CHARACTERS = 256
# Source: CloudWatch Logs API reference, PutRetentionPolicy.
_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def _check_expression(expression: str) -> str:
    rate = _RATE.fullmatch(expression)
    if rate:
        hours = int(rate["number"]) * (1 if rate["unit"].startswith("hour") else _HOURS_A_DAY)
        if _LEAST_HOURS <= hours <= _MOST_DAYS * _HOURS_A_DAY:
            return expression
    elif _CRON.fullmatch(expression) and ("?" in expression):
        return expression
    raise refusal(
        "not a valid rotation schedule",
        "AWS would reject it",
        'Use "rate(30 days)" (4 hours to 999 days), or a cron expression in UTC that starts at minute 0, '
        "such "
        'as "cron(0 8 1 * ? *)" for the first of each month at 8:00',
    )


_Duration = Annotated[
    str,
    matching(
        r"([1-9]|1\d|2[0-4])h",
        "not a valid rotation window",
        "AWS would reject it",
        'Use whole hours from "1h" to "24h"',
    ),
]


def _check_retention(days: int) -> int:
    if days not in _RETENTION_DAYS:
        nearest = min(_RETENTION_DAYS, key=lambda known: abs(known - days))
        raise refusal(
            f"{days} days is not a retention that CloudWatch Logs supports",
            "AWS would reject the log group",
            f"Use {nearest}, or another of {', '.join(map(str, _RETENTION_DAYS))}",
        )
    return days


_FunctionArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]+)?",
        "not the ARN of a Lambda function",
        "AWS would reject the rotation",
        "Use arn:aws:lambda:REGION:ACCOUNT:function:NAME",
    ),
]
_TopicArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}",
        "not the ARN of an SNS topic",
        "Nobody would be notified of a failed rotation",
        "Use arn:aws:sns:REGION:ACCOUNT:NAME",
    ),
]


class Schedule(Model):
    """When a secret is rotated; default: every 30 days."""

    automatically_after_days: Annotated[
        int | None,
        Field(
            ge=1, le=1000, description="Days after the last rotation; default: 30, without scheduleExpression"
        ),
    ] = None
    schedule_expression: Annotated[
        Annotated[str, AfterValidator(_check_expression)] | None,
        Field(description="rate(10 days), or cron(0 8 1 * ? *) in UTC"),
    ] = None
    duration: Annotated[
        _Duration | None,
        Field(description="Length of the rotation window, 1h to 24h"),
    ] = None
    rotate_immediately: Annotated[
        bool, Field(description="Also rotate when rotation is attached and when its schedule changes")
    ] = False

    @model_validator(mode="after")
    def _one_schedule(self) -> "Schedule":
        if self.automatically_after_days is not None and self.schedule_expression is not None:
            raise refusal(
                "automaticallyAfterDays and scheduleExpression are mutually exclusive",
                "",
                "Remove one of them",
            )
        return self


class LoginRotation(Schedule):
    """When a login's password is rotated."""

    enabled: Annotated[bool, Field(description="false: do not rotate; the password stays valid")] = True


WhileUsed = Literal["proceed", "wait", "defer"]


class PasswordRotation(LoginRotation):
    """When a login's password is rotated, and what happens to clients that keep an old one."""

    while_old_password_is_used: Annotated[
        WhileUsed | None,
        Field(
            description="If clients still use the password that a rotation ends: defer it to the next one, "
            "wait for up to 14 minutes, or proceed; each names them in the log. Default: proceed without a "
            "look"
        ),
    ] = None
    max_deferrals: Annotated[
        int | None,
        Field(
            ge=1,
            le=99,
            description="With defer: rotations in a row that may be deferred; the next one goes on. Default: "
            "3",
        ),
    ] = None

    @model_validator(mode="after")
    def _one_bound(self) -> "PasswordRotation":
        mode = self.while_old_password_is_used
        if self.max_deferrals is not None and mode != "defer":
            raise refusal(
                "maxDeferrals is set without whileOldPasswordIsUsed: defer",
                "It would be ignored",
                "Remove it, or set whileOldPasswordIsUsed: defer",
            )
        if mode and not self.enabled:
            raise refusal(
                "whileOldPasswordIsUsed is set, and rotation is not enabled",
                "It would be ignored",
                "Remove one of them",
            )
        return self


class SecretRotation(Schedule):
    """When a secret outside databases is rotated, and by what: keys or functionArn."""

    renewed_keys: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/=+@-]+$")], ...],
        Field(
            alias="keys",
            max_length=10,
            description="JSON keys that each rotation gives new random values",
        ),
    ] = ()
    length: Annotated[
        int,
        Field(
            ge=16,
            le=256,
            description="Length of a new value: characters if alphanumeric, otherwise random bytes",
        ),
    ] = 64
    format: Annotated[
        Literal["alphanumeric", "hex", "base64", "base64url"], Field(description="Encoding of a new value")
    ] = "alphanumeric"
    function_arn: Annotated[
        _FunctionArn | None,
        Field(description="ARN of your own rotation function, which Secrets Manager can invoke"),
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> "SecretRotation":
        if bool(self.renewed_keys) == bool(self.function_arn):
            raise refusal(
                "rotation needs exactly one of keys and functionArn",
                "",
                "Set keys: [KEY] to give keys new random values, or functionArn for your own function",
            )
        if len(" ".join(self.renewed_keys)) > _MOST_TAG_CHARACTERS:
            raise refusal(
                f"the names in keys have more than {_MOST_TAG_CHARACTERS} characters in total",
                "AWS would reject the tag that lists them for the rotation function",
                "Shorten the names, or split the keys into several secrets",
            )
        return self


class RotationFunction(Model):
    """Settings of all functions of the stack."""

    alarm_topic_arn: Annotated[
        _TopicArn | None,
        Field(description="SNS topic for alarms about failed rotations"),
    ] = None
    log_retention_days: Annotated[
        int,
        AfterValidator(_check_retention),
        Field(
            description="Retention of the functions' logs in days",
            json_schema_extra={"enum": list(_RETENTION_DAYS)},
        ),
    ] = 90
    architecture: Annotated[
        Literal["arm64", "x86_64"], Field(description="Processor architecture of the functions")
    ] = "arm64"
