"""What the function remembers about a secret, in staging labels of its versions.

A version's value cannot be changed, and neither can two calls be one; labels come with the value in one
PutSecretValue, move by name, and show to whoever may describe the secret. A key is named by a hash.

    aws-secrets-generations:<id>:<hash>-<generation>,...          the generations above 1 of a version's keys
    aws-secrets-generations:<id>:<part>/<parts>:<hash>-<generation>,...       the same, when it takes several
    aws-secrets-writing:<id>:<id of the version it was made from, or ->:<seconds since 1970>      unconfirmed
    aws-secrets-record-of:<id>:<id of a version>      the record counts once that version has been current

Whether a version that loses AWSCURRENT by PutSecretValue keeps its labels is not recorded. So the record is
on a version of its own, with the value `{}`, that is never current and so loses nothing. Records on value
versions are read too: earlier releases put them there, and a first value holds its own until its record
version is there. Tags would be drift for Pulumi: a refresh imports them, the next update removes them.

<id> is the beginning of the version's own id: labels of two versions never have the same text, so that none
moves by accident, and one that was moved by hand says nothing.

Source of the limits: AWS Secrets Manager User Guide, "Quotas" (20 labels over all versions of a secret); API
Reference, PutSecretValue (256 characters a label).
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .errors import OperatorError

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"

INITIAL = "aws-secrets-initial"
"""On a secret's first version, which then stays."""

UNFILLED = "aws-secrets-unfilled"
"""On a version in which a key that a person shall fill is empty."""

Record: TypeAlias = Mapping[str, int]
"""A key's hash to its generation; 1 is left out."""

MOST_KEYS = 60
MOST_LABELS = 4

_GENERATIONS = "aws-secrets-generations:"
_WRITING = "aws-secrets-writing:"
_RECORD_OF = "aws-secrets-record-of:"
_LONGEST_LABEL = 256
_ROOM = _LONGEST_LABEL - len(f"{_GENERATIONS}0123456789ab:1/4:")
_LABEL = re.compile(rf"{_GENERATIONS}([^:]*):(?:(\d+)/(\d+):)?([a-z2-7]{{8}}-\d+(?:,[a-z2-7]{{8}}-\d+)*)?")


@dataclass(frozen=True)
class Writing:
    """A version that nobody has confirmed.

    Attributes:
        base: id of the version it was made from; None for a secret's first.
        since: seconds since 1970.
    """

    base: str | None
    since: int


def key_hash(key: str) -> str:
    """What a key is called in a label: 40 bits, of up to 60 keys."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest[:5]).decode().lower()


def labels(version: str, record: Record, arn: str) -> list[str]:
    """The labels that hold a record.

    Raises:
        OperatorError: it has too many keys.
    """
    entries = [f"{key}-{generation}" for key, generation in sorted(record.items())]
    if len(entries) > MOST_KEYS:
        raise OperatorError(
            f"Secret {arn} would have {len(entries)} keys with a generation above 1, and the function can "
            f"record {MOST_KEYS}. Nothing was changed. Spread the keys over several secrets, or take "
            "`generation` back for keys that were not renewed yet."
        )
    parts: list[str] = []
    for entry in entries or [""]:
        if parts and len(parts[-1]) + 1 + len(entry) <= _ROOM:
            parts[-1] += f",{entry}"
        else:
            parts.append(entry)
    start = f"{_GENERATIONS}{_short(version)}"
    if len(parts) == 1:
        return [f"{start}:{parts[0]}"]
    return [f"{start}:{number}/{len(parts)}:{part}" for number, part in enumerate(parts, 1)]


def is_record(label: str) -> bool:
    """Whether a label is, or was, a part of a record."""
    return label.startswith(_GENERATIONS)


def read(version: str, stages: Iterable[str]) -> Record | None:
    """The record that a version's labels hold; None without one, or where a part of it is missing."""
    found: dict[str, int] = {}
    parts: dict[int, set[int]] = {}
    for label in stages:
        match = _LABEL.fullmatch(label)
        if match is None or match[1] != _short(version):
            continue
        parts.setdefault(int(match[3] or 1), set()).add(int(match[2] or 1))
        for entry in (match[4] or "").split(",") if match[4] else []:
            key, _, generation = entry.partition("-")
            found[key] = max(found.get(key, 1), int(generation))
    whole = any(numbers >= set(range(1, count + 1)) for count, numbers in parts.items())
    return found if whole else None


def merged(records: Iterable[Record]) -> Record | None:
    """All of several records; None without any."""
    found: dict[str, int] | None = None
    for record in records:
        found = found or {}
        for key, generation in record.items():
            found[key] = max(found.get(key, 1), generation)
    return found


def writing_label(version: str, base: str | None, now: float) -> str:
    """The label of a version that is not confirmed."""
    return f"{_WRITING}{_short(version)}:{base or '-'}:{int(now)}"


def writing(version: str, stages: Iterable[str]) -> tuple[str, Writing] | None:
    """A version's label of that kind, and what it says."""
    for label in stages:
        if label.startswith(f"{_WRITING}{_short(version)}:"):
            base, _, since = label.split(":", 2)[2].rpartition(":")
            return label, Writing(None if base == "-" else base, int(since) if since.isdecimal() else 0)
    return None


def link_label(version: str, value_version: str) -> str:
    """Return the label of a record version that counts once `value_version` has been current."""
    return f"{_RECORD_OF}{_short(version)}:{value_version}"


def link(version: str, stages: Iterable[str]) -> tuple[str, str] | None:
    """Return a record version's link label, and the version that it names."""
    start = f"{_RECORD_OF}{_short(version)}:"
    return next(((label, label.removeprefix(start)) for label in stages if label.startswith(start)), None)


def _short(version: str) -> str:
    return version.replace("-", "")[:12]
