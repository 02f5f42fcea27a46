"""The whole structure of a stack file, checked before anything is declared."""

from typing import Annotated

from pydantic import Field

from settings.databases import Database
from settings.fleet import Fleet
from settings.mistakes import matching
from settings.model import Model
from settings.pipeline import Pipeline
from settings.rotation import RotationFunction
from settings.secrets import Encryption, Mode, RecoveryWindow, Replica, Secret, SecretName, Tags
from settings.workloads import Label, Workload

_PolicyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}",
        "this is not the ARN of a policy",
        "IAM would refuse to make the stack's roles",
        "Write arn:aws:iam::ACCOUNT:policy/NAME, as the pipeline's stack shows it",
    ),
]
_UpdateRoleArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "this is not the ARN of a role",
        "KMS would refuse the policy of the stack's key",
        "Write arn:aws:iam::ACCOUNT:role/NAME, as the pipeline's stack shows it",
    ),
]


class StackFile(Model):
    """The structure below the project's namespace in a stack file."""

    encryption: Encryption = "stack-key"
    recovery_window_days: RecoveryWindow = 30
    protect: Annotated[
        bool, Field(description="Refuse to delete or replace secrets until this is false again")
    ] = False
    tags: Tags = Field(default_factory=dict)
    initial_values: Mode = "once"
    replicas: Annotated[
        tuple[Replica, ...], Field(description="Copies of every secret in other regions")
    ] = ()
    secrets: Annotated[
        dict[SecretName, Secret], Field(description="Name in AWS to what the secret holds")
    ] = Field(default_factory=dict)
    databases: Annotated[
        dict[str, Database],
        Field(description="PostgreSQL servers and their logins, by a name of your choice"),
    ] = Field(default_factory=dict)
    workloads: Annotated[
        dict[Label, Workload], Field(description="Who reads which keys, and how, by a name of your choice")
    ] = Field(default_factory=dict)
    rotation: Annotated[
        RotationFunction, Field(description="What all rotation functions of the stack have in common")
    ] = RotationFunction()
    permissions_boundary: Annotated[
        _PolicyArn | None, Field(description="Policy that bounds every role that the stack makes")
    ] = None
    update_role: Annotated[
        _UpdateRoleArn | None,
        Field(description="Role of a pipeline that updates the stack: the stack's key lets it in"),
    ] = None
    pipeline: Annotated[
        Pipeline | None,
        Field(description="Roles with which a pipeline previews and updates other stacks; stands alone"),
    ] = None
    fleet: Annotated[
        Fleet | None,
        Field(description="Divides what is here over several stacks: python -m automation.fleet"),
    ] = None
