"""The components with inputs that every language can write.

They have the names and type tokens of the components that they are, so a resource keeps its URN whichever
language declares it.
"""

import pulumi

from .. import mysql_login, postgres_login, rotation, rotation_function, secret
from . import arguments
from .inputs import (
    MysqlLoginInputs,
    PostgresLoginInputs,
    RotationFunctionInputs,
    RotationInputs,
    SecretInputs,
)


class Secret(secret.Secret):
    """A secret in AWS Secrets Manager whose values later updates never overwrite."""

    def __init__(self, name: str, args: SecretInputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, arguments.secret_args(args), opts)


class MysqlLogin(mysql_login.MysqlLogin):
    """A MySQL or MariaDB login: its secret, its account in the database, and the rotation of its password."""

    secret_arn: pulumi.Output[str]
    """Full ARN of its secret."""
    secret_name: pulumi.Output[str]
    """Name of its secret in AWS."""
    references: pulumi.Output[dict[str, str]]
    """JSON key to `ARN:key::`, the form in which Amazon ECS reads one key."""

    def __init__(self, name: str, args: MysqlLoginInputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, arguments.mysql_login_args(args), opts)
        self.secret_arn = self.secret.arn
        self.secret_name = self.secret.secret_name
        self.references = self.secret.references


class PostgresLogin(postgres_login.PostgresLogin):
    """A PostgreSQL login: its secret, its role in the database, and the rotation of its password."""

    secret_arn: pulumi.Output[str]
    """Full ARN of its secret."""
    secret_name: pulumi.Output[str]
    """Name of its secret in AWS."""
    references: pulumi.Output[dict[str, str]]
    """JSON key to `ARN:key::`, the form in which Amazon ECS reads one key."""

    def __init__(
        self, name: str, args: PostgresLoginInputs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, arguments.login_args(args), opts)
        self.secret_arn = self.secret.arn
        self.secret_name = self.secret.secret_name
        self.references = self.secret.references


class Rotation(rotation.Rotation):
    """A rotation schedule. Removing it cancels the rotation; the secret keeps its value."""

    def __init__(self, name: str, args: RotationInputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, arguments.rotation_args(args), opts)


class RotationFunction(rotation_function.RotationFunction):
    """The Lambda function that rotates secrets of one network, with its role, log group and alarm."""

    def __init__(
        self, name: str, args: RotationFunctionInputs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, arguments.function_args(args), opts)


COMPONENTS: tuple[type[pulumi.ComponentResource], ...] = (
    Secret,
    MysqlLogin,
    PostgresLogin,
    Rotation,
    RotationFunction,
)
