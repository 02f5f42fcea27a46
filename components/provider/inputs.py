"""Inputs of the components in other languages: TypedDicts, without unions, as Pulumi's analyzer wants them.

Their names and the texts below their fields are what users see in TypeScript, Go, C#, Java and YAML. Integers
arrive as floats, so `components/provider/arguments.py` converts them.
"""

from typing import Any, NotRequired, TypedDict

import pulumi


class Random(TypedDict):
    """A random string."""

    length: int
    """Number of characters."""
    special: NotRequired[bool]
    """Include special characters. Default: true."""
    lower: NotRequired[bool]
    """Include lower-case letters. Default: true."""
    upper: NotRequired[bool]
    """Include upper-case letters. Default: true."""
    numeric: NotRequired[bool]
    """Include digits. Default: true."""
    min_special: NotRequired[int]
    """At least this many special characters. Default: 0."""
    min_lower: NotRequired[int]
    """At least this many lower-case letters. Default: 0."""
    min_upper: NotRequired[int]
    """At least this many upper-case letters. Default: 0."""
    min_numeric: NotRequired[int]
    """At least this many digits. Default: 0."""
    override_special: NotRequired[str]
    """Special characters to use instead of `!@#$%&*()-_=+[]{}<>:?`."""


class RandomBytes(TypedDict):
    """Random bytes, encoded as text."""

    length: int
    """Number of bytes."""
    encoding: NotRequired[str]
    """`hex`, `base64` or `base64url`. Default: hex."""


class Value(TypedDict):
    """Where the initial value of a key comes from. Set exactly one property."""

    random: NotRequired[Random]
    """A random string."""
    random_bytes: NotRequired[RandomBytes]
    """Random bytes, encoded as text."""
    value: NotRequired[pulumi.Input[str]]
    """A configured value; a secret stays secret."""
    json: NotRequired[Any]
    """A value that is not text, such as a number, a list or an object. It is not secret."""
    filled_by_hand: NotRequired[str]
    """An empty placeholder for a value that a person enters in AWS; the text says where to get it."""


class Replica(TypedDict):
    """A copy of a secret in another region."""

    region: str
    """The region's code."""
    kms_key_id: NotRequired[pulumi.Input[str]]
    """ARN, ID or alias of a key in that region. Default: aws/secretsmanager."""


class RenewedKeys(TypedDict):
    """The keys of a secret that a rotation replaces with new random values."""

    keys: list[str]
    """JSON keys to renew."""
    length: NotRequired[int]
    """Characters of an alphanumeric value, bytes of any other. Default: 64."""
    format: NotRequired[str]
    """`alphanumeric`, `hex`, `base64` or `base64url`. Default: alphanumeric."""


class Schedule(TypedDict):
    """When Secrets Manager rotates a secret. Set one of the first two."""

    automatically_after_days: NotRequired[int]
    """Days between rotations, 1 to 1000. Default: 30, without an expression."""
    schedule_expression: NotRequired[str]
    """`rate(10 days)` or `cron(0 8 1 * ? *)`, in UTC."""
    duration: NotRequired[str]
    """Length of the rotation window, such as `3h`. Default: AWS chooses it."""
    rotate_immediately: NotRequired[bool]
    """Rotate also when the rotation is attached or its schedule changes. Default: false."""


class Retirement(TypedDict):
    """The behavior of a rotation while clients use the password that it would end."""

    mode: str
    """`proceed`; `wait`, for up to 14 minutes; or `defer`, to the next rotation."""
    deferrals: NotRequired[int]
    """With `defer`, how many rotations in a row may be deferred, 1 to 99. Default: 3."""


class Network(TypedDict):
    """Where in a VPC a rotation function runs; it must reach the database and Secrets Manager."""

    subnet_ids: list[str]
    """IDs of the subnets."""
    security_group_ids: list[str]
    """IDs of the security groups."""


class AdminServer(TypedDict):
    """A server on which an administrator's password may be used."""

    secret_arn: pulumi.Input[str]
    """Full ARN of the administrator's secret."""
    host: pulumi.Input[str]
    """DNS name of the server."""
    port: NotRequired[int]
    """TCP port. Default: 5432."""


