"""The shape of `secrets` in a stack file.

Secret values are never part of it: they are random, filled by hand, or named by a config key of their own.
"""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

import pulumi_aws as aws
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from settings.mistakes import matching, nearest, refusal
from settings.model import Model
from settings.partners import Partner
from settings.policies import check_policy
from settings.rotation import SecretRotation

# AWS Secrets Manager quotas: bytes of a secret's value, tags and replicas of a secret
MOST_VALUE_BYTES = 65_536
_MAX_TAGS = 50
_LONGEST_KEY = 256
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(key|alias)/[A-Za-z0-9/_-]+")


_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-\d{1,2}")
_COMPASS = tuple(f"{first}{second}" for first in ("north", "south", "") for second in ("east", "west", ""))[
    :-1
]
_DIRECTIONS = (*_COMPASS, "central")
_TYPO = 0.75  # of a direction, in difflib's measure


def check_region(region: str) -> str:
    """Raise a refusal for what is not the code of a region; one that pulumi-aws does not list may be new."""
    if region_is_known(region):
        return region
    direction = region.split("-")[-2] if _REGION.fullmatch(region) else ""
    if not direction or (
        direction not in _DIRECTIONS and difflib.get_close_matches(direction, _DIRECTIONS, cutoff=_TYPO)
    ):
        raise refusal(
            f'unknown AWS region "{region}"{_nearest_region(region)}',
            "Requests would go to a host that does not exist",
            "Write a region's code, for example us-east-1",
        )
    return region


def region_is_known(region: str) -> bool:
    """Return whether pulumi-aws lists the region."""
    return region in {known.value for known in aws.Region}


def unlisted_region(path: str, region: str) -> str:
    """Return the warning for a region that pulumi-aws does not list."""
    return (
        f'{path}: pulumi-aws does not list the region "{region}"{_nearest_region(region)}. If it is newer '
        "than pulumi-aws, go on; otherwise nothing answers there, and the update fails."
    )


def _nearest_region(region: str) -> str:
    return nearest(region, [known.value for known in aws.Region])


SecretName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9/_+=.@-]{1,512}",
        "this is not a name that AWS Secrets Manager takes",
        "AWS would refuse to create the secret",
        "Use 1 to 512 of the characters A-Z a-z 0-9 / _ + = . @ -",
    ),
]


# A map with this key is something else to Pulumi, such as a secret whose other keys no preview shows.
# Source: pulumi/sdk, resource/sig.go.
_ENGINES_KEY = "4dabf18193072939515e22adb298388d"


