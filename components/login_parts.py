"""Parts that the login of every kind of database has: its secret, its function, and its rotation."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeAlias, get_args
from urllib.parse import quote

import pulumi
import pulumi_aws as aws

from .checks import (
    ArgumentError,
    check_choice,
    check_number,
    check_plain_text,
    check_port,
    check_strings,
    check_text,
)
from .function_parts import FunctionSettings
from .initial_value import Given, InitialValue, Joined, Made, Part, Random, resolve
from .lambdas.rotation import protocol
from .rotation import Rotation, RotationArgs, Schedule
from .rotation_function import AdminServer, Network, Retirement, RotationFunction, RotationFunctionArgs
from .secret import Secret, SecretArgs

Grants: TypeAlias = Literal["read-only", "read-write", "owner"]
_LEAST_PASSWORD, _LONGEST_PASSWORD = 16, 256  # the function's own limits
_PORTS = {"mysql": 3306, "aurora-mysql": 3306, "mariadb": 3306}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A database server.

    Attributes:
        engine: postgres, aurora-postgresql, mysql, aurora-mysql or mariadb, as RDS names them. Default:
            postgres.
        host: DNS name, the one in its certificate.
        port: TCP port. Default: 5432, or 3306 for MySQL and MariaDB.

    Raises:
        ArgumentError: the host is empty, or the port is not one.
    """

    engine: str = "postgres"
    host: pulumi.Input[str]
    port: int = 0

    def __post_init__(self) -> None:
        if self.port == 0 and not isinstance(self.port, bool):
            object.__setattr__(self, "port", _PORTS.get(self.engine, 5432))
        check_text("Server", "host", self.host)
        check_port("Server", self.port)


@dataclass(frozen=True, kw_only=True)
class LoginArgs:
    """The arguments that the logins of all databases have; see `PostgresLoginArgs` and `MysqlLoginArgs`."""

    secret: SecretArgs
    server: Server
    database: str
    username: str
    function: RotationFunction | pulumi.Input[str] | None = None
    network: Network | None = None
    certificate_authorities: str = ""
    common: FunctionSettings | None = None
    admin_secret_arn: pulumi.Input[str] | None = None
    grants: Grants | Sequence[str] | None = None
    password: pulumi.Input[str] | None = None
    password_length: int = protocol.DEFAULT_PASSWORD_LENGTH
    reader_host: pulumi.Input[str] | None = None
    schedule: Schedule | None = None
    retirement: Retirement | None = None
    after: Sequence[pulumi.Resource] = ()


@dataclass(frozen=True, kw_only=True)
class UrlForm:
    """The form of the URLs of one kind of database.

    Attributes:
        scheme: what is before `://`.
        query: the query, with its question mark.
        with_password: whether the login has a password.
    """

    scheme: str
    query: str = ""
    with_password: bool = True

    def url(self, host: str, port: int, login: tuple[str, str], database: str) -> str:
        """Return the URL of a login; `login` is its name and its password."""
        username, secret, name = (quote(part, safe="") for part in (*login, database))
        credentials = f"{username}:{secret}" if self.with_password else username
        return f"{self.scheme}://{credentials}@{_place(host, port)}/{name}{self.query}"


@dataclass(frozen=True)
class LoginParts:
    """The resources of a login.

    Attributes:
        secret: its secret.
        roles: names of its roles or accounts in the database.
        warnings: what the function could not do for it, as sentences.
    """

    secret: Secret
    roles: pulumi.Output[list[str]]
    warnings: pulumi.Output[list[str]]


def check_login(where: str, args: LoginArgs, engines: Sequence[str]) -> None:
    """Raise ArgumentError for an argument that cannot work with any database."""
    check_choice(where, "engine", args.server.engine, engines)
    check_plain_text(where, "database", args.database)
    check_plain_text(where, "username", args.username)
    check_number(where, "password_length", args.password_length, _LEAST_PASSWORD, _LONGEST_PASSWORD)
    if isinstance(args.grants, str):
        check_choice(where, "grants", args.grants, get_args(Grants))
    elif args.grants is not None:
        check_strings(where, "grants", args.grants)
    for name in ("admin_secret_arn", "password", "reader_host"):
        if getattr(args, name) is not None:
            check_text(where, name, getattr(args, name))


