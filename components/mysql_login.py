"""A MySQL or MariaDB login: its secret, its account in the database, and the rotation of its password."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import pulumi

from . import rotation_tags, tokens
from .checks import ArgumentError, check_plain_text
from .lambdas.rotation import protocol
from .login_parts import LoginArgs, UrlForm, check_function, check_login, declare_login

if TYPE_CHECKING:
    import pulumi_aws as aws

    from .secret import Secret

Engine: TypeAlias = Literal["mysql", "aurora-mysql", "mariadb"]


@dataclass(frozen=True, kw_only=True)
class MysqlLoginArgs(LoginArgs):
    """Arguments of a MySQL or MariaDB login, whose account has two valid passwords.

    Attributes:
        secret: the secret; its values are added to those of the login (engine, host, port, dbname, username,
            password, masterarn, DATABASE_URL, DATABASE_READER_URL).
        server: the server; its engine is mysql, aurora-mysql or mariadb.
        database: name of the database.
        username: name of the user.
        user_host: host part of the account, from which the user may log in. Default: %, anywhere.
        url_scheme: scheme of DATABASE_URL, such as mysql2 for Ruby on Rails. Default: mysql.
        function: our function that creates the account and rotates the password, or its ARN. Default: one of
            its own, in `network`.
        network: where its own function runs. Default: outside any VPC.
        certificate_authorities: PEM of authorities that its own function trusts besides those of Amazon RDS.
            Default: none.
        common: settings of its own function. Default: FunctionSettings(), with the account and region of the
            program's default provider.
        admin_secret_arn: ARN of the secret of the administrator that creates the account. Default: none; then
            the account must exist, with `password`, and may change its own password only if it is an
            administrator itself.
        grants: read-only, read-write, owner, or SQL statements with {login} and {database}. Default: none;
            privileges stay as they are.
        password: password of an account that exists. Default: a random one.
        password_length: characters of a random password, 16 to 256. Default: 40.
        reader_host: DNS name of a reader on the server's port, for DATABASE_READER_URL. Default: no such key.
        schedule: when the password is rotated. Default: never.
        retirement: what its own function does while clients use an old password. Default: none; a rotation
            proceeds without a look.
        after: what must exist before the function logs in, such as the value of the administrator's secret.
            Default: nothing.

    Raises:
        ArgumentError: an argument cannot work; the message says what to write instead.
    """

    user_host: str = "%"
    url_scheme: str = "mysql"

    def __post_init__(self) -> None:
        where = f"login {self.secret.secret_name}"
        check_login(where, self, get_args(Engine))
        check_plain_text(where, "user_host", self.user_host)
        check_plain_text(where, "url_scheme", self.url_scheme)
        if self.admin_secret_arn is None and self.password is None and self.function is None:
            raise ArgumentError(f"{where}: write admin_secret_arn, or the password of an account that exists")
        check_function(where, self)


class MysqlLogin(pulumi.ComponentResource):
    """A MySQL or MariaDB login that works as soon as it is deployed, rotated on schedule.

    Attributes:
        roles: its account in the database.
        warnings: what the function could not do for it, as sentences.
    """

    roles: pulumi.Output[list[str]]
    warnings: pulumi.Output[list[str]]

    def __init__(self, name: str, args: MysqlLoginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.MYSQL_LOGIN, name, None, opts)
        request = {} if args.user_host == "%" else {protocol.USER_HOST: args.user_host}
        form = UrlForm(scheme=args.url_scheme)
        tags = rotation_tags.of_mysql_login(args.server.engine, args.password_length)
        parts = declare_login(self, name, args, form=form, tags=tags, request=request)
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
