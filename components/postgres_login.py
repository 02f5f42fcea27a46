"""A PostgreSQL login: its secret, its role in the database, and the rotation of its password."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal
from urllib.parse import quote

import pulumi
import pulumi_aws as aws

from components import rotation_tags
from components.initial_value import Given, InitialValue, Joined, Made, Part, Random, resolve
from components.rotation import Rotation, RotationArgs, Schedule
from components.rotation_function import RotationFunction
from components.secret import Secret, SecretArgs


@dataclass(frozen=True, kw_only=True)
class Server:
    """A PostgreSQL server.

    Attributes:
        engine: `postgres` or `aurora-postgresql`, as RDS names them.
        host: DNS name, the one in its certificate.
        port: TCP port.
    """

    engine: str
    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class PostgresLoginArgs:
    """Who logs in where, what the login may do, and how its secret is kept.

    Attributes:
        secret: the secret; its `values` are added to those of the login (engine, host, port, dbname,
            username, password, masterarn, DATABASE_URL, DATABASE_READER_URL).
        server: the server.
        database: name of the database.
        username: the login role as declared; with alternating users the first of the two.
        alternating: two users that take turns, so that a password that was read works until the rotation
            after next.
        function: rotates it, and makes the role.
        admin_secret_arn: secret of the administrator that makes roles; without one the login must exist, with
            `password`.
        grants: read-only, read-write, owner, or SQL templates; None leaves privileges as they are.
        schemas: what grants are about.
        create_schemas: create those that do not exist; without it they are refused.
        owner_role: the role that alternating users act as; `{username}_owner` if left out.
        password: of a login that exists; random if left out.
        password_length: characters.
        reader_host: DNS name of a reader on the server's port, which DATABASE_READER_URL leads to; no such
            key if left out.
        schedule: when it is rotated; never if left out.
        after: what must exist before the function logs in, such as the value of the administrator's secret.
    """

    secret: SecretArgs
    server: Server
    database: str
    username: str
    alternating: bool
    function: RotationFunction
    admin_secret_arn: pulumi.Input[str] | None = None
    grants: Literal["read-only", "read-write", "owner"] | Sequence[str] | None = None
    schemas: Sequence[str] = ("public",)
    create_schemas: bool = False
    owner_role: str | None = None
    password: pulumi.Input[str] | None = None
    password_length: int = 40
    reader_host: str | None = None
    schedule: Schedule | None = None
    after: Sequence[pulumi.Resource] = ()


def url(host: str, port: int, login: tuple[str, str], database: str) -> str:
    """A URL of a login with this name and password."""
    username, secret, name = (quote(part, safe="") for part in (*login, database))
    return f"postgres://{username}:{secret}@{_place(host, port)}/{name}?sslmode=verify-full"


def _url(args: PostgresLoginArgs, host: str, password: str) -> str:
    """A URL of the login as it is declared."""
    return url(host, args.server.port, (args.username, password), args.database)


def _place(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _url_recipe(args: PostgresLoginArgs, host: str, username: str | Part) -> Joined:
    """How the writer makes a URL, with the user of the live secret or the one that is declared."""
    end = f"@{_place(host, args.server.port)}/{quote(args.database, safe='')}?sslmode=verify-full"
    password = Part(key="password", quoted=True)
    if isinstance(username, Part):
        return Joined(pieces=["postgres://", username, ":", password, end])
    return Joined(pieces=[f"postgres://{quote(username, safe='')}:", password, end])


def _urls(args: PostgresLoginArgs) -> dict[str, tuple[str, Joined]]:
    """JSON key of each URL, to its host and how the writer makes it."""
    server = args.server.host
    urls = {"DATABASE_URL": (server, _url_recipe(args, server, args.username))}
    if args.reader_host is not None:
        # it may be added to a secret that has rotated, whose user may be the second one
        live = Part(key="username", quoted=True)
        urls["DATABASE_READER_URL"] = (args.reader_host, _url_recipe(args, args.reader_host, live))
    return urls


def _secret_values(name: str, args: PostgresLoginArgs, parent: pulumi.Resource) -> dict[str, InitialValue]:
    """The password and the URLs with it, however the secret's mode has them made."""
    password = Random(length=args.password_length, special=False)
    if args.secret.mode == "account" and args.password is None:
        return {"password": password, **{key: recipe for key, (_, recipe) in _urls(args).items()}}
    text = args.password
    if text is None:
        text = resolve(f"{name}-random:password", password, pulumi.ResourceOptions(parent=parent))
    known = pulumi.Output.from_input(text)
    urls = {
        key: Made(value=known.apply(partial(_url, args, host)), recipe=recipe)
        for key, (host, recipe) in _urls(args).items()
    }
    return {
        "password": Made(value=text, recipe=password) if args.password is None else Given(value=text),
        **urls,
    }