class SecretInputs(TypedDict):
    """Inputs of Secret."""

    secret_name: str
    """Name in AWS: 1 to 512 letters, digits and /_+=.@-"""
    values: NotRequired[dict[str, Value]]
    """JSON key to the source of its initial value. Required unless `text` or `binary` is set."""
    text: NotRequired[Value]
    """Source of the initial value of a secret that is one text, without JSON keys."""
    binary: NotRequired[Value]
    """Source of the initial value of a binary secret: randomBytes, filledByHand, or a value in base64."""
    description: NotRequired[str]
    """Shown in the Secrets Manager console. Default: none."""
    kms_key_id: NotRequired[pulumi.Input[str]]
    """ARN, ID or alias of the key that encrypts it. Default: aws/secretsmanager."""
    recovery_window_days: NotRequired[int]
    """Days in which a deleted secret can be restored, 7 to 30; 0 deletes at once. Default: 30."""
    policy: NotRequired[dict[str, Any]]
    """Resource policy as an object; rejected if it grants public access. Default: none."""
    replicas: NotRequired[list[Replica]]
    """Copies in other regions. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags. Default: none."""
    renewed_keys: NotRequired[RenewedKeys]
    """Keys that a rotation replaces with new random values. Default: none."""


class MysqlLoginInputs(TypedDict):
    """Inputs of MysqlLogin."""

    secret_name: str
    """Name of the secret in AWS: 1 to 512 letters, digits and /_+=.@-"""
    host: pulumi.Input[str]
    """DNS name of the server, the one in its certificate."""
    database: str
    """Name of the database."""
    username: str
    """Name of the user."""
    port: NotRequired[int]
    """TCP port of the server. Default: 3306."""
    engine: NotRequired[str]
    """`mysql`, `aurora-mysql` or `mariadb`. Default: mysql."""
    user_host: NotRequired[str]
    """Host part of the account, from which the user may log in. Default: %, anywhere."""
    url_scheme: NotRequired[str]
    """Scheme of DATABASE_URL, such as mysql2 for Ruby on Rails. Default: mysql."""
    reader_host: NotRequired[pulumi.Input[str]]
    """DNS name of a reader on the same port, for the key DATABASE_READER_URL. Default: no such key."""
    admin_secret_arn: NotRequired[pulumi.Input[str]]
    """ARN of the secret of the administrator that creates the account. Default: it exists already."""
    grants: NotRequired[str]
    """`read-only`, `read-write` or `owner`. Default: privileges stay as they are."""
    grant_statements: NotRequired[list[str]]
    """SQL with {login} and {database}, instead of `grants`."""
    password: NotRequired[pulumi.Input[str]]
    """Password of an account that exists. Default: a random one."""
    password_length: NotRequired[int]
    """Characters of a generated password. Default: 40."""
    rotation_function_arn: NotRequired[pulumi.Input[str]]
    """ARN of a RotationFunction that serves this secret. Default: one of its own."""
    network: NotRequired[Network]
    """Where its own rotation function runs. Default: outside any VPC."""
    certificate_authorities: NotRequired[str]
    """PEM of authorities that its own rotation function trusts besides those of Amazon RDS. Default: none."""
    alarm_topic_arn: NotRequired[str]
    """SNS topic that is notified of errors of its own rotation function. Default: none."""
    log_retention_days: NotRequired[int]
    """Days for which CloudWatch keeps the log of its own rotation function. Default: 90."""
    retirement: NotRequired[Retirement]
    """What its own rotation function does while clients use an old password. Default: it proceeds."""
    schedule: NotRequired[Schedule]
    """When the password is rotated. Default: every 30 days."""
    values: NotRequired[dict[str, Value]]
    """More keys of the secret. Default: none."""
    description: NotRequired[str]
    """Shown in the Secrets Manager console. Default: none."""
    kms_key_id: NotRequired[pulumi.Input[str]]
    """ARN, ID or alias of the key that encrypts the secret. Default: aws/secretsmanager."""
    recovery_window_days: NotRequired[int]
    """Days in which the deleted secret can be restored, 7 to 30; 0 deletes at once. Default: 30."""
    tags: NotRequired[dict[str, str]]
    """Tags of the secret. Default: none."""


