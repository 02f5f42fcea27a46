"""The whole structure of a stack file, checked before anything is declared."""

from typing import Annotated

from pydantic import Field

from settings.databases import Database
from settings.model import Model
from settings.rotation import RotationFunction
from settings.secrets import Encryption, RecoveryWindow, Replica, Secret, SecretName, Tags
from settings.workloads import Label, Workload


class StackFile(Model):
    """The structure below the project's namespace in a stack file."""

    encryption: Encryption = "stack-key"
    recovery_window_days: RecoveryWindow = 30
    protect: Annotated[
        bool, Field(description="Refuse to delete or replace secrets until this is false again")
    ] = False
    tags: Tags = Field(default_factory=dict)
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
