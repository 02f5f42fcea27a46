"""Generations survive in labels, whatever their number."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.writer import record
from functions.writer.errors import OperatorError
from functions.writer.request import LARGEST_GENERATION

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf"
VERSIONS = st.uuids(version=4).map(str)
RECORDS = st.dictionaries(
    st.text(min_size=1, max_size=4).map(record.key_hash), st.integers(2, LARGEST_GENERATION), max_size=60
)


@given(VERSIONS, VERSIONS, RECORDS)
def test_a_record_is_read_as_it_was_written_and_by_its_own_version_only(
    version: str, other: str, known: dict[str, int]
) -> None:
    labels = record.labels(version, known, ARN)
    assert len(labels) <= 4
    assert all(len(label) <= 256 and record.is_record(label) for label in labels)
    assert record.read(version, [*labels, "AWSCURRENT", "x"]) == known
    if other[:13] != version[:13]:
        assert record.read(other, labels) is None
        assert not set(labels) & set(record.labels(other, known, ARN))


def test_sixty_keys_of_the_largest_generation_have_room_and_sixty_one_are_refused() -> None:
    version = str(uuid.uuid4())
    known = {record.key_hash(str(number)): LARGEST_GENERATION for number in range(61)}
    with pytest.raises(OperatorError, match=r"61 keys .* can record 60") as refused:
        record.labels(version, known, ARN)
    assert ARN in str(refused.value)
    known.popitem()
    labels = record.labels(version, known, ARN)
    assert (len(labels), record.read(version, labels)) == (4, known)


def test_a_record_with_a_part_missing_does_not_count() -> None:
    version = str(uuid.uuid4())
    known = {record.key_hash(str(number)): 2 for number in range(50)}
    labels = record.labels(version, known, ARN)
    assert len(labels) > 1
    for missing in labels:
        assert record.read(version, set(labels) - {missing}) is None


@given(VERSIONS, st.none() | VERSIONS)
def test_an_unconfirmed_version_says_what_it_was_made_from(version: str, base: str | None) -> None:
    label = record.writing_label(version, base, 1_700_000_000.9)
    assert len(label) <= 256
    assert record.writing(version, ["AWSCURRENT", label]) == (label, record.Writing(base, 1_700_000_000))
    assert record.writing(str(uuid.UUID(int=1)), [label]) is None