def _check_json_key(key: str) -> str:
    if key == _ENGINES_KEY:
        raise refusal(
            "Pulumi reserves this key",
            "Previews would not show what happens to the secret's other keys",
            "Give the key another name",
        )
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
        raise refusal(
            "not a valid JSON key here",
            "It could not be shown as it is in previews and logs",
            f"Use 1 to {_LONGEST_KEY} printable characters, blanks included",
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


class Bytes(Model):
    """Random bytes."""

    length: Annotated[int, Field(ge=1, le=16_384, description="Bytes, before encoding")] = 32
    keepers: Annotated[
        dict[str, str], Field(description="A change here makes a new value in state; the one in AWS stays")
    ] = Field(default_factory=dict)


class RandomBytes(Bytes):
    """Random bytes as text."""

    encoding: Annotated[
        Literal["hex", "base64", "base64url"], Field(description="base64url has no padding")
    ] = "hex"


Mode = Annotated[
    Literal["once", "managed", "account"],
    Field(
        description="Who writes values. once: Pulumi, the first ones and nothing later; managed: a function "
        "adds and regenerates keys after that; account: it makes every value, and Pulumi knows none"
    ),
]

Content = Literal["keys", "text", "binary"]
"""What a secret's value is: a JSON object with keys, one text, or bytes."""


def _exactly_one(names: Iterable[str]) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


def _with_one_kind(schema: dict[str, Any], model: type["_Source"]) -> None:
    schema |= _exactly_one(_written(model).values())


def _written(model: type["_Source"]) -> dict[str, str]:
    """Return each kind to how it is written in the stack file."""
    return {kind: model.model_fields[kind].alias or kind for kind in model.kinds}


class _Source(Model):
    """Where a value comes from: exactly one kind of several."""

    model_config = ConfigDict(json_schema_extra=_with_one_kind)
    kinds: ClassVar[tuple[str, ...]]

    filled_by_hand: Annotated[
        str | None,
        Field(description="Empty until a person fills it; say where to get it", min_length=1, max_length=500),
    ] = None
    generation: Annotated[
        int,
        Field(ge=1, le=999, description="Raised by one, there is a new value, unless initialValues is once"),
    ] = 1

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        names = _written(type(self))
        kinds = [name for key, name in names.items() if getattr(self, key) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            *others, last = names.values()
            raise refusal(
                f"a value has exactly one kind, found {found}",
                "It would be unclear what the secret holds at first",
                f"Write one of {', '.join(others)} or {last}",
            )
        if self.filled_by_hand is not None and self.generation != 1:
            raise refusal(
                "generation is given for a value that a person fills in",
                "Nothing could make a new one",
                "Drop generation, and let the person write the new value",
            )
        return self


class Text(_Source):
    """Where a text comes from: exactly one of the five kinds."""

    kinds: ClassVar[tuple[str, ...]] = ("random", "random_bytes", "value", "config", "filled_by_hand")

    random: Annotated[Random | None, Field(description="A random text")] = None
    random_bytes: Annotated[RandomBytes | None, Field(description="Random bytes as text")] = None
    value: Annotated[str | None, Field(description="This text; for what is no secret")] = None
    config: Annotated[
        str | None,
        Field(description="Key of a secret config value: pulumi config set --secret KEY", min_length=1),
    ] = None


class Value(Text):
    """Where a key's value comes from: exactly one of the six kinds."""

    kinds: ClassVar[tuple[str, ...]] = (
        *("random", "random_bytes", "value", "json_"),
        *("config", "filled_by_hand"),
    )

    json_: Annotated[
        Any,
        Field(
            alias="json",
            description="This structure as JSON (map, list, number, boolean); for what is no secret",
        ),
    ] = None


class Binary(_Source):
    """Where bytes come from: exactly one of the three kinds."""

    kinds: ClassVar[tuple[str, ...]] = ("random_bytes", "config", "filled_by_hand")

    random_bytes: Annotated[Bytes | None, Field(description="Random bytes")] = None
    config: Annotated[
        str | None,
        Field(
            description="Key of a secret config value that holds the bytes in base64: "
            "base64 < FILE | pulumi config set --secret KEY",
            min_length=1,
        ),
    ] = None


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


_CONTENTS = ("values", "text", "binary")


class Secret(Kept):
    """A secret: a JSON object (values), one text, or bytes."""

    model_config = ConfigDict(json_schema_extra=_exactly_one(_CONTENTS))

    values: Annotated[
        dict[JsonKey, Value], Field(min_length=1, description="JSON key to where its first value comes from")
    ] = Field(default_factory=dict)
    text: Annotated[
        Text | None,
        Field(description="The value is one text, such as a PEM file: where it comes from"),
    ] = None
    binary: Annotated[
        Binary | None, Field(description="The value is binary, such as a keystore: where it comes from")
    ] = None
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

    @property
    def whole(self) -> Text | Binary | None:
        """Where the whole value comes from; None if the secret has keys."""
        return self.text or self.binary

    @property
    def content(self) -> Content:
        """What the secret's value is."""
        return "text" if self.text else "binary" if self.binary else "keys"

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        found = [name for name in _CONTENTS if getattr(self, name)]
        if len(found) != 1:
            raise refusal(
                f"a secret has exactly one of values, text and binary, found {' and '.join(found) or 'none'}",
                "It would be unclear what the secret holds",
                "Write values: {KEY: ...} for a JSON object, text: {...} for one text, or binary: {...}",
            )
        if self.whole and self.removed_keys:
            raise refusal(
                f"removedKeys is given for a secret that is one {self.content} value",
                "It has no keys",
                "Drop removedKeys",
            )
        return self

    @model_validator(mode="after")
    def _has_what_is_renewed(self) -> Self:
        renewed = self.rotation.renewed_keys if self.rotation else ()
        if self.whole and renewed:
            raise refusal(
                f"rotation renews keys of a secret that is one {self.content} value",
                "Each rotation would fail",
                "Write functionArn for a function of your own, or declare the secret with values",
            )
        missing = [key for key in renewed if key not in self.values]
        if missing:
            raise refusal(
                f"rotation renews {', '.join(missing)}, which values does not have",
                "Each rotation would fail",
                f"Add {', '.join(missing)} to values, or name keys that are there",
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
                f"the first value would have at least {size} bytes",
                f"AWS would refuse more than {MOST_VALUE_BYTES}",
                "Shorten it, or spread it over several secrets",
            )
        if self.text and self.text.value == "":
            raise refusal(
                "the text is empty",
                "AWS would refuse it",
                "Write filledByHand for a value that a person fills in",
            )
        return self


def least_size(value: Text | Binary) -> int:
    """Return the bytes that a value takes at least, in JSON where the stack file has the text."""
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
