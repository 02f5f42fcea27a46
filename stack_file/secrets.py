"""Models of `secrets` in a stack file.

They never contain a secret value: values are random, filled in by hand, or stored under their own config key.
"""

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from stack_file.ages import ExpiryDate, MaxAgeDays
from stack_file.mistakes import matching, refusal
from stack_file.model import Model
from stack_file.partners import Partner
from stack_file.policies import check_policy
from stack_file.regions import check_region
from stack_file.rotation import SecretRotation

# AWS Secrets Manager quotas: bytes of a secret's value, tags and replicas of a secret
MOST_VALUE_BYTES = 65_536
_MAX_TAGS = 50
_LONGEST_KEY = 256
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(key|alias)/[A-Za-z0-9/_-]+")

SecretName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9/_+=.@-]{1,512}",
        "not a valid secret name",
        "AWS would reject it",
        "Use 1 to 512 of the characters A-Z a-z 0-9 / _ + = . @ -",
    ),
]


# Pulumi treats a map with this key as a special value, such as a secret, and previews hide its other keys.
# Source: pulumi/sdk, resource/sig.go.
_ENGINES_KEY = "4dabf18193072939515e22adb298388d"


def _check_json_key(key: str) -> str:
    if key == _ENGINES_KEY:
        raise refusal(
            "Pulumi reserves this key",
            "Previews would not show changes of the secret's other keys",
            "Use another key",
        )
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
        raise refusal(
            "not a valid JSON key",
            "Previews and logs could not show it",
            f"Use 1 to {_LONGEST_KEY} printable characters, including spaces",
        )
    return key


JsonKey = Annotated[
    str,
    AfterValidator(_check_json_key),
    Field(json_schema_extra={"minLength": 1, "maxLength": _LONGEST_KEY}),
]


def _check_encryption(encryption: str) -> str:
    if encryption not in {"stack-key", "aws-managed"} and not _KEY_ARN.fullmatch(encryption):
        raise refusal(
            "not a valid encryption key",
            "AWS could not encrypt the secret",
            "Use stack-key (one KMS key for the stack), aws-managed (the AWS managed key), or a KMS key's "
            "ARN",
        )
    return encryption


def _check_replica_encryption(encryption: str) -> str:
    if encryption == "stack-key":
        raise refusal(
            "the stack's key exists only in the stack's region",
            "AWS could not encrypt the replica",
            "Use aws-managed, or the ARN of a KMS key in the replica's region",
        )
    return _check_encryption(encryption)


def _check_recovery_window(days: int) -> int:
    if days != 0 and not 7 <= days <= 30:  # noqa: PLR2004  AWS's limits, as in the message
        raise refusal(
            f"{days} days is not a valid recovery window",
            "AWS could not delete the secret",
            "Use 7 to 30, or 0 to delete at once and irrecoverably",
        )
    return days


def _check_tag_key(key: str) -> str:
    if not 1 <= len(key) <= 128 or key.lower().startswith("aws:"):  # noqa: PLR2004  AWS's limit, as in the message
        raise refusal(
            "not a valid tag key",
            "AWS would reject the tags",
            "Use 1 to 128 characters, and do not start with aws:",
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
        description="Days in which a deleted secret can be restored: 7 to 30, or 0 to delete it at once",
        json_schema_extra={"anyOf": [{"const": 0}, {"minimum": 7, "maximum": 30}]},
    ),
]
TagKey = Annotated[str, AfterValidator(_check_tag_key)]
Tags = Annotated[
    dict[TagKey, Annotated[str, Field(max_length=256)]],
    Field(max_length=_MAX_TAGS, description="Tags in AWS"),
]
Minimum = Annotated[int, Field(ge=0, description="Minimum number of characters of this class")]


class Replica(Model):
    """A copy of a secret in another region."""

    region: Region
    encryption: ReplicaEncryption = "aws-managed"

    @model_validator(mode="after")
    def _key_in_its_region(self) -> "Replica":
        arn = _KEY_ARN.fullmatch(self.encryption)
        if arn and arn["region"] != self.region:
            raise refusal(
                f"the replica is in {self.region}, but its key is in {arn['region']}",
                "AWS could not encrypt the replica",
                f"Use a KMS key in {self.region}, or aws-managed",
            )
        return self


class Random(Model):
    """A random text, with the options of random.RandomPassword."""

    length: Annotated[int, Field(ge=1, le=32_768, description="Characters")] = 32
    special: Annotated[bool, Field(description="Include punctuation, or overrideSpecial's characters")] = True
    lower: bool = True
    upper: bool = True
    numeric: bool = True
    min_special: Minimum = 0
    min_lower: Minimum = 0
    min_upper: Minimum = 0
    min_numeric: Minimum = 0
    override_special: Annotated[
        str | None,
        Field(min_length=1, description="Special characters to use instead of the provider's default"),
    ] = None
    keepers: Annotated[
        dict[str, str], Field(description="A change regenerates the value in state; the value in AWS stays")
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
                "",
                "Set at least one of them to true",
            )
        for name, (allowed, minimum) in classes.items():
            if minimum and not allowed:
                raise refusal(
                    f"min{name.title()} requires characters that {name}: false excludes",
                    "The provider would add them anyway",
                    f"Remove min{name.title()}, or set {name}: true",
                )
        needed = sum(minimum for _, minimum in classes.values())
        if needed > self.length:
            raise refusal(
                f"the minimums add up to {needed}, but length is {self.length}",
                "",
                f"Set length to {needed} or more, or lower the minimums",
            )
        if self.override_special is not None and not self.special:
            raise refusal(
                "overrideSpecial is set with special: false",
                "It would be ignored",
                "Remove overrideSpecial, or set special: true",
            )
        return self


