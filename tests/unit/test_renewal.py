"""The functions that rotate, and the state of a run's rotation by the labels of its versions."""

from datetime import UTC, datetime
from unittest.mock import MagicMock

import pytest

from operations.renewal import functions
from operations.renewal.rotations import Incident
from operations.rollback.history import Secret, Version
from program.desired import ROTATION_FUNCTION

NOW = datetime(2026, 11, 30, tzinfo=UTC)
RUN = Incident(NOW, b"seed")
COPY = "aws-secrets-deferral:1:1700000000"


def test_a_function_that_waits_for_its_deletion_rotates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted replacement leaves both in the state."""
    urn = f"urn:pulumi:test::shop::aws:lambda/function:Function::{ROTATION_FUNCTION}-function"
    one = {"type": "aws:lambda/function:Function", "urn": urn}
    state = {"resources": [{**one, "id": "new"}, {**one, "id": "old", "delete": True}]}
    monkeypatch.setattr(functions, "exported", lambda *_: state)
    desired, target = MagicMock(), MagicMock()
    desired.secrets = {"app": MagicMock(rotated_by="stack")}
    target.caller = MagicMock(account_id="123456789012", partition="aws")
    target.aws.region = "us-east-1"
    found = functions.deployment_of(desired, target, ["app"]).functions
    assert found == {None: "arn:aws:lambda:us-east-1:123456789012:function:new"}


@pytest.mark.parametrize(
    ("attempts", "state"),
    [
        ([], "absent"),
        ([["AWSPENDING"]], "pending"),
        ([["AWSPENDING", COPY]], "pending"),
        ([["AWSPENDING", "AWSPREVIOUS"]], "done"),
        ([["AWSCURRENT"]], "done"),
        ([["AWSCURRENT", COPY]], "deferred"),
        ([["AWSPREVIOUS", COPY]], "deferred"),
        # edited since; the function keeps the label
        ([[COPY]], "deferred"),
        # a second deferral moves the labels: this version was the first copy
        ([["AWSPREVIOUS", "aws-secrets-deferred:2:1700000000"]], "deferred"),
        # the first deferral since: this version has a value of its own
        ([["AWSPREVIOUS", "aws-secrets-deferred:1:1700000000"]], "done"),
        ([["AWSCURRENT", COPY], ["AWSPENDING"]], "pending"),
        ([["AWSPREVIOUS", COPY], ["AWSCURRENT"]], "done"),
        ([[]], "absent"),
        ([[COPY], []], "absent"),
    ],
)
def test_a_rotation_is_done_only_if_it_renewed_the_value(attempts: list[list[str]], state: str) -> None:
    versions = [
        Version(version_id=RUN.version("arn", 1, number), created=NOW, labels=tuple(labels))
        for number, labels in enumerate(attempts)
    ]
    version, found = RUN.find(Secret(arn="arn", name="app", versions=tuple(versions)), 1)
    assert found == state
    is_next = state in {"absent", "deferred"}
    assert version == RUN.version("arn", 1, len(attempts) - (not is_next))
