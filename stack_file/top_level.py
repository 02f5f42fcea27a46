"""The top-level model of a stack file."""

from typing import Annotated

from pydantic import Field

from stack_file.ages import MaxAgeDays, RemindDays
from stack_file.caches import Cache
from stack_file.databases import Database
from stack_file.fleet import Fleet
from stack_file.include import IncludedFiles
from stack_file.mistakes import matching
from stack_file.model import Model
from stack_file.notices import Notices
from stack_file.pipeline import Pipeline
from stack_file.policies import PolicyArn
from stack_file.rehearsal import Rehearsal
from stack_file.rotation import RotationFunction
from stack_file.secrets import Encryption, Mode, RecoveryWindow, Replica, Secret, SecretName, Tags
from stack_file.smtp import SmtpCredentials
from stack_file.workloads import Label, Workload

_UpdateRoleArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "not the ARN of a role",
        "KMS would reject the policy of the stack's key",
        "Use arn:aws:iam::ACCOUNT:role/NAME, from the pipeline stack's outputs",
    ),
]


class StackFile(Model):
    """The structure below the project's namespace in a stack file."""

    encryption: Encryption = "stack-key"
    recovery_window_days: RecoveryWindow = 30
    protect: Annotated[
        bool, Field(description="Do not delete or replace secrets until this is false again")
    ] = False
    tags: Tags = Field(default_factory=dict)
    initial_values: Mode = "once"
    replicas: Annotated[
        tuple[Replica, ...], Field(description="Copies of every secret in other regions")
    ] = ()
    include: Annotated[
        tuple[IncludedFiles, ...],
        Field(description="Further files with secrets, databases, caches, smtp and workloads"),
    ] = ()
    secrets: Annotated[dict[SecretName, Secret], Field(description="Secrets, by their names in AWS")] = Field(
        default_factory=dict
    )
    databases: Annotated[
        dict[str, Database],
        Field(description="Database servers and their logins, by names of your choice"),
    ] = Field(default_factory=dict)
    caches: Annotated[
        dict[str, Cache],
        Field(description="Redis and Valkey caches and their logins, by names of your choice"),
    ] = Field(default_factory=dict)
    smtp: Annotated[
        dict[SecretName, SmtpCredentials],
        Field(description="SMTP credentials of Amazon SES, by the names of their secrets in AWS"),
    ] = Field(default_factory=dict)
    workloads: Annotated[
        dict[Label, Workload], Field(description="Who reads which keys, and how, by names of your choice")
    ] = Field(default_factory=dict)
    rotation: Annotated[RotationFunction, Field(description="Settings of all functions of the stack")] = (
        RotationFunction()
    )
    max_age_days: Annotated[
        MaxAgeDays, Field(description="Days after which a value is too old; 0: never")
    ] = 0
    remind_days: RemindDays = 30
    notices: Annotated[Notices | None, Field(description="A daily message while secrets need attention")] = (
        None
    )
    rehearsal: Annotated[
        Rehearsal | None, Field(description="Rehearse rotations on a schedule; {} for every day")
    ] = None
    permissions_boundary: Annotated[
        PolicyArn | None, Field(description="Permissions boundary of every role that the stack creates")
    ] = None
    update_role: Annotated[
        _UpdateRoleArn | None,
        Field(
            description="Role of the pipeline that updates the stack; the stack's KMS key grants it access"
        ),
    ] = None
    pipeline: Annotated[
        Pipeline | None,
        Field(
            description="Roles of a pipeline that previews and updates other stacks; only in a separate stack"
        ),
    ] = None
    fleet: Annotated[
        Fleet | None,
        Field(description="Splits this file into several stacks: python -m operations fleet"),
    ] = None
