"""The shape of rotation in a stack file: when, and by what."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model

# Source: AWS Secrets Manager User Guide, "Schedule expressions": no more often than every four hours.
_LEAST_HOURS, _MOST_DAYS, _HOURS_A_DAY = 4, 999, 24
_RATE = re.compile(r"rate\((?P<number>[1-9]\d{0,4}) (?P<unit>hours?|days?)\)")
_CRON = re.compile(r"cron\(0 \S+ \S+ \S+ \S+ \S+\)")
_MOST_TAG_CHARACTERS = 256
# What CloudWatch Logs takes (API reference, PutRetentionPolicy).
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
        "this is not a schedule that AWS Secrets Manager takes",
        "AWS would refuse to rotate the secret",
        'Write "rate(30 days)" (4 hours to 999 days), or a cron expression in UTC that begins with minute 0, '
        'for example "cron(0 8 1 * ? *)" for the first of each month at 8',
    )


_Duration = Annotated[
    str,
    matching(
        r"([1-9]|1\d|2[0-4])h",
        "this is not the length of a rotation window",
        "AWS would refuse to rotate the secret",
        'Write whole hours from "1h" to "24h"',
    ),
]


def _check_retention(days: int) -> int:
    if days not in _RETENTION_DAYS:
        nearest = min(_RETENTION_DAYS, key=lambda known: abs(known - days))
        raise refusal(
            f"CloudWatch Logs keeps no log for {days} days",
            "AWS would refuse to make the log group",
            f"Write {nearest}, or another of {', '.join(map(str, _RETENTION_DAYS))}",
        )
    return days


_FunctionArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]+)?",
        "this is not the ARN of a Lambda function",
        "AWS would have nothing to call",
        "Write arn:aws:lambda:REGION:ACCOUNT:function:NAME",
    ),
]
_TopicArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}",
        "this is not the ARN of an SNS topic",
        "Nobody would be told of a failed rotation",
        "Write arn:aws:sns:REGION:ACCOUNT:NAME",
    ),
]


class Schedule(Model):
    """When a secret is rotated; every 30 days if nothing is written."""

    automatically_after_days: Annotated[
        int | None, Field(ge=1, le=1000, description="Days after the last rotation; 30 without an expression")
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
        bool, Field(description="Rotate also when rotation is attached or its schedule changes")
    ] = False

    @model_validator(mode="after")
    def _one_schedule(self) -> "Schedule":
        if self.automatically_after_days is not None and self.schedule_expression is not None:
            raise refusal(
                "automaticallyAfterDays and scheduleExpression are both given",
                "AWS takes one of them",
                "Drop one of the two",
            )
        return self


class LoginRotation(Schedule):
    """When a login's password is renewed."""

    enabled: Annotated[
        bool, Field(description="false cancels the rotation; the password stays as it is, and valid")
    ] = True


class SecretRotation(Schedule):
    """What renews a secret that is no database login, and when: keys or functionArn."""

    renewed_keys: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/=+@-]+$")], ...],
        Field(
            alias="keys",
            max_length=10,
            description="JSON keys to which each rotation gives new random values",
        ),
    ] = ()
    length: Annotated[
        int, Field(ge=16, le=256, description="Characters if alphanumeric, random bytes otherwise")
    ] = 64
    format: Annotated[
        Literal["alphanumeric", "hex", "base64", "base64url"], Field(description="Form of the new values")
    ] = "alphanumeric"
    function_arn: Annotated[
        _FunctionArn | None,
        Field(description="A rotation function of your own, which Secrets Manager may call"),
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> "SecretRotation":
        if bool(self.renewed_keys) == bool(self.function_arn):
            raise refusal(
                "rotation takes either keys or functionArn",
                "It would be unclear what a rotation does",
                "Write keys: [KEY] to have random keys renewed, or functionArn for a function of your own",
            )
        if len(" ".join(self.renewed_keys)) > _MOST_TAG_CHARACTERS:
            raise refusal(
                f"the names in keys have more than {_MOST_TAG_CHARACTERS} characters together",
                "AWS would refuse the tag that tells the function",
                "Shorten the names, or spread the keys over several secrets",
            )
        return self


class RotationFunction(Model):
    """What all rotation functions of the stack have in common."""

    alarm_topic_arn: Annotated[
        _TopicArn | None,
        Field(description="SNS topic that is told of failed rotations"),
    ] = None
    log_retention_days: Annotated[
        int,
        AfterValidator(_check_retention),
        Field(
            description="Days that a function's log is kept",
            json_schema_extra={"enum": list(_RETENTION_DAYS)},
        ),
    ] = 90
    architecture: Annotated[Literal["arm64", "x86_64"], Field(description="Of the functions' processor")] = (
        "arm64"
    )
