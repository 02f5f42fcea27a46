"""Record the generations of a secret's keys in staging labels of its versions.

A version's value cannot be changed, and two calls are never atomic. But one PutSecretValue sets a value and
its labels, labels move by name, and anybody who may describe the secret sees them. A key is named by a hash.

    aws-secrets-generations:<id>:<hash>-<generation>,...          generations above 1 of a version's keys
    aws-secrets-generations:<id>:<part>/<parts>:<hash>-<generation>,...       the same, in several labels
    aws-secrets-writing:<id>:<id of the base version, or ->:<seconds since 1970>      version not confirmed
    aws-secrets-record-of:<id>:<id of a version>      record is valid once that version has been current

AWS does not document whether a version that loses AWSCURRENT by PutSecretValue keeps its labels. So the
record is on a version of its own, with the value `{}`, which is never current and cannot lose them. Records
on value versions are read too: earlier releases put them there, and an initial value has its own record until
its record version exists. Tags would be drift for Pulumi: a refresh imports them, the next update removes
them.

<id> is the beginning of the version's own id. Labels of two versions therefore never have the same text, so
none moves by accident, and a label that was moved by hand is ignored.

Source of the limits: AWS Secrets Manager User Guide, "Quotas" (20 labels over all versions of a secret); API
Reference, PutSecretValue (256 characters per label).
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .errors import OperatorError

Record: TypeAlias = Mapping[str, int]
"""Generations above 1, by the hash of their key."""

MOST_KEYS = 60

_GENERATIONS = "aws-secrets-generations:"
_WRITING = "aws-secrets-writing:"
_RECORD_OF = "aws-secrets-record-of:"
_LONGEST_LABEL = 256
_ROOM = _LONGEST_LABEL - len(f"{_GENERATIONS}0123456789ab:1/4:")
_LABEL = re.compile(rf"{_GENERATIONS}([^:]*):(?:(\d+)/(\d+):)?([a-z2-7]{{8}}-\d+(?:,[a-z2-7]{{8}}-\d+)*)?")


@dataclass(frozen=True)
class Writing:
    """An unconfirmed version.

    Attributes:
        base: id of the version that it was derived from; None for a secret's first version.
        since: when it was written, in seconds since 1970.
    """

    base: str | None
    since: int


def key_hash(key: str) -> str:
    """Return a key's name in a label: 40 bits, enough for 60 keys."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest[:5]).decode().lower()


def labels(version: str, record: Record, arn: str) -> list[str]:
    """Return the labels of a record.

    Raises:
        OperatorError: the record has too many keys.
    """
    entries = [f"{key}-{generation}" for key, generation in sorted(record.items())]
    if len(entries) > MOST_KEYS:
        raise OperatorError(
            f"Secret {arn}: {len(entries)} keys would have a generation above 1; the limit is {MOST_KEYS}. "
            "Nothing was changed. Divide the keys among several secrets, or remove `generation` from keys "
            "that have not been regenerated yet."
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
    """Return whether a label is a part of a record, perhaps of another version's."""
    return label.startswith(_GENERATIONS)


def read(version: str, stages: Iterable[str]) -> Record | None:
    """Return the record in a version's labels; None if there is none or a part of it is missing."""
    record: dict[str, int] = {}
    parts: dict[int, set[int]] = {}
    for label in stages:
        match = _LABEL.fullmatch(label)
        if match is None or match[1] != _short(version):
            continue
        parts.setdefault(int(match[3] or 1), set()).add(int(match[2] or 1))
        for entry in (match[4] or "").split(",") if match[4] else []:
            key, _, generation = entry.partition("-")
            record[key] = max(record.get(key, 1), int(generation))
    complete = any(numbers >= set(range(1, count + 1)) for count, numbers in parts.items())
    return record if complete else None


def merged(records: Iterable[Record]) -> Record | None:
    """Return the union of records, with the highest generation of each key; None if there are none."""
    union: dict[str, int] | None = None
    for record in records:
        union = union or {}
        for key, generation in record.items():
            union[key] = max(union.get(key, 1), generation)
    return union


def writing_label(version: str, base: str | None, now: float) -> str:
    """Return the label of an unconfirmed version."""
    return f"{_WRITING}{_short(version)}:{base or '-'}:{int(now)}"


def writing(version: str, stages: Iterable[str]) -> tuple[str, Writing] | None:
    """Return a version's label that marks it unconfirmed, and its content; None if there is none."""
    for label in stages:
        if label.startswith(f"{_WRITING}{_short(version)}:"):
            base, _, since = label.split(":", 2)[2].rpartition(":")
            return label, Writing(None if base == "-" else base, int(since) if since.isdecimal() else 0)
    return None


def link_label(version: str, value_version: str) -> str:
    """Return the link label of a record version that is valid once `value_version` has been current."""
    return f"{_RECORD_OF}{_short(version)}:{value_version}"


def link(version: str, stages: Iterable[str]) -> tuple[str, str] | None:
    """Return a record version's link label and the version that it names; None if there is none."""
    start = f"{_RECORD_OF}{_short(version)}:"
    return next(((label, label.removeprefix(start)) for label in stages if label.startswith(start)), None)


def _short(version: str) -> str:
    return version.replace("-", "")[:12]