class HasFunction(Protocol):
    """The arguments of a login that concern its function."""

    @property
    def secret(self) -> SecretArgs:
        """Its secret."""
        ...

    @property
    def function(self) -> RotationFunction | pulumi.Input[str] | None:
        """A function of ours, or its ARN."""
        ...

    @property
    def network(self) -> Network | None:
        """Network of its own function."""
        ...

    @property
    def certificate_authorities(self) -> str:
        """PEM of authorities that its own function trusts."""
        ...

    @property
    def common(self) -> FunctionSettings | None:
        """Settings of its own function."""
        ...

    @property
    def retirement(self) -> Retirement | None:
        """The behavior of its own function while clients use an old password."""
        ...


def check_function(where: str, args: HasFunction) -> None:
    """Raise ArgumentError for a function that cannot serve the login."""
    if args.function is not None and (args.network or args.certificate_authorities or args.common):
        raise ArgumentError(
            f"{where}: network, certificate_authorities and common are for a function of its own: write "
            "them in the arguments of the function"
        )
    if args.function is not None and args.retirement is not None:
        raise ArgumentError(
            f"{where}: retirement is for a function of its own: write it in the retirements of the function"
        )
    if isinstance(args.function, RotationFunction):
        if args.secret.secret_name not in args.function.secret_names:
            raise ArgumentError(
                f"{where}: the function may not write its secret: add the name to secret_names"
            )
    elif args.function is not None:
        check_text(where, "function", args.function)


def declare_login(  # noqa: PLR0913 - the differences between databases
    parent: pulumi.ComponentResource,
    name: str,
    args: LoginArgs,
    *,
    form: UrlForm,
    tags: Mapping[str, str],
    request: Mapping[str, object],
) -> LoginParts:
    """Declare the resources of a login: its function unless it has one, secret, provisioning and rotation.

    Args:
        parent: the component.
        name: the component's name.
        args: its arguments.
        form: the form of its URLs.
        tags: the secret's tags that tell the function how to rotate it.
        request: the keys of the provisioning event that only this kind of database has.
    """
    function = _function(parent, name, args) if args.function is None else args.function
    # every value is text: some readers of secrets accept no numbers
    values = {
        protocol.ENGINE: args.server.engine,
        protocol.HOST: args.server.host,
        protocol.PORT: str(args.server.port),
        protocol.DATABASE: args.database,
        protocol.LOGIN_USERNAME: args.username,
        **({} if args.admin_secret_arn is None else {protocol.MASTER_ARN: args.admin_secret_arn}),
    }
    secret = Secret(
        f"{name}-login",
        dataclasses.replace(
            args.secret,
            values={
                **{key: Given(value=value) for key, value in values.items()},
                **_secret_values(name, args, form, parent),
                **args.secret.values,
            },
            tags={**args.secret.tags, **tags},
        ),
        pulumi.ResourceOptions(parent=parent),
    )
    event = pulumi.Output.all(secret.arn, args.admin_secret_arn, args.server.host).apply(
        lambda known: _provisioning(args, request, *known)
    )
    return provision_and_rotate(
        parent, name, secret, function, event=event, schedule=args.schedule, after=args.after
    )


def provision_and_rotate(  # noqa: PLR0913 - what the logins of all servers differ in
    parent: pulumi.ComponentResource,
    name: str,
    secret: Secret,
    function: RotationFunction | pulumi.Input[str],
    *,
    event: pulumi.Input[str],
    schedule: Schedule | None,
    after: Sequence[pulumi.Resource],
) -> LoginParts:
    """Have the function make a login work, then attach its rotation.

    Args:
        parent: the login's component.
        name: its name.
        secret: its secret.
        function: the function, or its ARN.
        event: the provisioning event (lambdas/rotation/provision.py).
        schedule: when the password is rotated; None for never.
        after: what must exist before the function logs in.
    """
    ours = [function] if isinstance(function, RotationFunction) else []
    provisioned = aws.lambda_.Invocation(
        f"{name}-provisioning",
        function_name=function.function_name if isinstance(function, RotationFunction) else function,
        input=event,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[secret, *ours, *after]),
    )
    if schedule:
        Rotation(
            f"{name}-rotation",
            RotationArgs(
                secret_arn=secret.arn,
                function=function,
                schedule=schedule,
                after=[secret, provisioned],
            ),
            pulumi.ResourceOptions(parent=parent),
        )
    report = provisioned.result.apply(json.loads)
    return LoginParts(
        secret,
        report.apply(lambda found: list(found[protocol.ROLES])),
        report.apply(lambda found: list(found[protocol.WARNINGS])),
    )


def _url(args: LoginArgs, form: UrlForm, known: Sequence[str]) -> str:
    """Return a URL of the login as declared; `known` is its host and its password."""
    host, password = known
    return form.url(host, args.server.port, (args.username, password), args.database)