def _declaration(args: PostgresLoginArgs, secret_arn: str, admin_secret_arn: str | None) -> str:
    """The event that asks the function to make the role (functions/rotation/provision.py)."""
    connection = {"host": args.server.host, "port": str(args.server.port), "dbname": args.database}
    event: dict[str, object] = {
        "Action": "provision",
        "SecretId": secret_arn,
        "Username": args.username,
        "Connection": {**connection, **({"masterarn": admin_secret_arn} if admin_secret_arn else {})},
    }
    if args.grants is not None:
        event["Grants"] = args.grants if isinstance(args.grants, str) else list(args.grants)
        event["Schemas"] = list(args.schemas)
        if args.create_schemas:
            event["CreateSchemas"] = True
    if args.owner_role is not None:
        event["OwnerRole"] = args.owner_role
    return json.dumps(event)


class PostgresLogin(pulumi.ComponentResource):
    """A login that works as soon as it is deployed, and whose password is renewed on schedule.

    Attributes:
        secret: its secret.
        roles: names of its roles in the database.
        warnings: what the function could not do for it, in sentences.
    """

    secret: Secret
    roles: pulumi.Output[list[str]]
    warnings: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: PostgresLoginArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("aws-secrets:index:PostgresLogin", name, None, opts)
        # every value is a text: not all that read secrets take numbers
        values = {
            "engine": args.server.engine,
            "host": args.server.host,
            "port": str(args.server.port),
            "dbname": args.database,
            "username": args.username,
            **({} if args.admin_secret_arn is None else {"masterarn": args.admin_secret_arn}),
        }
        self.secret = Secret(
            f"{name}-login",
            dataclasses.replace(
                args.secret,
                values={
                    **{key: Given(value=value) for key, value in values.items()},
                    **_secret_values(name, args, self),
                    **args.secret.values,
                },
                tags={
                    **args.secret.tags,
                    **rotation_tags.of_login(args.password_length, alternating=args.alternating),
                },
            ),
            pulumi.ResourceOptions(parent=self),
        )
        provisioned = aws.lambda_.Invocation(
            f"{name}-provisioning",
            function_name=args.function.function_name,
            input=pulumi.Output.all(self.secret.arn, args.admin_secret_arn).apply(
                lambda known: _declaration(args, *known)
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.secret, args.function, *args.after]),
        )
        if args.schedule:
            Rotation(
                f"{name}-rotation",
                RotationArgs(
                    secret_arn=self.secret.arn,
                    function=args.function,
                    schedule=args.schedule,
                    after=[self.secret, provisioned],
                ),
                pulumi.ResourceOptions(parent=self),
            )
        report = provisioned.result.apply(json.loads)
        self.roles = report.apply(lambda found: list(found["Roles"]))
        self.warnings = report.apply(lambda found: list(found["Warnings"]))
        self.register_outputs({"secretArn": self.secret.arn, "roles": self.roles, "warnings": self.warnings})