class PostgresLoginInputs(TypedDict):
    """Inputs of PostgresLogin."""

    secret_name: str
    """Name of the secret in AWS: 1 to 512 letters, digits and /_+=.@-"""
    host: pulumi.Input[str]
    """DNS name of the server, the one in its certificate."""
    database: str
    """Name of the database."""
    username: str
    """Name of the login role; with alternating users, of the first."""
    port: NotRequired[int]
    """TCP port of the server. Default: 5432."""
    engine: NotRequired[str]
    """`postgres` or `aurora-postgresql`. Default: postgres."""
    reader_host: NotRequired[pulumi.Input[str]]
    """DNS name of a reader on the same port, for the key DATABASE_READER_URL. Default: no such key."""
    authentication: NotRequired[str]
    """`password`; or `iam`, for a single user without a password, never rotated. Default: password."""
    alternating: NotRequired[bool]
    """Let two users take turns, so a password in use survives one rotation. Default: true for passwords."""
    admin_secret_arn: NotRequired[pulumi.Input[str]]
    """ARN of the secret of the administrator that creates the role. Default: the role exists already."""
    grants: NotRequired[str]
    """`read-only`, `read-write` or `owner`. Default: privileges stay as they are."""
    grant_statements: NotRequired[list[str]]
    """SQL with {login}, {owner}, {database} and {schema}, instead of `grants`."""
    schemas: NotRequired[list[str]]
    """Schemas that the grants apply to. Default: public."""
    create_schemas: NotRequired[bool]
    """Create schemas that do not exist. Default: false, which rejects them."""
    owner_role: NotRequired[str]
    """Role that alternating users act as. Default: the user name with _owner."""
    password: NotRequired[pulumi.Input[str]]
    """Password of a role that exists. Default: a random one."""
    password_length: NotRequired[int]
    """Characters of a generated password. Default: 40."""
    rotation_function_arn: NotRequired[pulumi.Input[str]]
    """ARN of a RotationFunction that serves this secret. Default: one of its own."""
    network: NotRequired[Network]
    """Where its own rotation function runs. Default: outside any VPC."""
    certificate_authorities: NotRequired[str]
    """PEM of authorities that its own rotation function trusts besides those of Amazon RDS. Default: none."""
    alarm_topic_arn: NotRequired[str]
    """SNS topic that is notified of errors of its own rotation function. Default: none."""
    log_retention_days: NotRequired[int]
    """Days for which CloudWatch keeps the log of its own rotation function. Default: 90."""
    retirement: NotRequired[Retirement]
    """What its own rotation function does while clients use an old password. Default: it proceeds."""
    schedule: NotRequired[Schedule]
    """When the password is rotated. Default: every 30 days."""
    values: NotRequired[dict[str, Value]]
    """More keys of the secret. Default: none."""
    description: NotRequired[str]
    """Shown in the Secrets Manager console. Default: none."""
    kms_key_id: NotRequired[pulumi.Input[str]]
    """ARN, ID or alias of the key that encrypts the secret. Default: aws/secretsmanager."""
    recovery_window_days: NotRequired[int]
    """Days in which the deleted secret can be restored, 7 to 30; 0 deletes at once. Default: 30."""
    tags: NotRequired[dict[str, str]]
    """Tags of the secret. Default: none."""


class RotationInputs(TypedDict):
    """Inputs of Rotation."""

    secret_arn: pulumi.Input[str]
    """ARN of the secret; it must have a value."""
    function_arn: pulumi.Input[str]
    """ARN of the function that rotates it."""
    schedule: NotRequired[Schedule]
    """When it is rotated. Default: every 30 days."""


class RotationFunctionInputs(TypedDict):
    """Inputs of RotationFunction."""

    secret_names: list[str]
    """Names in AWS of the secrets that it may rotate."""
    admin_secret_arns: NotRequired[list[pulumi.Input[str]]]
    """Secrets that it may only read, to log in as a database's administrator. Default: none."""
    admin_servers: NotRequired[list[AdminServer]]
    """Servers on which the passwords in those may be used, if the secrets do not name one. Default: none."""
    kms_key_arns: NotRequired[list[pulumi.Input[str]]]
    """ARNs of the keys or aliases that encrypt all these secrets. Default: none, for aws/secretsmanager."""
    network: NotRequired[Network]
    """Where it runs. Default: outside any VPC."""
    certificate_authorities: NotRequired[str]
    """PEM of authorities to trust besides those of Amazon RDS, up to 3,500 bytes. Default: none."""
    retirements: NotRequired[dict[str, Retirement]]
    """Name in AWS of a secret to what its rotation does while clients use an old password. Default: none."""
    log_retention_days: NotRequired[int]
    """Days for which CloudWatch keeps its log. Default: 90."""
    alarm_topic_arn: NotRequired[str]
    """SNS topic that is notified of errors. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags of its resources. Default: none."""
