"""The shape of `databases` in a stack file: PostgreSQL servers and their logins."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model
from settings.rotation import LoginRotation
from settings.secrets import JsonKey, Kept, Mode, SecretName, Value

LOGIN_KEYS = ("engine", "host", "port", "dbname", "username", "password", "DATABASE_URL")
READER_KEY = "DATABASE_READER_URL"  # of a login that asks for it
ADMIN_KEY = "masterarn"  # of a login that an administrator made

_LONGEST_NAME = 63  # bytes of a PostgreSQL name
_PORT = 5432
_CLONE = "_clone"
# Lambda gives all environment variables together 4 KB.
_MOST_AUTHORITIES_BYTES = 3_500
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PLACEHOLDERS = ("login", "owner", "database", "schema")


def _check_postgres_name(name: str) -> str:
    size = len(name.encode())
    if not name or "\0" in name or size > _LONGEST_NAME:
        raise refusal(
            f"this name has {size} bytes",
            "PostgreSQL would have no such object, or cut the name to another one's",
            f"Use 1 to {_LONGEST_NAME} bytes",
        )
    return name


def _check_role_name(name: str) -> str:
    _check_postgres_name(name)
    if name.startswith("pg_") or name in {"public", "none", "rdsadmin"}:
        raise refusal(
            f'"{name}" is reserved by PostgreSQL or RDS',
            "PostgreSQL would refuse to make the role",
            "Choose another name",
        )
    return name


_Host = Annotated[
    str,
    matching(
        r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+",
        "this is no host name",
        "The rotation function could not connect",
        "Write the server's DNS name alone, as in its certificate; the port has a key of its own",
    ),
]
_SecretArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}",
        "this is not the full ARN of a secret",
        "The rotation function could not log in as administrator",
        "Write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX, AWS's six characters included",
    ),
]


def _check_statement(statement: str) -> str:
    for found in _PLACEHOLDER.finditer(statement):
        if found[0] not in {"{{", "}}"} and found[1] not in _PLACEHOLDERS:
            raise refusal(
                f"{found[0]} stands for nothing",
                "The statement could not be run",
                "Use {login}, {owner}, {database} or {schema}, which become quoted names; write {{ and }} "
                "for braces of the statement's own",
            )
    return statement


def _check_authorities(path: str) -> str:
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise refusal(
            f'there is no readable text file "{path}"',
            "The rotation function could not verify the server",
            "Name a PEM file, relative to the project's folder",
        ) from None
    if "PRIVATE KEY" in text or "BEGIN CERTIFICATE" not in text:
        raise refusal(
            f'"{path}" has a private key in it, or no certificate',
            "The file goes to AWS as it is",
            "Name a PEM file with certificates only",
        )
    if len(text.encode()) > _MOST_AUTHORITIES_BYTES:
        raise refusal(
            f'"{path}" has more than {_MOST_AUTHORITIES_BYTES} bytes',
            "Lambda would refuse it as an environment variable",
            "Keep only the authority that signed the server's certificate",
        )
    return path


PostgresName = Annotated[str, AfterValidator(_check_postgres_name)]
RoleName = Annotated[str, AfterValidator(_check_role_name)]


class Configured(Model):
    """A secret config value."""

    config: Annotated[
        str, Field(min_length=1, description="Key of a secret config value: pulumi config set --secret KEY")
    ]


class Vpc(Model):
    """Where the rotation function runs."""

    subnet_ids: Annotated[
        tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$")], ...], Field(min_length=1, max_length=16)
    ]
    security_group_ids: Annotated[
        tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$")], ...], Field(min_length=1, max_length=5)
    ]


class Admin(Model):
    """Who makes the roles: an existing secret, or one of the stack's own."""

    secret_arn: Annotated[
        _SecretArn | None,
        Field(description="An existing secret with username and password"),
    ] = None
    secret: Annotated[
        SecretName | None, Field(description="Name in AWS of a secret that this stack makes")
    ] = None
    username: Annotated[RoleName | None, Field(description="The administrator's role")] = None
    password: Annotated[Configured | None, Field(description="Its password, which works already")] = None
    database: Annotated[PostgresName, Field(description="A database that it may log in to")] = "postgres"
    rotation: Annotated[LoginRotation | None, Field(description="Renews its password; never if left out")] = (
        None
    )
    initial_values: Mode | None = None

    @property
    def kept(self) -> Kept:
        """How the secret is kept that this stack makes."""
        return Kept().model_copy(update={"initial_values": self.initial_values})

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "Admin":
        own = [self.secret, self.username, self.password]
        if (self.secret_arn is None) == (None in own) or (self.secret_arn and any(own)):
            raise refusal(
                "admin takes either secretArn, or secret, username and password",
                "It would be unclear who makes the roles",
                "Write secretArn: ARN for an existing secret; or secret: NAME, username: ROLE and password: "
                "{config: KEY} for one that this stack makes",
            )
        if self.secret_arn and self.rotation:
            raise refusal(
                "rotation is given for a secret that this stack does not make",
                "It would not be rotated",
                "Drop rotation, or have the stack make the secret",
            )
        if self.secret_arn and self.initial_values:
            raise refusal(
                "initialValues is given for a secret that this stack does not make",
                "It would mean nothing",
                "Drop initialValues, or have the stack make the secret",
            )
        return self