class Bytes(Model):
    """Random bytes."""

    length: Annotated[int, Field(ge=1, le=16_384, description="Bytes, before encoding")] = 32
    keepers: Annotated[
        dict[str, str], Field(description="A change regenerates the value in state; the value in AWS stays")
    ] = Field(default_factory=dict)


class RandomBytes(Bytes):
    """Random bytes as text."""

    encoding: Annotated[
        Literal["hex", "base64", "base64url"], Field(description="base64url has no padding")
    ] = "hex"


Mode = Annotated[
    Literal["once", "managed", "account"],
    Field(
        description="Who writes values. once: Pulumi, the initial values only; managed: a function also adds "
        "and regenerates keys later; account: the function creates all values, and Pulumi knows none"
    ),
]

Content = Literal["keys", "text", "binary"]
"""Content of a secret's value: a JSON object with keys, one text, or bytes."""


def _exactly_one(names: Iterable[str]) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


def _with_one_kind(schema: dict[str, Any], model: type["_Source"]) -> None:
    schema |= _exactly_one(_written(model).values())


def _written(model: type["_Source"]) -> dict[str, str]:
    """Return the stack file's name of each kind."""
    return {kind: model.model_fields[kind].alias or kind for kind in model.kinds}


class _Source(Model):
    """Source of a value: exactly one of several kinds."""

    model_config = ConfigDict(json_schema_extra=_with_one_kind)
    kinds: ClassVar[tuple[str, ...]]

    filled_by_hand: Annotated[
        str | None,
        Field(
            description="Empty until somebody fills it in; say where to get the value",
            min_length=1,
            max_length=500,
        ),
    ] = None
    generation: Annotated[
        int,
        Field(ge=1, le=999, description="Increase it to regenerate the value, unless initialValues is once"),
    ] = 1
    expires: ExpiryDate | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        names = _written(type(self))
        kinds = [name for key, name in names.items() if getattr(self, key) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            *others, last = names.values()
            raise refusal(
                f"a value needs exactly one source, found {found}",
                "",
                f"Use one of {', '.join(others)} or {last}",
            )
        if self.filled_by_hand is not None and self.generation != 1:
            raise refusal(
                "generation is set for a value that is filled in by hand",
                "It cannot be regenerated",
                "Remove generation, and edit the value in AWS",
            )
        if self.expires is not None and kinds[0] not in {"filledByHand", "config"}:
            raise refusal(
                f"expires is set for a value from {kinds[0]}",
                "Only a value that somebody else issued expires on a date",
                "Remove expires. For the age of a value, set maxAgeDays for the secret",
            )
        return self


class Text(_Source):
    """Source of a text: exactly one of five kinds."""

    kinds: ClassVar[tuple[str, ...]] = ("random", "random_bytes", "value", "config", "filled_by_hand")

    random: Annotated[Random | None, Field(description="A random text")] = None
    random_bytes: Annotated[RandomBytes | None, Field(description="Random bytes as text")] = None
    value: Annotated[str | None, Field(description="This text, for values that are not secret")] = None
    config: Annotated[
        str | None,
        Field(description="Key of a secret config value: pulumi config set --secret KEY", min_length=1),
    ] = None


class Value(Text):
    """Source of a key's value: exactly one of six kinds."""

    kinds: ClassVar[tuple[str, ...]] = (
        *("random", "random_bytes", "value", "json_"),
        *("config", "filled_by_hand"),
    )

    json_: Annotated[
        Any,
        Field(
            alias="json",
            description="This structure as JSON (map, list, number, boolean), for values that are not secret",
        ),
    ] = None


class Binary(_Source):
    """Source of bytes: exactly one of three kinds."""

    kinds: ClassVar[tuple[str, ...]] = ("random_bytes", "config", "filled_by_hand")

    random_bytes: Annotated[Bytes | None, Field(description="Random bytes")] = None
    config: Annotated[
        str | None,
        Field(
            description="Key of a secret config value with the bytes in base64: "
            "base64 < FILE | pulumi config set --secret KEY",
            min_length=1,
        ),
    ] = None


class SecretSettings(Model):
    """Settings of a secret; the stack-wide settings are their defaults."""

    description: Annotated[str | None, Field(max_length=2048)] = None
    encryption: Encryption | None = None
    recovery_window_days: RecoveryWindow | None = None
    protect: Annotated[
        bool | None, Field(description="Do not delete or replace it until this is false again")
    ] = None
    policy: Annotated[
        Annotated[dict[str, Any], AfterValidator(check_policy)] | None,
        Field(description="Resource policy: an IAM policy document that grants no public access"),
    ] = None
    replicas: Annotated[tuple[Replica, ...] | None, Field(description="Copies in other regions")] = None
    tags: Annotated[Tags, Field(description="Added to the stack-wide tags")] = Field(default_factory=dict)
    initial_values: Mode | None = None
    max_age_days: Annotated[
        MaxAgeDays | None, Field(description="Days after which its value is too old; 0: never")
    ] = None
    removed_keys: Annotated[
        tuple[JsonKey, ...],
        Field(
            max_length=100, description="JSON keys to remove from the secret, unless initialValues is once"
        ),
    ] = ()


_CONTENTS = ("values", "text", "binary")


class Secret(SecretSettings):
    """A secret: a JSON object (values), one text, or bytes."""

    model_config = ConfigDict(json_schema_extra=_exactly_one(_CONTENTS))

    values: Annotated[
        dict[JsonKey, Value],
        Field(min_length=1, description="JSON keys with the sources of their initial values"),
    ] = Field(default_factory=dict)
    text: Annotated[
        Text | None,
        Field(description="Source of a value that is one text, such as a PEM file"),
    ] = None
    binary: Annotated[Binary | None, Field(description="Source of a binary value, such as a keystore")] = None
    rotation: Annotated[
        SecretRotation | None, Field(description="Rotates keys of the secret on schedule")
    ] = None
    partner: Annotated[
        Partner | None,
        Field(description="A vendor's credentials that AWS rotates (managed external secrets)"),
    ] = None
    renamed_from: Annotated[
        SecretName | None,
        Field(
            description="Name of another secret of this stack that is being renamed to this one. This one "
            "gets its values until the rename is finished (docs/move.md)"
        ),
    ] = None

    @model_validator(mode="after")
    def _rotates_one_way(self) -> "Secret":
        if self.rotation and self.partner:
            raise refusal(
                "rotation and partner are mutually exclusive",
                "",
                "Set the schedule under partner: rotation, and remove rotation",
            )
        return self

    @property
    def whole(self) -> Text | Binary | None:
        """Source of the whole value; None if the secret has keys."""
        return self.text or self.binary

    @property
    def content(self) -> Content:
        """Content of the secret's value."""
        return "text" if self.text else "binary" if self.binary else "keys"

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        found = [name for name in _CONTENTS if getattr(self, name)]
        if len(found) != 1:
            raise refusal(
                "a secret needs exactly one of values, text and binary, found "
                f"{' and '.join(found) or 'none'}",
                "",
                "Use values: {KEY: ...} for a JSON object, text: {...} for one text, or binary: {...}",
            )
        if self.whole and self.removed_keys:
            raise refusal(
                f"removedKeys is set for a {self.content} value, which has no keys",
                "It would be ignored",
                "Remove removedKeys",
            )
        return self

    @model_validator(mode="after")
    def _has_what_is_renewed(self) -> Self:
        renewed = self.rotation.renewed_keys if self.rotation else ()
        if self.whole and renewed:
            raise refusal(
                f"rotation has keys, but the secret is a {self.content} value without keys",
                "Each rotation would fail",
                "Set functionArn for your own function, or declare the secret with values",
            )
        missing = [key for key in renewed if key not in self.values]
        if missing:
            raise refusal(
                f"rotation has keys that are not in values: {', '.join(missing)}",
                "Each rotation would fail",
                f"Add {', '.join(missing)} to values, or remove it from rotation",
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.text and self.text.value is not None:
            size = len(self.text.value.encode())
        elif self.whole:
            size = least_size(self.whole)
        else:
            size = len(json.dumps({key: "x" * least_size(value) for key, value in self.values.items()}))
        if size > MOST_VALUE_BYTES:
            raise refusal(
                f"the initial value would have at least {size} bytes",
                f"Secrets Manager accepts {MOST_VALUE_BYTES}",
                "Shorten it, or split it into several secrets",
            )
        if self.text and self.text.value == "":
            raise refusal(
                "the text is empty",
                "AWS would reject it",
                "Use filledByHand for a value that is entered in AWS",
            )
        return self


def least_size(value: Text | Binary) -> int:
    """Return the minimum size of a value in bytes; in JSON if the stack file has the text."""
    if isinstance(value.random_bytes, RandomBytes):
        encoded = {"hex": 2.0, "base64": 4 / 3, "base64url": 4 / 3}[value.random_bytes.encoding]
        return int(value.random_bytes.length * encoded)
    if isinstance(value, Binary):
        return value.random_bytes.length if value.random_bytes else 0
    if value.random:
        return value.random.length
    if isinstance(value, Value) and value.json_ is not None:
        return len(json.dumps(value.json_)) - 2
    return len(json.dumps(value.value or "")) - 2