def _place(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _url_recipe(args: LoginArgs, form: UrlForm, host: pulumi.Input[str], username: str | Part) -> Joined:
    """Return how the writer makes a URL, with the user of the live secret or the declared one."""

    def end_with(known: str) -> str:
        return f"@{_place(known, args.server.port)}/{quote(args.database, safe='')}{form.query}"

    end: pulumi.Input[str]
    end = (
        end_with(host)
        if isinstance(host, str)
        else pulumi.Output.all(host).apply(lambda all_: end_with(*all_))
    )
    password = Part(key=protocol.PASSWORD, quoted=True)
    if isinstance(username, Part):
        return Joined(pieces=[f"{form.scheme}://", username, ":", password, end])
    return Joined(pieces=[f"{form.scheme}://{quote(username, safe='')}:", password, end])


def _urls(args: LoginArgs, form: UrlForm) -> dict[str, tuple[pulumi.Input[str], Joined]]:
    """Return the JSON key of each URL, with its host and how the writer makes it."""
    server = args.server.host
    urls = {protocol.URL: (server, _url_recipe(args, form, server, args.username))}
    if args.reader_host is not None:
        # it may be added to a secret that has rotated, whose user may be the second one
        live = Part(key=protocol.LOGIN_USERNAME, quoted=True)
        urls[protocol.READER_URL] = (args.reader_host, _url_recipe(args, form, args.reader_host, live))
    return urls


def _secret_values(
    name: str, args: LoginArgs, form: UrlForm, parent: pulumi.Resource
) -> dict[str, InitialValue]:
    """Return the sources of the password and of the URLs that contain it, for the secret's mode."""
    if not form.with_password:
        return {
            key: Given(value=_plain_url(args, form, host)) for key, (host, _) in _urls(args, form).items()
        }
    password = Random(length=args.password_length, special=False)
    if args.secret.mode == "account" and args.password is None:
        return {
            protocol.PASSWORD: password,
            **{key: recipe for key, (_, recipe) in _urls(args, form).items()},
        }
    text = args.password
    if text is None:
        text = resolve(f"{name}-random:password", password, pulumi.ResourceOptions(parent=parent))
    urls = {
        key: Made(value=pulumi.Output.all(host, text).apply(partial(_url, args, form)), recipe=recipe)
        for key, (host, recipe) in _urls(args, form).items()
    }
    return {
        protocol.PASSWORD: Made(value=text, recipe=password) if args.password is None else Given(value=text),
        **urls,
    }


def _plain_url(args: LoginArgs, form: UrlForm, host: pulumi.Input[str]) -> pulumi.Input[str]:
    if isinstance(host, str):
        return _url(args, form, (host, ""))
    return pulumi.Output.all(host).apply(lambda known: _url(args, form, (known[0], "")))


def _provisioning(
    args: LoginArgs,
    request: Mapping[str, object],
    secret_arn: str,
    admin_secret_arn: str | None,
    host: str,
) -> str:
    """Return the event that asks the function to create the login (lambdas/rotation/provision.py)."""
    connection = {
        protocol.HOST: host,
        protocol.PORT: str(args.server.port),
        protocol.DATABASE: args.database,
    }
    event: dict[str, object] = {
        protocol.ACTION: protocol.PROVISION,
        protocol.SECRET_ID: secret_arn,
        protocol.USERNAME: args.username,
        protocol.CONNECTION: {
            **connection,
            **({protocol.MASTER_ARN: admin_secret_arn} if admin_secret_arn else {}),
        },
    }
    if args.grants is not None:
        event[protocol.GRANTS] = args.grants if isinstance(args.grants, str) else list(args.grants)
    return json.dumps({**event, **request})


def _function(parent: pulumi.Resource, name: str, args: LoginArgs) -> RotationFunction:
    common = args.common or FunctionSettings()
    admin, host = args.admin_secret_arn, args.server.host
    keys = [] if args.secret.kms_key_id is None else [common.key_arn(args.secret.kms_key_id)]
    return RotationFunction(
        f"{name}-rotation",
        RotationFunctionArgs(
            common=common,
            secret_names=[args.secret.secret_name],
            admin_secret_arns=[] if admin is None else [admin],
            admin_servers=[]
            if admin is None
            else [AdminServer(secret_arn=admin, host=host, port=args.server.port)],
            kms_key_arns=[key for key in keys if key is not None],
            retirements={} if args.retirement is None else {args.secret.secret_name: args.retirement},
            network=args.network,
            certificate_authorities=args.certificate_authorities,
        ),
        pulumi.ResourceOptions(parent=parent),
    )