class Login(Kept):
    """A login, whose secret is called as the key says."""

    username: Annotated[
        RoleName, Field(description="The login role; with alternating users the first of two")
    ]
    database: PostgresName
    users: Annotated[
        Literal["alternating", "single"],
        Field(description="alternating: two users take turns, so that no login ever fails"),
    ] = "alternating"
    grants: Annotated[
        Literal["read-only", "read-write", "owner"] | None,
        Field(description="What the login may do; read-write if neither this nor grantStatements is written"),
    ] = None
    grant_statements: Annotated[
        tuple[Annotated[str, AfterValidator(_check_statement)], ...] | None,
        Field(
            min_length=1, description="SQL with {login}, {owner}, {database} and {schema} instead of grants"
        ),
    ] = None
    schemas: Annotated[tuple[PostgresName, ...], Field(min_length=1, description="What grants are about")] = (
        "public",
    )
    create_schemas: Annotated[
        bool, Field(description="Creates the schemas that do not exist; without it they are refused")
    ] = False
    owner_role: Annotated[
        RoleName | None,
        Field(description="The role that alternating users act as; USERNAME_owner if left out"),
    ] = None
    password: Annotated[
        Configured | None, Field(description="Password of a login that exists already; random if left out")
    ] = None
    password_length: Annotated[int, Field(ge=16, le=256, description="Characters, letters and digits")] = 40
    rotation: LoginRotation = LoginRotation()
    reader_url: Annotated[
        bool, Field(description="Adds DATABASE_READER_URL, the same login at the database's reader endpoint")
    ] = False
    values: Annotated[
        dict[JsonKey, Value], Field(description="More keys for the secret, beside the login's own")
    ] = Field(default_factory=dict)

    @property
    def url_keys(self) -> tuple[str, ...]:
        """The JSON keys of URLs that not every login has."""
        return (READER_KEY,) if self.reader_url else ()

    @model_validator(mode="after")
    def _consistent(self) -> "Login":
        taken = [key for key in self.values if key in {*self.url_keys, *LOGIN_KEYS, ADMIN_KEY}]
        if taken:
            raise refusal(
                f"values has {', '.join(taken)}, which the login sets itself",
                "Rotation would write over it",
                "Drop it, or use another key",
            )
        if self.grants and self.grant_statements:
            raise refusal(
                "grants and grantStatements are both given",
                "It would be unclear what the login may do",
                "Drop one of the two",
            )
        if self.owner_role and self.users == "single":
            raise refusal(
                "ownerRole is given for a single user",
                "There would be no such role",
                "Drop ownerRole, or write users: alternating",
            )
        return self

    @model_validator(mode="after")
    def _possible_names(self) -> "Login":
        if self.users == "single":
            return self
        if self.username.endswith(_CLONE):
            raise refusal(
                f'username ends with "{_CLONE}"',
                "That is the name of the second of two alternating users",
                f'Write "{self.username.removesuffix(_CLONE)}", or choose another name',
            )
        longest = _LONGEST_NAME - len(_CLONE)
        if len(self.username.encode()) > longest:
            raise refusal(
                f"username has {len(self.username.encode())} bytes",
                f'The second user\'s name, which ends with "{_CLONE}", would be too long for PostgreSQL',
                f"Use {longest} bytes at the most, or write users: single",
            )
        if self.owner_role in {self.username, self.username + _CLONE}:
            raise refusal(
                "ownerRole is one of the two users",
                "Neither user could share what the other one owns",
                f'Leave it out for "{self.username}_owner", or choose another name',
            )
        return self


