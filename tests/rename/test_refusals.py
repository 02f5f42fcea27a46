"""Renames that are refused, from what AWS and the stack file say."""

import io
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from components.lambdas.copier.protocol import copy_label
from operations.rename import pair, readers
from operations.rename.pair import Pair, Sync
from operations.rename.readers import Reads
from operations.rename.renaming import Renaming, Stage, check_finish
from operations.restore.plan import Refusal
from operations.status.aws import AwsSecret, AwsSession, Denied
from program.desired import resolve
from stack_file import Configuration, check

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:{}-AbCdEf"
V1, V2, V3 = (f"{number}{number}c1a6b0-0000-4000-8000-000000000000" for number in (1, 2, 3))
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
MADE = Renaming(
    old="old", new="new", stage=Stage.BOTH, file_stack="dev", entry={}, function="f", sync=Sync.EQUAL
)


def described(name: str, **stages: list[str]) -> dict[str, Any]:
    return {"Name": name, "ARN": ARN.format(name), "VersionIdsToStages": dict(stages)}


def refused(call: Any) -> str:  # noqa: ANN401  any function
    with pytest.raises(Refusal) as raised:
        call()
    return str(raised.value)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"DeletedDate": NOW}, "old is scheduled for deletion. Restore it first"),
        ({"OwningService": "rds"}, "The AWS service rds manages old and its name"),
        ({"PrimaryRegion": "eu-west-1"}, "old is a replica. Rename the secret in eu-west-1"),
        ({"RotationEnabled": True}, "AWS rotates old, and a rotation does not know the other name"),
        ({"VersionIdsToStages": {V1: ["AWSCURRENT"], V2: ["AWSPENDING"]}}, "old is being rotated"),
    ],
)
def test_a_secret_that_cannot_be_copied_is_refused(about: dict[str, Any], words: str) -> None:
    assert words in refused(lambda: pair.check_old("old", {**described("old"), **about}, "us-east-1"))


def test_a_pending_label_of_a_finished_rotation_is_accepted() -> None:
    stages = {"VersionIdsToStages": {V1: ["AWSCURRENT", "AWSPENDING"]}}
    pair.check_old("old", {**described("old"), **stages}, "us-east-1")


def test_a_name_that_aws_has_is_refused() -> None:
    assert "AWS has a secret new already" in refused(lambda: pair.check_new_is_free("new", described("new")))
    deleted = {**described("new"), "DeletedDate": NOW}
    assert "AWS reserves the name new" in refused(lambda: pair.check_new_is_free("new", deleted))
    pair.check_new_is_free("new", None)


@dataclass
class Client:
    """Secrets Manager and Lambda, with the answers that a test gives."""

    versions: list[str] = field(default_factory=list)
    payload: bytes = b"{}"
    error: str = ""
    secret: dict[str, Any] = field(default_factory=dict)
    meta: Any = field(default_factory=lambda: SimpleNamespace(region_name="us-east-1"))

    def describe_secret(self, **_: str) -> dict[str, Any]:
        return self.secret

    def list_secret_version_ids(self, **_: object) -> dict[str, Any]:
        return {"Versions": [{"VersionId": one, "CreatedDate": NOW} for one in self.versions]}

    def invoke(self, **_: object) -> dict[str, Any]:
        return {"Payload": io.BytesIO(self.payload), **({"FunctionError": self.error} if self.error else {})}


def session(client: object) -> AwsSession:
    return AwsSession("us-east-1", SimpleNamespace(client=lambda *_, **__: client))


@pytest.mark.parametrize(
    ("old", "new", "versions", "expected"),
    [
        (V1, {V1: ["AWSCURRENT", copy_label(V1)]}, [], Sync.EQUAL),
        (V2, {V1: ["AWSCURRENT", copy_label(V1)]}, [], Sync.BEHIND),
        (V1, {}, [], Sync.BEHIND),
        # the same ID is no proof: whoever may put a value chooses it
        (V1, {V1: ["AWSCURRENT"]}, [], Sync.BEHIND),
        (V1, {V1: ["AWSPREVIOUS"], V3: ["AWSCURRENT"]}, [V1, V3], Sync.AHEAD),
        (V2, {V1: ["AWSPREVIOUS"], V3: ["AWSCURRENT"]}, [V1, V3], Sync.DIVERGED),
        (V1, {V3: ["AWSCURRENT", copy_label(V1)]}, [V3], Sync.DIVERGED),
    ],
)
def test_the_labels_show_which_name_is_up_to_date(
    old: str, new: dict[str, list[str]], versions: list[str], expected: Sync
) -> None:
    both = Pair(old=described("old", **{old: ["AWSCURRENT"]}), new=described("new", **new))
    client = Client(versions=versions, secret=dict(both.new or {}))
    assert pair.compare(session(client), both) is expected


