"""Models of `databases` in a stack file: database servers and their logins."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stack_file.engines import ENGINES, EngineName
from stack_file.mistakes import matching, refusal
from stack_file.model import Model
from stack_file.rotation import LoginRotation, PasswordRotation
from stack_file.secrets import JsonKey, Mode, SecretName, SecretSettings, Value

LOGIN_KEYS = ("engine", "host", "port", "dbname", "username", "password", "DATABASE_URL")
PASSWORD_KEY = "password"  # noqa: S105  a key's name; not for authentication: iam
READER_KEY = "DATABASE_READER_URL"  # only for a login with readerUrl
ADMIN_KEY = "masterarn"  # only for a login of a server with an administrator

CLONE = "_clone"
# Source: Amazon RDS User Guide, "Viewing an RDS Proxy": also its endpoints of its own.
_RDS_PROXY = re.compile(r"[a-z0-9-]+\.(endpoint\.)?proxy-[a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com(\.cn)?")
# Lambda accepts 4 KB of environment variables in all.
_MOST_AUTHORITIES_BYTES = 3_500
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PLACEHOLDERS = ("login", "owner", "database", "schema")


def _check_name(name: str) -> str:
    if not name or "\0" in name:
        raise refusal(
            "the name has a null character" if name else "the name has 0 bytes",
            "The database would reject it",
            "Use at least one character, and no null character",
        )
    return name


_Host = Annotated[
    str,
    matching(
        r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+",
        "not a valid host name",
        "The rotation function could not connect",
        "Use the DNS name in the server's certificate, without a port: that is set by port",
    ),
]
_SecretArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}",
        "not the full ARN of a secret",
        "The rotation function could not log in as the administrator",
        "Use arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX, with the six characters that AWS adds",
    ),
]


_UserHost = Annotated[
    str,
    matching(
        r"[A-Za-z0-9.:%_/-]{1,255}",
        "not the host part of an account",
        "The database would reject the user",
        'Use "%" for every host, or an address pattern such as "10.0.%"',
    ),
]


def _check_statement(statement: str) -> str:
    for found in PLACEHOLDER.finditer(statement):
        if found[0] not in {"{{", "}}"} and found[1] not in _PLACEHOLDERS:
            raise refusal(
                f"unknown placeholder {found[0]}",
                "The statement could not be run",
                "Use {login}, {owner}, {database} or {schema}, which become quoted names; write {{ and }} "
                "for "
                "literal braces",
            )
    return statement


def _check_authorities(path: str) -> str:
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise refusal(
            f'cannot read the file "{path}"',
            "The rotation function could not verify the server",
            "Use the path of a PEM file, relative to the project's folder",
        ) from None
    if "PRIVATE KEY" in text or "BEGIN CERTIFICATE" not in text:
        raise refusal(
            f'"{path}" contains a private key, or no certificate',
            "The file is sent to AWS unchanged",
            "Use a PEM file that contains only certificates",
        )
    if len(text.encode()) > _MOST_AUTHORITIES_BYTES:
        raise refusal(
            f'"{path}" has more than {_MOST_AUTHORITIES_BYTES} bytes',
            "Lambda would reject it as an environment variable",
            "Keep only the authority that signed the server's certificate",
        )
    return path


# The privileges that components/postgres_login.py and the rotation function know; a unit test compares them.
Grants = Literal["read-only", "read-write", "owner"]
DEFAULT_GRANTS: Grants = "read-write"
DeclaredGrants = Literal["read-only", "read-write", "owner", "unchanged"]
UNCHANGED: Literal["unchanged"] = "unchanged"
"""The `grants` of a login whose privileges stay as they are."""
Administrator = Literal["stack-secret", "existing-secret", "rds", "none"]
# What an engine allows is checked by engine_checks.py.
Name = Annotated[str, AfterValidator(_check_name)]
AuthoritiesFile = Annotated[str, AfterValidator(_check_authorities)]


class Configured(Model):
    """A secret config value, by its key."""

    config: Annotated[
        str, Field(min_length=1, description="Key of a secret config value: pulumi config set --secret KEY")
    ]


class Vpc(Model):
    """The network that the rotation function runs in."""

    subnet_ids: Annotated[
        tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$")], ...], Field(min_length=1, max_length=16)
    ]
    security_group_ids: Annotated[
        tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$")], ...], Field(min_length=1, max_length=5)
    ]


class Admin(Model):
    """The administrator that creates roles: an existing secret, or one that the stack creates."""

    secret_arn: Annotated[
        _SecretArn | None,
        Field(description="ARN of an existing secret with username and password"),
    ] = None
    secret: Annotated[
        SecretName | None, Field(description="Name in AWS of a secret that this stack creates")
    ] = None
    username: Annotated[Name | None, Field(description="The administrator's role")] = None
    password: Annotated[Configured | None, Field(description="Its current password")] = None
    database: Annotated[
        Name | None,
        Field(description="A database that it can log in to; default: one that every server has"),
    ] = None
    rotation: Annotated[
        LoginRotation | None, Field(description="Schedule of its rotation; default: never")
    ] = None
    initial_values: Mode | None = None

    @property
    def settings(self) -> SecretSettings:
        """Settings of the secret that the stack creates."""
        return SecretSettings().model_copy(update={"initial_values": self.initial_values})

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "Admin":
        own = [self.secret, self.username, self.password]
        if (self.secret_arn is None) == (None in own) or (self.secret_arn and any(own)):
            raise refusal(
                "admin needs either secretArn, or secret, username and password",
                "",
                "Use secretArn: ARN for an existing secret; or secret: NAME, username: ROLE and password: "
                "{config: KEY} for one that this stack creates",
            )
        if self.secret_arn and self.rotation:
            raise refusal(
                "rotation is set for a secret that this stack does not create",
                "It would not be rotated",
                "Remove rotation, or let the stack create the secret",
            )
        if self.secret_arn and self.initial_values:
            raise refusal(
                "initialValues is set for a secret that this stack does not create",
                "It would be ignored",
                "Remove initialValues, or let the stack create the secret",
            )
        return self


class Login(SecretSettings):
    """A login; its key is the name of its secret in AWS."""

    username: Annotated[
        Name, Field(description="The login role; with alternating users, the first of the two")
    ]
    database: Name
    users: Annotated[
        Literal["alternating", "single"],
        Field(description="PostgreSQL: with alternating, two users take turns, so that no login fails"),
    ] = "alternating"
    authentication: Annotated[
        Literal["password", "iam"],
        Field(description="PostgreSQL of RDS and Aurora: iam for a login without a password"),
    ] = "password"
    user_host: Annotated[
        _UserHost | None,
        Field(description="MySQL and MariaDB: from which hosts the user may log in; default: % for all"),
    ] = None
    url_scheme: Annotated[
        Literal["mysql", "mysql2", "trilogy", "mariadb"] | None,
        Field(description="MySQL and MariaDB: scheme of DATABASE_URL; Rails reads mysql2; default: mysql"),
    ] = None
    grants: Annotated[
        DeclaredGrants | None,
        Field(
            description=f"Privileges; unchanged: those that it has; default: {DEFAULT_GRANTS}, unless "
            "grantStatements is set"
        ),
    ] = None
    grant_statements: Annotated[
        tuple[Annotated[str, AfterValidator(_check_statement)], ...] | None,
        Field(
            min_length=1,
            description="SQL with {login}, {owner}, {database} and {schema}, instead of grants",
        ),
    ] = None
    schemas: Annotated[
        tuple[Name, ...], Field(min_length=1, description="PostgreSQL: schemas that grants apply to")
    ] = ("public",)
    create_schemas: Annotated[
        bool, Field(description="PostgreSQL: create missing schemas; without it they are an error")
    ] = False
    owner_role: Annotated[
        Name | None,
        Field(description="PostgreSQL: the role that alternating users act as; default: USERNAME_owner"),
    ] = None
    password: Annotated[
        Configured | None, Field(description="Password of an existing login; default: random")
    ] = None
    password_length: Annotated[
        int, Field(ge=16, le=256, description="Length in characters: letters and digits")
    ] = 40
    rotation: PasswordRotation = PasswordRotation()
    reader_url: Annotated[
        bool, Field(description="Add DATABASE_READER_URL: the same login at the database's reader endpoint")
    ] = False
    values: Annotated[
        dict[JsonKey, Value], Field(description="Further keys of the secret, besides the login's own")
    ] = Field(default_factory=dict)

    @property
    def rotates(self) -> bool:
        """Return whether its password is rotated."""
        return self.rotation.enabled and self.authentication == "password"

    @property
    def login_keys(self) -> tuple[str, ...]:
        """JSON keys of every such login."""
        return tuple(key for key in LOGIN_KEYS if key != PASSWORD_KEY or self.authentication == "password")

    @property
    def url_keys(self) -> tuple[str, ...]:
        """JSON keys of URLs that only some logins have."""
        return (READER_KEY,) if self.reader_url else ()

    @model_validator(mode="after")
    def _consistent(self) -> "Login":
        taken = [key for key in self.values if key in {*self.url_keys, *LOGIN_KEYS, ADMIN_KEY}]
        if taken:
            raise refusal(
                f"values has {', '.join(taken)}, which the login sets itself",
                "Rotation would overwrite it",
                "Remove it, or use another key",
            )
        self._check_without_password()
        if self.grants and self.grant_statements:
            raise refusal(
                "grants and grantStatements are mutually exclusive",
                "",
                "Remove one of them",
            )
        return self

    def _check_without_password(self) -> None:
        if self.authentication == "password":
            return
        declared = self.model_fields_set
        wrong = {
            "password": self.password is not None,
            "passwordLength": "password_length" in declared,
            "users: alternating": "users" in declared and self.users == "alternating",
            "ownerRole": self.owner_role is not None,
            "rotation": "rotation" in declared and self.rotation != PasswordRotation(enabled=False),
        }
        given = [key for key, is_given in wrong.items() if is_given]
        if given:
            raise refusal(
                f"authentication: iam is set together with {', '.join(given)}",
                "The login has no password: it could not be set or rotated, and one user is enough",
                "Remove them, or use authentication: password",
            )
        if not re.fullmatch(r"[A-Za-z0-9_.@+=-]+", self.username):
            raise refusal(
                "with authentication: iam, the username becomes part of an ARN",
                "A character such as * would let workloads log in as other users",
                "Use letters, digits and _ . @ + = - only",
            )


class Database(Model):
    """A database server: rdsInstance, auroraCluster, or host."""

    engine: Annotated[EngineName, Field(description="What the server is")] = "postgres"
    rds_instance: Annotated[
        str | None, Field(min_length=1, max_length=63, description="Identifier of an RDS instance")
    ] = None
    aurora_cluster: Annotated[
        str | None, Field(min_length=1, max_length=63, description="Identifier of an Aurora cluster")
    ] = None
    host: Annotated[
        _Host | None,
        Field(description="DNS name of any other server, as in its certificate"),
    ] = None
    port: Annotated[
        int | None, Field(ge=1, le=65_535, description="TCP port, only with host; default: the engine's")
    ] = None
    reader_host: Annotated[
        _Host | None,
        Field(
            description="DNS name of a replica, on the same port; default: an Aurora cluster's reader "
            "endpoint"
        ),
    ] = None
    admin: Annotated[
        Admin | None,
        Field(
            description="The administrator that creates roles; default: the master secret that RDS manages"
        ),
    ] = None
    master_rotation: Annotated[
        LoginRotation | None,
        Field(
            description="When RDS rotates its master user's password; default: RDS's own schedule, every 7 "
            "days"
        ),
    ] = None
    vpc: Annotated[
        Vpc | None, Field(description="Network of the rotation function; default: the database's")
    ] = None
    outside_vpc: Annotated[
        bool,
        Field(
            description="Run the rotation function outside any VPC, for a server that is reachable from the "
            "internet"
        ),
    ] = False
    certificate_authorities: Annotated[
        AuthoritiesFile | None,
        Field(description="PEM file of authorities to trust besides those of Amazon RDS"),
    ] = None
    logins: Annotated[
        dict[SecretName, Login],
        Field(min_length=1, description="Logins, by the names of their secrets in AWS"),
    ]

    @property
    def administrator(self) -> Administrator:
        """Where the administrator's credentials are.

        Returns:
            `stack-secret` or `existing-secret` as `admin` declares; without `admin`, `rds` for a server that
            RDS runs, because RDS manages its master user's secret, and `none` for any other.
        """
        if self.admin is not None:
            return "stack-secret" if self.admin.secret else "existing-secret"
        return "none" if self.host else "rds"

    @property
    def server(self) -> tuple[str | int | None, ...]:
        """Identity of the server, as far as the stack file has it."""
        host = self.host.lower().rstrip(".") if self.host else None
        port = self.port or ENGINES[self.engine].port if host else None
        return self.rds_instance, self.aurora_cluster, host, port

    def alternates(self, login: Login) -> bool:
        """Return whether two users of the login take turns."""
        return (
            self.engine == "postgres" and login.users == "alternating" and login.authentication == "password"
        )

    def roles_of(self, login: Login) -> tuple[str, ...]:
        """Return the names of a login's roles or users in the database."""
        if not self.alternates(login):
            return (login.username,)
        return login.username, login.username + CLONE, login.owner_role or f"{login.username}_owner"

    @model_validator(mode="after")
    def _one_server(self) -> "Database":
        given = [server for server in (self.rds_instance, self.aurora_cluster, self.host) if server]
        if len(given) != 1:
            raise refusal(
                "a database needs exactly one of rdsInstance, auroraCluster and host",
                "",
                "Keep one of them",
            )
        if self.port and not self.host:
            raise refusal(
                "port is set without host",
                "It would be ignored: RDS reports the port",
                "Remove port",
            )
        if self.outside_vpc and self.vpc:
            raise refusal("vpc and outsideVpc are mutually exclusive", "", "Remove one of them")
        if self.host and not self.vpc and not self.outside_vpc:
            raise refusal(
                "host is set without vpc or outsideVpc",
                "The rotation function could not reach the server",
                "Set vpc: {subnetIds: [...], securityGroupIds: [...]} with access to the server, or "
                "outsideVpc: "
                "true if the server is reachable from the internet",
            )
        return self

    @model_validator(mode="after")
    def _fits_rds(self) -> "Database":
        without_password = [name for name, login in self.logins.items() if login.authentication == "iam"]
        if without_password and self.host:
            raise refusal(
                f"authentication: iam is set for {', '.join(without_password)}, and the server by host",
                "Only RDS and Aurora offer it, and its permission names the instance or cluster",
                "Set rdsInstance or auroraCluster, or use authentication: password",
            )
        rotating = [name for name, login in self.logins.items() if self.alternates(login) or login.rotates]
        if rotating and self.host and _RDS_PROXY.fullmatch(self.host.lower().rstrip(".")):
            raise refusal(
                f"{', '.join(rotating)} would rotate through an RDS Proxy, {self.host}",
                "A proxy knows only the current password of the users in its own list of secrets, so a "
                "rotation could not test a new password, or a second user, through it",
                "Set rdsInstance or auroraCluster to what is behind it. Give the proxy the secret of each "
                "login that has a single user: see docs/rotation.md",
            )
        return self

    @model_validator(mode="after")
    def _has_a_reader(self) -> "Database":
        asking = [name for name, login in self.logins.items() if login.reader_url]
        if asking and not self.aurora_cluster and not self.reader_host:
            raise refusal(
                f"readerUrl is set for {', '.join(asking)}, but this database has no known reader",
                "",
                "Set readerHost to the endpoint of a replica, or remove readerUrl",
            )
        if self.reader_host and not asking:
            raise refusal(
                "readerHost is set, but no login has readerUrl",
                "It would be ignored",
                "Set readerUrl: true for a login, or remove readerHost",
            )
        return self

    @model_validator(mode="after")
    def _shows_old_passwords(self) -> "Database":
        blind = [
            name
            for name, login in self.logins.items()
            if login.rotation.while_old_password_is_used and not self.alternates(login)
        ]
        if blind and self.engine == "postgres":
            raise refusal(
                f"whileOldPasswordIsUsed is set for {', '.join(blind)}, which has a single user",
                "Its one password is used by every client until the moment it changes",
                "Remove it, or set users: alternating",
            )
        return self

    @model_validator(mode="after")
    def _master_of_rds(self) -> "Database":
        if self.master_rotation and (self.host or self.admin):
            raise refusal(
                f"masterRotation is set together with {'host' if self.host else 'admin'}",
                "RDS manages no master secret for it to rotate",
                "Remove masterRotation, or let RDS manage the master user's secret: use rdsInstance or "
                "auroraCluster without admin",
            )
        never = LoginRotation(enabled=False)
        if self.master_rotation and not self.master_rotation.enabled and self.master_rotation != never:
            raise refusal(
                "masterRotation has a schedule and enabled: false",
                "The schedule would be ignored",
                "Remove one of them",
            )
        return self

    @model_validator(mode="after")
    def _administered(self) -> "Database":
        if not self.host or self.admin:
            return self
        needing = [
            name
            for name, login in self.logins.items()
            if self.alternates(login)
            or login.grants not in {None, UNCHANGED}
            or login.grant_statements
            or not login.password
        ]
        if needing:
            existing = "role, users: single and" if self.engine == "postgres" else "user,"
            raise refusal(
                f"no administrator to create the roles of {', '.join(needing)}",
                "The logins would not work",
                f"Set admin: {{secretArn: ARN}}; or, for an existing {existing} password: "
                "{config: KEY} without grants",
            )
        return self

    @model_validator(mode="after")
    def _own_roles(self) -> "Database":
        owners: dict[str, str] = {}
        for name, login in self.logins.items():
            for role in self.roles_of(login):
                if owners.get(role, name) != name:
                    raise refusal(
                        f'{owners[role]} and {name} have the same role, "{role}"',
                        "Each rotation of one would lock out the other",
                        "Use a different username for each login; workloads can share a secret",
                    )
                owners[role] = name
        return self
