"""The whole structure of a stack file, checked before anything is declared."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from settings.databases import Database
from settings.model import Model
from settings.rotation import RotationFunction
from settings.secrets import Encryption, RecoveryWindow, Replica, Secret, SecretName, Tags


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
    rotation: Annotated[
        RotationFunction, Field(description="What all rotation functions of the stack have in common")
    ] = RotationFunction()


def secret_places(stack_file: StackFile) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every secret that the stack makes, by its name in AWS, with its place in the stack file."""
    for name in stack_file.secrets:
        yield name, ("secrets", name)
    for database, declared in stack_file.databases.items():
        if declared.admin and declared.admin.secret:
            yield declared.admin.secret, ("databases", database, "admin", "secret")
        for name in declared.logins:
            yield name, ("databases", database, "logins", name)
