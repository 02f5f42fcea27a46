"""The contract of the writer with the components that invoke it.

Both sides take from here the keys of the event and of its answer (see `request.py`), and the options of
random values with their defaults: an event leaves out every option that has its default.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Encoding: TypeAlias = Literal["hex", "base64", "base64url"]

# Keys of the event.
ACTION = "Action"
WRITE = "write"
ROLL_BACK = "rollback"
"""The values of ACTION."""
SECRET_ID = "SecretId"  # noqa: S105  a key's name
KEYS = "Keys"
REMOVED_KEYS = "RemovedKeys"
TEXT = "Text"
BINARY = "Binary"
SALT = "Salt"
"""Any text; it makes the hash of the event, which is an Invocation's id, impossible to guess values from."""

# Keys of the event with the action ROLL_BACK.
SOURCE_VERSION = "SourceVersion"
CURRENT_VERSION = "CurrentVersion"
KEY_NAMES = "KeyNames"

# Keys of a declared key: one source, and its generation.
RANDOM = "random"
RANDOM_BYTES = "randomBytes"
VALUE = "value"
JSON = "json"
FILLED_BY_HAND = "filledByHand"
JOINED = "joined"
GENERATION = "generation"

# Keys of a reference to another key in JOINED.
REFERENCE_KEY = "key"
REFERENCE_QUOTED = "quoted"

# Keys of the answer.
ADDED = "Added"
REGENERATED = "Regenerated"
REMOVED = "Removed"
ROLLED_BACK = "RolledBack"
VERSION_ID = "VersionId"
WARNINGS = "Warnings"

PLACEHOLDER = "\n"
"""A text or binary secret's value until it is filled in manually: AWS accepts no empty one."""

KEEPERS = "keepers"
"""An option of Pulumi's random resource alone, which the writer accepts and ignores."""


@dataclass(frozen=True, kw_only=True)
class RandomOptions:
    """Options of a random text, those of random.RandomPassword.

    Attributes:
        length: number of characters.
        special: whether special characters are allowed.
        lower: whether lower-case letters are allowed.
        upper: whether upper-case letters are allowed.
        numeric: whether digits are allowed.
        min_special: least number of special characters, even if they are not allowed otherwise.
        min_lower: least number of lower-case letters.
        min_upper: least number of upper-case letters.
        min_numeric: least number of digits.
        override_special: special characters to use instead of `!@#$%&*()-_=+[]{}<>:?`.
    """

    length: int
    special: bool = True
    lower: bool = True
    upper: bool = True
    numeric: bool = True
    min_special: int = 0
    min_lower: int = 0
    min_upper: int = 0
    min_numeric: int = 0
    override_special: str | None = None


@dataclass(frozen=True, kw_only=True)
class RandomBytesOptions:
    """Options of random bytes.

    Attributes:
        length: number of bytes.
        encoding: `hex` (lower case), `base64` (padded) or `base64url` (without padding).
    """

    length: int
    encoding: Encoding = "hex"


def event_name(option: str) -> str:
    """Return an option's name in an event: `min_special` is `minSpecial` there."""
    first, *others = option.split("_")
    return first + "".join(word.title() for word in others)