def test_a_missing_permission_is_named() -> None:
    denied = AwsSecret(described=Denied(action="secretsmanager:DescribeSecret"))
    aws = SimpleNamespace(
        region="us-east-1",
        secrets=lambda *_, **__: {"old": denied, "new": AwsSecret(described=None)},
    )
    found = refused(lambda: pair.described(cast("AwsSession", aws), "old", "new"))
    assert "may not call secretsmanager:DescribeSecret on old" in found


def test_the_reason_of_the_function_is_shown() -> None:
    client = Client(payload=b'{"errorMessage": "the reason"}', error="Unhandled")
    assert "could not copy the value: the reason" in refused(lambda: pair.copy(session(client), "f"))
    client = Client(payload=b"not JSON", error="Unhandled")
    assert "no reason given" in refused(lambda: pair.copy(session(client), "f"))


def desired(**settings: object) -> Any:  # noqa: ANN401  a DesiredSecret
    secret = {"values": {"KEY": {"random": {}}}, **settings}
    values = {"aws:region": "us-east-1", "aws-secrets:secrets": {"old": secret}}
    configuration = Configuration(project="aws-secrets", stack="dev", values=values, encrypted=frozenset())
    return resolve(check(configuration).stack_file, "aws-secrets", "dev").secrets["old"]


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"sync": Sync.DIVERGED}, "old and new have different values, and both were changed"),
        ({"sync": Sync.BEHIND}, "old has changed again"),
        (
            {"references": ("aws-secrets:workloads.web.environment.KEY",)},
            "The stack file still reads old: aws",
        ),
        ({"desired": desired(protect=True)}, "old is protected"),
        ({"desired": desired(recoveryWindowDays=0)}, "old would be deleted at once"),
        ({"reads": Reads(readers={"arn:reader": NOW})}, "by arn:reader (2026-11-29 12:00 UTC)"),
        ({"reads": Reads(readers={}, problem="CloudTrail did not answer (X)")}, "CloudTrail did not answer"),
    ],
)
def test_an_old_name_that_may_be_needed_stays(about: dict[str, Any], words: str) -> None:
    assert words in refused(lambda: check_finish(replace(MADE, **about), readers_have_moved=False))


def test_the_operator_may_know_that_nobody_reads_the_old_name() -> None:
    read = replace(MADE, reads=Reads(readers={"arn:reader": NOW}), desired=desired())
    check_finish(read, readers_have_moved=True)
    check_finish(replace(MADE, sync=Sync.AHEAD, reads=Reads(readers={})), readers_have_moved=False)
    with pytest.raises(Refusal):  # the flag is about readers only
        check_finish(replace(read, sync=Sync.DIVERGED), readers_have_moved=True)


def event(secret: object, reader: str, minutes: int = 0) -> dict[str, Any]:
    record = {"requestParameters": {"secretId": secret}, "userIdentity": {"arn": reader}}
    return {"EventTime": NOW - timedelta(minutes=minutes), "CloudTrailEvent": json.dumps(record)}


@dataclass
class Trail:
    """CloudTrail with pages of events, or an error."""

    pages: list[list[dict[str, Any]]]
    code: str = ""

    def get_paginator(self, _operation: str) -> "Trail":
        return self

    def paginate(self, **request: Any) -> Any:  # noqa: ANN401  pages
        assert request["EndTime"] - request["StartTime"] == timedelta(hours=readers.HOURS)
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "x"}}, "LookupEvents")
        return ({"Events": page} for page in self.pages)


def recorded(trail: Trail) -> Reads:
    return readers.recorded(session(trail), described("old"), "rename-1-function", NOW)


def test_cloudtrail_names_the_readers_of_the_old_name() -> None:
    web = "arn:aws:sts::123456789012:assumed-role/web/1"
    found = recorded(
        Trail(
            [
                [event("old", web, 9), event(ARN.format("old"), web, 3), event("older", "arn:other")],
                [
                    event(ARN.format("old")[:-7], "arn:by-a-part"),
                    event("old", "arn:aws:sts::123456789012:assumed-role/r/rename-1-function"),
                    event(None, "arn:none"),
                    {"EventTime": NOW, "CloudTrailEvent": "not JSON"},
                    {"EventTime": NOW},
                ],
            ]
        )
    )
    assert found == Reads(readers={"arn:by-a-part": NOW, web: NOW - timedelta(minutes=3)})


def test_an_incomplete_answer_of_cloudtrail_is_said() -> None:
    assert "AccessDeniedException" in recorded(Trail([], code="AccessDeniedException")).problem
    assert "more reads than" in recorded(Trail([[]] * 21)).problem
