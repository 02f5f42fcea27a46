"""The shape of `secrets` in a stack file.

Secret values are never part of it: they are random, filled by hand, or named by a config key of their own.
"""

import json
import re
from typing import Annotated, Any, Literal

import pulumi_aws as aws
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from settings.mistakes import matching, nearest, refusal
from settings.model import Model
from settings.partners import Partner
from settings.policies import check_policy
from settings.rotation import SecretRotation

# AWS Secrets Manager quotas: bytes of a secret's value, tags and replicas of a secret
_MAX_VALUE_BYTES = 65_536
_MAX_TAGS = 50
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(key|alias)/[A-Za-z0-9/_-]+")


def check_region(region: str) -> str:
    """Raises a refusal for a region that pulumi-aws does not list."""
    known = [known.value for known in aws.Region]
    if region not in known:
        raise refusal(
            f'unknown AWS region "{region}"{nearest(region, known)}',
            "Requests would go to a host that does not exist",
            "Write a region's code, for example us-east-1; for a region newer than this, update pulumi-aws",
        )
    return region


SecretName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9/_+=.@-]{1,512}",
        "this is not a name that AWS Secrets Manager takes",
        "AWS would refuse to create the secret",
        "Use 1 to 512 of the characters A-Z a-z 0-9 / _ + = . @ -",
    ),
]
JsonKey = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_./-]{1,256}",
        "this is not a key that every reader of the secret can name",
        "ECS, the CSI driver and External Secrets would fail to find it",
        "Use 1 to 256 of the characters A-Z a-z 0-9 _ . / -",
    ),
]


def _check_encryption(encryption: str) -> str:
    if encryption not in {"stack-key", "aws-managed"} and not _KEY_ARN.fullmatch(encryption):
        raise refusal(
            "this names no encryption key",
            "AWS could not encrypt the secret",
            "Write stack-key (one KMS key for the stack), aws-managed (AWS's own key), or a KMS key's ARN",
        )
    return encryption


def _check_replica_encryption(encryption: str) -> str:
    if encryption == "stack-key":
        raise refusal(
            "the stack's key exists in the stack's own region only",
            "AWS could not encrypt the replica",
            "Write aws-managed, or the ARN of a KMS key in the replica's region",
        )
    return _check_encryption(encryption)


def _check_recovery_window(days: int) -> int:
    if days != 0 and not 7 <= days <= 30:  # noqa: PLR2004  AWS's limits, said in the message
        raise refusal(
            f"{days} days is not a recovery window",
            "AWS would refuse to delete the secret",
            "Write 7 to 30, or 0 to delete at once and for good",
        )
    return days


def _check_tag_key(key: str) -> str:
    if not 1 <= len(key) <= 128 or key.lower().startswith("aws:"):  # noqa: PLR2004  AWS's limit, said below
        raise refusal(
            "this is not a tag key that AWS takes",
            "AWS would refuse the tags",
            "Use 1 to 128 characters that do not begin with aws:",
        )
    return key


Region = Annotated[str, AfterValidator(check_region)]
Encryption = Annotated[
    str,
    AfterValidator(_check_encryption),
    Field(description="stack-key (one KMS key for the stack), aws-managed, or a KMS key's ARN"),
]
ReplicaEncryption = Annotated[
    str,
    AfterValidator(_check_replica_encryption),
    Field(description="aws-managed, or the ARN of a KMS key in the replica's region"),
]
RecoveryWindow = Annotated[
    int,
    AfterValidator(_check_recovery_window),
    Field(
        description="Days in which a deleted secret can be restored: 7 to 30, or 0 to delete at once",
        json_schema_extra={"anyOf": [{"const": 0}, {"minimum": 7, "maximum": 30}]},
    ),
]
TagKey = Annotated[str, AfterValidator(_check_tag_key)]
Tags = Annotated[
    dict[TagKey, Annotated[str, Field(max_length=256)]],
    Field(max_length=_MAX_TAGS, description="Tags in AWS"),
]
Minimum = Annotated[int, Field(ge=0, description="At least so many characters of this class")]


