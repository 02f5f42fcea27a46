"""The version that a rollback chooses, and the cases that it refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.rollback import Refusal, Secret, Version, plan

FIRST = datetime(2026, 11, 1, tzinfo=UTC)


def version(number: int, *labels: str) -> Version:
    return Version(
        version_id=f"{number:08d}-0000-4000-8000-000000000000",
        created=FIRST + timedelta(days=number),
        labels=labels,
    )


OLD, PREVIOUS, CURRENT = version(1), version(2, "AWSPREVIOUS"), version(3, "AWSCURRENT")
PENDING = version(5, "AWSPENDING")
RECORD = version(4, "aws-secrets-record-of:00000004:00000003")
SECRET = Secret(arn="arn", name="app", versions=(RECORD, CURRENT, PREVIOUS, OLD))
LOGIN = replace(SECRET, is_login=True, function_arn="arn:function")
ROLLED_BACK = replace(
    SECRET, versions=(replace(CURRENT, labels=("AWSPREVIOUS",)), replace(PREVIOUS, labels=("AWSCURRENT",)))
)
SERIAL = replace(PREVIOUS, version_id="20261101-0000-4000-8000-000000000000")


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("previous", PREVIOUS),
        (PREVIOUS.version_id, PREVIOUS),
        (OLD.version_id[:8], OLD),
        ("2026-11-03T12:00", PREVIOUS),
        ("2026-11-03T01:00+02:00", OLD),
    ],
)
def test_a_version_is_chosen_by_label_id_or_time(to: str, target: Version) -> None:
    rollback = plan(SECRET, to, written=False)
    assert (rollback.current, rollback.target) == (CURRENT, target)


@pytest.mark.parametrize(
    ("secret", "to", "written", "words"),
    [
        (SECRET, CURRENT.version_id, False, "already current"),
        (SECRET, "2026-11-04T00:00", False, "already current"),
        (SECRET, "9999-11-04T00:00", False, "in the future"),
        (SECRET, "2026-10-01T00:00", False, "no version of the secret from"),
        (SECRET, RECORD.version_id, False, "belongs to the stack's writer"),
        (SECRET, OLD.version_id, True, "no staging label"),
        (SECRET, "0000000", False, "not a version"),
        (SECRET, "yesterday", False, "not a version"),
        (replace(SECRET, deleted=True), "previous", False, "operations restore app"),
        (replace(SECRET, owner="rds"), "previous", False, "AWS service rds"),
        (replace(SECRET, primary_region="eu-west-1"), "previous", False, "in eu-west-1"),
        (replace(SECRET, versions=(PREVIOUS,)), "previous", False, "no current version"),
        (replace(SECRET, versions=(CURRENT, OLD)), "previous", False, "no previous version"),
        (ROLLED_BACK, "previous", False, f"rolled back already.*--to {CURRENT.version_id}"),
        (
            replace(SECRET, versions=(PENDING, *SECRET.versions)),
            "previous",
            False,
            "in progress",
        ),
        (
            replace(LOGIN, versions=(PENDING, *SECRET.versions)),
            "previous",
            False,
            "in progress",
        ),
        (replace(LOGIN, function_arn=""), "previous", False, "Rotation is off"),
        (replace(LOGIN, function_arn="arn:of-others"), "previous", False, "rotates with arn:of-others"),
    ],
)
def test_what_is_not_possible_is_refused_with_the_reason(
    secret: Secret, to: str, written: bool, words: str
) -> None:
    with pytest.raises(Refusal, match=words):
        plan(secret, to, written=written, rotation_function="arn:function")


def test_a_rollback_is_undone_by_the_id_of_its_version() -> None:
    assert plan(ROLLED_BACK, CURRENT.version_id, written=False).target.version_id == CURRENT.version_id


def test_eight_digits_are_a_version_and_not_a_date() -> None:
    secret = replace(SECRET, versions=(CURRENT, SERIAL))
    assert plan(secret, "20261101", written=False).target == SERIAL


def test_an_interrupted_rollback_of_a_login_goes_on() -> None:
    target = replace(PREVIOUS, labels=("AWSPENDING", "AWSPREVIOUS"))
    secret = replace(LOGIN, versions=(CURRENT, target))
    rollback = plan(secret, target.version_id, written=False, rotation_function="arn:function")
    assert rollback.target == target
    with pytest.raises(Refusal, match="in progress"):
        plan(replace(secret, is_login=False), target.version_id, written=False)


@given(st.text())
def test_any_text_names_a_version_or_is_refused(to: str) -> None:
    try:
        rollback = plan(SECRET, to, written=False)
    except Refusal:
        return
    assert rollback.target in SECRET.versions
    assert rollback.target.holds_a_value


@pytest.mark.parametrize("label", ["AWSPREVIOUS", "aws-secrets-initial"])
def test_a_value_that_carries_a_record_is_still_a_value(label: str) -> None:
    value = version(1, label, "aws-secrets-generations:000000010000:abcdefgh-2")
    secret = replace(SECRET, versions=(CURRENT, value))
    assert plan(secret, value.version_id, written=True).target == value