class Database(Model):
    """A PostgreSQL server: rdsInstance, auroraCluster, or host."""

    rds_instance: Annotated[
        str | None, Field(min_length=1, max_length=63, description="Identifier of an RDS instance")
    ] = None
    aurora_cluster: Annotated[
        str | None, Field(min_length=1, max_length=63, description="Identifier of an Aurora cluster")
    ] = None
    host: Annotated[
        _Host | None,
        Field(description="DNS name of any other server, the one in its certificate"),
    ] = None
    port: Annotated[int | None, Field(ge=1, le=65_535, description="TCP port; 5432 with host")] = None
    reader_host: Annotated[
        _Host | None,
        Field(description="DNS name of a replica, on the same port; an Aurora cluster's own if left out"),
    ] = None
    admin: Annotated[
        Admin | None, Field(description="Who makes the roles; the master secret that RDS manages if left out")
    ] = None
    master_rotation: Annotated[
        LoginRotation | None,
        Field(
            description="When RDS renews its master user's password; as RDS has it (every 7 days) if left out"
        ),
    ] = None
    vpc: Annotated[
        Vpc | None, Field(description="Where the function runs; the database's own if left out")
    ] = None
    outside_vpc: Annotated[bool, Field(description="For a server that is reached over the internet")] = False
    certificate_authorities: Annotated[
        Annotated[str, AfterValidator(_check_authorities)] | None,
        Field(description="PEM file of authorities to trust beside those of Amazon RDS"),
    ] = None
    logins: Annotated[
        dict[SecretName, Login],
        Field(min_length=1, description="Name in AWS of a login's secret to the login"),
    ]

    @property
    def server(self) -> tuple[str | int | None, ...]:
        """What tells one server from another, as far as the stack file says."""
        host = self.host.lower().rstrip(".") if self.host else None
        return self.rds_instance, self.aurora_cluster, host, self.port or (_PORT if host else None)

    @model_validator(mode="after")
    def _one_server(self) -> "Database":
        given = [server for server in (self.rds_instance, self.aurora_cluster, self.host) if server]
        if len(given) != 1:
            raise refusal(
                "a database has exactly one of rdsInstance, auroraCluster and host",
                "It would be unclear where to log in",
                "Keep one of them",
            )
        if self.port and not self.host:
            raise refusal(
                "port is given for a server that AWS knows",
                "AWS says which port it has",
                "Drop port",
            )
        if self.outside_vpc and self.vpc:
            raise refusal(
                "vpc and outsideVpc are both given", "They exclude each other", "Drop one of the two"
            )
        if self.host and not self.vpc and not self.outside_vpc:
            raise refusal(
                "it is not said where the rotation function runs",
                "It could not reach the server",
                "Write vpc: {subnetIds: [...], securityGroupIds: [...]} from which the server is reached, or "
                "outsideVpc: true if it is reached over the internet",
            )
        return self

    @model_validator(mode="after")
    def _has_a_reader(self) -> "Database":
        asking = [name for name, login in self.logins.items() if login.reader_url]
        if asking and not self.aurora_cluster and not self.reader_host:
            raise refusal(
                f"{', '.join(asking)} has readerUrl, and this database has no known reader",
                "Its URL would lead nowhere",
                "Write readerHost: NAME, the endpoint of a replica, or drop readerUrl",
            )
        if self.reader_host and not asking:
            raise refusal(
                "readerHost is given, and no login asks for it",
                "It would be ignored",
                "Write readerUrl: true for a login, or drop readerHost",
            )
        return self

    @model_validator(mode="after")
    def _master_of_rds(self) -> "Database":
        if self.master_rotation and (self.host or self.admin):
            raise refusal(
                "masterRotation is given, and "
                + ("AWS does not know this server" if self.host else "admin names another secret"),
                "There would be no secret of RDS to rotate",
                "Remove masterRotation, or have RDS manage the master user's secret: rdsInstance or "
                "auroraCluster, without admin",
            )
        never = LoginRotation(enabled=False)
        if self.master_rotation and not self.master_rotation.enabled and self.master_rotation != never:
            raise refusal(
                "masterRotation has a schedule and enabled: false",
                "The schedule would be ignored",
                "Keep one of the two",
            )
        return self

    @model_validator(mode="after")
    def _administered(self) -> "Database":
        if not self.host or self.admin:
            return self
        needing = [
            name
            for name, login in self.logins.items()
            if login.users == "alternating" or login.grants or login.grant_statements or not login.password
        ]
        if needing:
            raise refusal(
                f"nobody may make the roles of {', '.join(needing)}",
                "The logins would not work",
                "Write admin: {secretArn: ARN}; a login without an administrator has users: single, no "
                "grants, and password: {config: KEY} of a role that exists",
            )
        return self

    @model_validator(mode="after")
    def _own_roles(self) -> "Database":
        owners: dict[str, str] = {}
        for name, login in self.logins.items():
            for role in roles_of(login):
                if role in owners:
                    raise refusal(
                        f'role "{role}" belongs to {owners[role]} and to {name}',
                        "Each rotation of one would lock out the other",
                        "Give each login a username of its own, and let workloads share a secret instead",
                    )
                owners[role] = name
        return self


def roles_of(login: Login) -> tuple[str, ...]:
    """The names of a login's roles in the database."""
    if login.users == "single":
        return (login.username,)
    return login.username, login.username + _CLONE, login.owner_role or f"{login.username}_owner"
