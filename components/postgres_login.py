"""A PostgreSQL login: its secret, its role in the database, and the rotation of its password."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import pulumi

from . import rotation_tags, tokens
from .checks import ArgumentError, check_choice, check_strings
from .lambdas.rotation import protocol
from .login_parts import (
    Grants,
    LoginArgs,
    Server,
    UrlForm,
    check_function,
    check_login,
    declare_login,
)

if TYPE_CHECKING:
    import pulumi_aws as aws

    from .secret import Secret

__all__ = ["Engine", "Grants", "PostgresLogin", "PostgresLoginArgs", "Server", "url"]

Engine: TypeAlias = Literal["postgres", "aurora-postgresql"]
Authentication: TypeAlias = Literal["password", "iam"]
_FORM = UrlForm(scheme="postgres", query="?sslmode=verify-full")
_IAM_FORM = UrlForm(scheme="postgres", query="?sslmode=verify-full", with_password=False)


@dataclass(frozen=True, kw_only=True)
class PostgresLoginArgs(LoginArgs):
    """Arguments of a login.

    Attributes:
        secret: the secret; its values are added to those of the login (engine, host, port, dbname, username,
            password, masterarn, DATABASE_URL, DATABASE_READER_URL).
        server: the server.
        database: name of the database.
        username: name of the login role; with alternating users, of the first.
        alternating: let two users take turns, so that a password in use stays valid until the rotation after
            the next. Default: True.
        function: our function that creates the role and rotates the password, or its ARN. Default: one of
            its own, in `network`.
        network: where its own function runs. Default: outside any VPC.
        certificate_authorities: PEM of authorities that its own function trusts besides those of Amazon RDS.
            Default: none.
        common: settings of its own function. Default: FunctionSettings(), with the account and region of the
            program's default provider.
        admin_secret_arn: ARN of the secret of the administrator that creates the role. Default: none; then
            the role must exist, with `password`.
        grants: read-only, read-write, owner, or SQL statements with {login}, {owner}, {database} and
            {schema}. Default: none; privileges stay as they are.
        schemas: schemas that the grants apply to. Default: public.
        create_schemas: create schemas that do not exist. Default: False; they are rejected.
        authentication: password; or iam, for a login of RDS or Aurora without a password: its workloads log
            in with tokens that their roles sign, and need rds-db:connect. Then there is a single user,
            nothing rotates, and a role that exists must have the secret's mark. Default: password.
        owner_role: role that alternating users act as. Default: `{username}_owner`.
        password: password of a role that exists. Default: a random one.
        password_length: characters of a random password, 16 to 256. Default: 40.
        reader_host: DNS name of a reader on the server's port, for DATABASE_READER_URL. Default: no such key.
        schedule: when the password is rotated. Default: never.
        retirement: what its own function does while clients use an old password, with alternating users.
            Default: none; a rotation proceeds without a look.
        after: what must exist before the function logs in, such as the value of the administrator's secret.
            Default: nothing.

    Raises:
        ArgumentError: an argument cannot work; the message says what to write instead.
    """

    alternating: bool = True
    schemas: Sequence[str] = ("public",)
    create_schemas: bool = False
    owner_role: str | None = None
    authentication: Authentication = "password"

    def __post_init__(self) -> None:
        where = f"login {self.secret.secret_name}"
        check_login(where, self, get_args(Engine))
        check_strings(where, "schemas", self.schemas)
        check_choice(where, "authentication", self.authentication, get_args(Authentication))
        self._check_without_password(where)
        self._check_administrator(where)
        check_function(where, self)
        self._check_retirement(where)

    def _check_retirement(self, where: str) -> None:
        if self.retirement is not None and not self.alternating:
            raise ArgumentError(
                f"{where}: retirement is for alternating users: a single user has one password, which every "
                "client uses: remove it"
            )

    def _check_without_password(self, where: str) -> None:
        if self.authentication != "iam":
            return
        wrong = [name for name in ("password", "schedule", "owner_role") if getattr(self, name) is not None]
        wrong += ["alternating"] if self.alternating else []
        if wrong:
            raise ArgumentError(
                f"{where}: a login with authentication='iam' has no password: remove {', '.join(wrong)}"
                f"{', or write alternating=False' if self.alternating else ''}"
            )
        if self.admin_secret_arn is None:
            raise ArgumentError(f"{where}: authentication='iam' needs admin_secret_arn: write it")

    def _check_administrator(self, where: str) -> None:
        if self.admin_secret_arn is None and self.alternating:
            raise ArgumentError(
                f"{where}: alternating users need admin_secret_arn, the secret of the administrator who "
                "creates them: write it, or alternating=False and the password of a role that exists"
            )
        if self.admin_secret_arn is None and self.password is None and self.function is None:
            raise ArgumentError(f"{where}: write admin_secret_arn, or the password of a role that exists")
        if self.owner_role is not None and not self.alternating:
            raise ArgumentError(f"{where}: owner_role is for alternating users: remove it")


def url(host: str, port: int, login: tuple[str, str], database: str) -> str:
    """Return the URL of a login; `login` is its name and its password."""
    return _FORM.url(host, port, login, database)


def _request(args: PostgresLoginArgs) -> dict[str, object]:
    """Return the keys of the provisioning event that only PostgreSQL has."""
    request: dict[str, object] = {}
    if args.authentication == "iam":
        request[protocol.AUTHENTICATION] = protocol.IAM
    if args.grants is not None:
        request[protocol.SCHEMAS] = list(args.schemas)
        if args.create_schemas:
            request[protocol.CREATE_SCHEMAS] = True
    if args.owner_role is not None:
        request[protocol.OWNER_ROLE] = args.owner_role
    return request


class PostgresLogin(pulumi.ComponentResource):
    """A PostgreSQL login that works as soon as it is deployed, and whose password is rotated on schedule.

    Attributes:
        roles: names of its roles in the database.
        warnings: what the function could not do for it, as sentences.
    """

    roles: pulumi.Output[list[str]]
    warnings: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: PostgresLoginArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(tokens.POSTGRES_LOGIN, name, None, opts)
        tags = rotation_tags.of_login(args.password_length, alternating=args.alternating)
        form = _FORM
        if args.authentication == "iam":
            tags, form = rotation_tags.of_iam_login(), _IAM_FORM
        parts = declare_login(self, name, args, form=form, tags=tags, request=_request(args))
        self._secret, self.roles, self.warnings = parts.secret, parts.roles, parts.warnings
        self.register_outputs({"secretArn": parts.secret.arn, "roles": self.roles, "warnings": self.warnings})

    @property
    def secret(self) -> "Secret":
        """Its secret."""
        return self._secret

    def grant_read(
        self, role: "aws.iam.Role | pulumi.Input[str]", name: str | None = None
    ) -> "aws.iam.RolePolicy":
        """Let a role read the secret; see `Secret.grant_read`.

        Args:
            role: the role, or its name.
            name: logical name of the policy. Default: the secret's, `-read-by-`, and the role's.
        """
        return self._secret.grant_read(role, name)