class Replica(Model):
    """A copy of a secret in another region."""

    region: Region
    encryption: ReplicaEncryption = "aws-managed"

    @model_validator(mode="after")
    def _key_in_its_region(self) -> "Replica":
        arn = _KEY_ARN.fullmatch(self.encryption)
        if arn and arn["region"] != self.region:
            raise refusal(
                f"the replica is in {self.region}, its key in {arn['region']}",
                "AWS could not encrypt the replica",
                f"Name a KMS key in {self.region}, or write aws-managed",
            )
        return self


class Random(Model):
    """A random text, with the options of random.RandomPassword."""

    length: Annotated[int, Field(ge=1, le=32_768, description="Characters")] = 32
    special: Annotated[bool, Field(description="Punctuation, or overrideSpecial's characters")] = True
    lower: bool = True
    upper: bool = True
    numeric: bool = True
    min_special: Minimum = 0
    min_lower: Minimum = 0
    min_upper: Minimum = 0
    min_numeric: Minimum = 0
    override_special: Annotated[
        str | None, Field(min_length=1, description="Special characters to use instead of the provider's")
    ] = None
    keepers: Annotated[
        dict[str, str], Field(description="A change here makes a new value in state; the one in AWS stays")
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _possible(self) -> "Random":
        classes = {
            "special": (self.special, self.min_special),
            "lower": (self.lower, self.min_lower),
            "upper": (self.upper, self.min_upper),
            "numeric": (self.numeric, self.min_numeric),
        }
        if not any(allowed for allowed, _ in classes.values()):
            raise refusal(
                "special, lower, upper and numeric are all false",
                "There would be no character to choose from",
                "Set at least one of them to true",
            )
        for name, (allowed, minimum) in classes.items():
            if minimum and not allowed:
                raise refusal(
                    f"min{name.title()} asks for characters that {name}: false excludes",
                    "The provider would add them all the same",
                    f"Drop min{name.title()}, or set {name}: true",
                )
        needed = sum(minimum for _, minimum in classes.values())
        if needed > self.length:
            raise refusal(
                f"the minimums add up to {needed}, the length is {self.length}",
                "No such text exists",
                f"Set length to {needed} or more, or lower the minimums",
            )
        if self.override_special is not None and not self.special:
            raise refusal(
                "overrideSpecial is given with special: false",
                "Its characters would not be used",
                "Drop overrideSpecial, or set special: true",
            )
        return self


class RandomBytes(Model):
    """Random bytes as text."""

    length: Annotated[int, Field(ge=1, le=16_384, description="Bytes, before encoding")] = 32
    encoding: Annotated[
        Literal["hex", "base64", "base64url"], Field(description="base64url has no padding")
    ] = "hex"
    keepers: Annotated[
        dict[str, str], Field(description="A change here makes a new value in state; the one in AWS stays")
    ] = Field(default_factory=dict)


Mode = Annotated[
    Literal["once", "managed", "account"],
    Field(
        description="Who writes values. once: Pulumi, the first ones and nothing later; managed: a function "
        "adds and regenerates keys after that; account: it makes every value, and Pulumi knows none"
    ),
]

_KINDS = ("random", "random_bytes", "value", "config", "filled_by_hand")
_KINDS_WRITTEN = "random, randomBytes, value, config or filledByHand"


class Value(Model):
    """Where a key's value comes from: exactly one of the five kinds."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [to_camel(kind)]} for kind in _KINDS]}
    )

    random: Annotated[Random | None, Field(description="A random text")] = None
    random_bytes: Annotated[RandomBytes | None, Field(description="Random bytes as text")] = None
    value: Annotated[str | None, Field(description="This text; for what is no secret")] = None
    config: Annotated[
        str | None,
        Field(description="Key of a secret config value: pulumi config set --secret KEY", min_length=1),
    ] = None
    filled_by_hand: Annotated[
        str | None,
        Field(description="Empty until a person fills it; say where to get it", min_length=1, max_length=500),
    ] = None
    generation: Annotated[
        int,
        Field(
            ge=1, le=999, description="Raised by one, the key gets a new value, unless initialValues is once"
        ),
    ] = 1

    @model_validator(mode="after")
    def _one_kind(self) -> "Value":
        kinds = [key for key in _KINDS if getattr(self, key) is not None]
        if len(kinds) != 1:
            found = " and ".join(to_camel(kind) for kind in kinds) or "none"
            raise refusal(
                f"a value has exactly one kind, found {found}",
                "It would be unclear what the key holds at first",
                f"Write one of {_KINDS_WRITTEN}",
            )
        if self.filled_by_hand is not None and self.generation != 1:
            raise refusal(
                "generation is given for a value that a person fills in",
                "Nothing could make a new one",
                "Drop generation, and let the person write the new value",
            )
        return self


class Kept(Model):
    """How a secret is kept; what it does not set itself it takes from the stack-wide settings."""

    description: Annotated[str | None, Field(max_length=2048)] = None
    encryption: Encryption | None = None
    recovery_window_days: RecoveryWindow | None = None
    protect: Annotated[
        bool | None, Field(description="Refuse to delete or replace it until this is false again")
    ] = None
    policy: Annotated[
        Annotated[dict[str, Any], AfterValidator(check_policy)] | None,
        Field(description="Resource policy: an IAM policy document; a public one is refused"),
    ] = None
    replicas: Annotated[tuple[Replica, ...] | None, Field(description="Copies in other regions")] = None
    tags: Annotated[Tags, Field(description="Added to the stack-wide tags")] = Field(default_factory=dict)
    initial_values: Mode | None = None
    removed_keys: Annotated[
        tuple[JsonKey, ...],
        Field(
            max_length=100, description="JSON keys to take out of the secret, unless initialValues is once"
        ),
    ] = ()


class Secret(Kept):
    """A secret."""

    values: Annotated[
        dict[JsonKey, Value], Field(min_length=1, description="JSON key to where its first value comes from")
    ]
    rotation: Annotated[SecretRotation | None, Field(description="Renews keys of the secret on schedule")] = (
        None
    )
    partner: Annotated[
        Partner | None,
        Field(description="Credentials of a vendor that AWS rotates itself (managed external secrets)"),
    ] = None

    @model_validator(mode="after")
    def _rotates_one_way(self) -> "Secret":
        if self.rotation and self.partner:
            raise refusal(
                "rotation and partner are both given",
                "A secret rotates one way",
                "Write the schedule under partner: rotation, and remove rotation",
            )
        return self

    @model_validator(mode="after")
    def _has_what_is_renewed(self) -> "Secret":
        missing = [
            key for key in (self.rotation.renewed_keys if self.rotation else ()) if key not in self.values
        ]
        if missing:
            raise refusal(
                f"rotation renews {', '.join(missing)}, which values does not have",
                "Each rotation would fail",
                f"Add {', '.join(missing)} to values, or name keys that are there",
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> "Secret":
        size = len(json.dumps({key: "x" * _least_size(value) for key, value in self.values.items()}))
        if size > _MAX_VALUE_BYTES:
            raise refusal(
                f"the first value would have at least {size} bytes",
                f"AWS would refuse more than {_MAX_VALUE_BYTES}",
                "Shorten the values, or spread the keys over several secrets",
            )
        return self


def _least_size(value: Value) -> int:
    """Bytes that a value takes in JSON, as far as the stack file tells."""
    if value.random:
        return value.random.length
    if value.random_bytes:
        encoded = {"hex": 2.0, "base64": 4 / 3, "base64url": 4 / 3}[value.random_bytes.encoding]
        return int(value.random_bytes.length * encoded)
    return len(json.dumps(value.value or "")) - 2
