"""Secrets that exist, as plain data without their values."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, final

Content: TypeAlias = Literal["keys", "text", "binary"]

# Values are compared, never kept: what is left of one is a hash with a salt of this process.
_SALT = secrets.token_bytes(32)


class SourceError(Exception):
    """A state, template or answer cannot be used. The message says what is wrong and what to give instead."""


@final
class Hidden:
    """A value that is compared and measured, and shows nothing of itself."""

    __slots__ = ("_digest", "empty")

    def __init__(self, value: str) -> None:
        self._digest = hashlib.sha256(_SALT + value.encode("utf-8", "surrogatepass")).digest()
        self.empty = not value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return "[secret]"


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The generation of a value.

    Attributes:
        by: what generated it, such as `random_password.this["KEY"]`.
        kind: the kind of value in a stack file.
        options: of that kind, in the stack file's spelling, without defaults.
        remark: what the options do not carry over; empty if nothing.
    """

    by: str
    kind: Literal["random", "randomBytes"]
    options: Mapping[str, Any]
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The form of a secret's value.

    Attributes:
        content: a JSON object with keys, one text, or bytes.
        keys: names of the keys; key to how its value was generated, or None where that is not known.
        whole: how the whole value was generated, if it is one text or bytes.
        empty_keys: keys without a value yet.
    """

    content: Content
    keys: Mapping[str, Generated | None] = field(default_factory=dict)
    whole: Generated | None = None
    empty_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class LoginFields:
    """The fields of a database login's JSON besides its password; None for one that is missing or not a text.

    Attributes:
        engine, host, port, database, username: of the login.
        admin_arn: ARN of its administrator's secret (`masterarn`).
    """

    engine: str | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    username: str | None = None
    admin_arn: str | None = None


@dataclass(frozen=True, kw_only=True)
class RotationFunction:
    """A function that rotates secrets.

    Attributes:
        arn: of the function, without a version.
        handler: as Lambda has it.
        variables: those of its environment variables that say how it rotates; no others are kept.
        has_endpoint: whether it is told the endpoint of Secrets Manager, as AWS's own are.
        application: ARN or name of the AWS application that it was made from; empty if nothing says so.
        subnet_ids, security_group_ids: of its network; empty outside any VPC.
    """

    arn: str
    handler: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    has_endpoint: bool = False
    application: str = ""
    subnet_ids: Sequence[str] = ()
    security_group_ids: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The declaration of a secret until now.

    Attributes:
        arn: the secret's ARN.
        place: where it is declared: an address in Terraform, a logical id in CloudFormation, or `AWS`.
        shape: of its value, as far as the origin knows it.
        version_id: of the value that the shape describes.
        recovery_window_days: None where it is not known; AWS does not keep it.
        addresses: what else declares parts of it: version, policy, rotation.
        remarks: what cannot be carried over, each a sentence.
        login: what it says of the database login that the value is, as it was declared.
        application: name of the AWS application that it has made the rotation function from.
        admin_arn: ARN of the administrator's secret that it gave to that function.
        server: identifier of the RDS instance or cluster that it attached the secret to; empty if none.
        function_remark: what to mind as long as its function rotates the secret; empty if nothing.
    """

    arn: str
    place: str
    shape: Shape | None = None
    version_id: str | None = None
    recovery_window_days: int | None = None
    addresses: Sequence[str] = ()
    remarks: Sequence[str] = ()
    login: LoginFields | None = None
    application: str = ""
    admin_arn: str | None = None
    server: str = ""
    function_remark: str = ""


@dataclass(frozen=True, kw_only=True)
class LiveReplica:
    """A copy in another region; `kms_key` is None for AWS's own key."""

    region: str
    kms_key: str | None
    status: str
    status_message: str


@dataclass(frozen=True, kw_only=True)
class LiveRotation:
    """The rotation of a secret in AWS."""

    function_arn: str
    automatically_after_days: int | None
    schedule_expression: str | None
    duration: str | None


@dataclass(frozen=True, kw_only=True)
class LiveSecret:
    """A secret as AWS has it.

    Attributes:
        arn, name, description, tags: as AWS says; without AWS's own tags.
        kms_key: as AWS names it; None for AWS's own key.
        policy: the resource policy, parsed; None if there is none.
        rotation: None if it does not rotate, or by other means than a function.
        current: id of the version labelled AWSCURRENT; None if there is none.
        labels: of the current version.
        shape: of the live value, if it was read.
        obstacles: why it cannot be adopted, each a sentence.
        remarks: what cannot be carried over, each a sentence.
        login: what the live value says of a database login, if it was read.
        is_rotating: whether a rotation is pending.
    """

    arn: str
    name: str
    description: str
    tags: Mapping[str, str]
    kms_key: str | None
    policy: Mapping[str, Any] | None
    replicas: Sequence[LiveReplica]
    rotation: LiveRotation | None
    current: str | None
    labels: Sequence[str]
    shape: Shape | None = None
    obstacles: Sequence[str] = ()
    remarks: Sequence[str] = ()
    login: LoginFields | None = None
    is_rotating: bool = False


@dataclass(frozen=True, kw_only=True)
class Origins:
    """The secrets that an origin declares.

    Attributes:
        secrets: by ARN, in the origin's order.
        left_out: place to why it was not read.
        remarks: about the origin as a whole.
        functions: rotation functions that it declares, by ARN.
    """

    secrets: Mapping[str, Origin]
    left_out: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    functions: Mapping[str, RotationFunction] = field(default_factory=dict)
