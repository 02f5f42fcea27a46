"""Generations are stored in labels, for any number of keys."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.lambdas.writer import generation_labels
from components.lambdas.writer.errors import OperatorError
from components.lambdas.writer.request import LARGEST_GENERATION

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf"
VERSIONS = st.uuids(version=4).map(str)
RECORDS = st.dictionaries(
    st.text(min_size=1, max_size=4).map(generation_labels.key_hash),
    st.integers(2, LARGEST_GENERATION),
    max_size=60,
)


@given(VERSIONS, VERSIONS, RECORDS)
def test_a_record_is_read_from_its_own_version_only(version: str, other: str, record: dict[str, int]) -> None:
    labels = generation_labels.labels(version, record, ARN)
    assert len(labels) <= 4
    assert all(len(label) <= 256 and generation_labels.is_record(label) for label in labels)
    assert generation_labels.read(version, [*labels, "AWSCURRENT", "x"]) == record
    if other[:13] != version[:13]:
        assert generation_labels.read(other, labels) is None
        assert not set(labels) & set(generation_labels.labels(other, record, ARN))


def test_sixty_keys_fit_and_sixty_one_are_rejected() -> None:
    version = str(uuid.uuid4())
    record = {generation_labels.key_hash(str(number)): LARGEST_GENERATION for number in range(61)}
    with pytest.raises(OperatorError, match=r"61 keys .* the limit is 60") as raised:
        generation_labels.labels(version, record, ARN)
    assert ARN in str(raised.value)
    record.popitem()
    labels = generation_labels.labels(version, record, ARN)
    assert (len(labels), generation_labels.read(version, labels)) == (4, record)


def test_a_record_with_a_missing_part_is_ignored() -> None:
    version = str(uuid.uuid4())
    record = {generation_labels.key_hash(str(number)): 2 for number in range(50)}
    labels = generation_labels.labels(version, record, ARN)
    assert len(labels) > 1
    for missing in labels:
        assert generation_labels.read(version, set(labels) - {missing}) is None


@given(VERSIONS, st.none() | VERSIONS)
def test_an_unconfirmed_version_names_its_base(version: str, base: str | None) -> None:
    label = generation_labels.writing_label(version, base, 1_700_000_000.9)
    assert len(label) <= 256
    assert generation_labels.writing(version, ["AWSCURRENT", label]) == (
        label,
        generation_labels.Writing(base, 1_700_000_000),
    )
    assert generation_labels.writing(str(uuid.UUID(int=1)), [label]) is None
