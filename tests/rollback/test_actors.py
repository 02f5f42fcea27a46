"""The history says who changed a secret, if CloudTrail says; its responses are in the documented form."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber

from operations.rollback.actors import Actors, actors
from operations.rollback.history import Secret, Version

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/app-AbCdEf"
MOMENT = datetime(2026, 11, 1, tzinfo=UTC)
MAYA, FUNCTION, SAM = (
    f"arn:aws:sts::123456789012:assumed-role/{role}" for role in ("admin/maya", "rotation/run", "ops/sam")
)
SECRET = Secret(
    arn=ARN,
    name="shop/app",
    versions=tuple(Version(version_id=one, created=MOMENT, labels=()) for one in ("v3", "v2", "v1")),
)
NAMES = ("PutSecretValue", "RotateSecret", "UpdateSecretVersionStage")


def event(name: str, who: str, secret: str = ARN, **parameters: str) -> dict[str, Any]:
    """An event in the form of LookupEvents, with the record as text."""
    record = {
        "eventVersion": "1.09",
        "userIdentity": {"type": "AssumedRole", "arn": who, "accountId": "123456789012"},
        "eventTime": "2026-11-29T12:00:00Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "requestParameters": {"secretId": secret, **parameters},
        "responseElements": None,
        "readOnly": False,
        "eventType": "AwsApiCall",
    }
    return {"EventName": name, "Resources": [], "CloudTrailEvent": json.dumps(record)}


@pytest.fixture
def trail() -> Iterator[Stubber]:
    client = boto3.client(
        "cloudtrail", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        yield stub


def answer(trail: Stubber, name: str, *events: dict[str, Any], token: str = "", following: str = "") -> None:
    trail.add_response(
        "lookup_events",
        {"Events": list(events), **({"NextToken": token} if token else {})},
        {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
            "MaxResults": ANY,
            "StartTime": MOMENT,
            **({"NextToken": following} if following else {}),
        },
    )


def test_each_version_has_who_put_it_and_made_it_current(trail: Stubber) -> None:
    answer(
        trail,
        NAMES[0],
        event(NAMES[0], FUNCTION, clientRequestToken="v3"),
        event(NAMES[0], SAM, "shop/other", clientRequestToken="v2"),
        token="more",
    )
    answer(trail, NAMES[0], event(NAMES[0], MAYA, "shop/app", clientRequestToken="v1"), following="more")
    answer(trail, NAMES[1], event(NAMES[1], SAM, ARN[:-7], clientRequestToken="v2"))
    move = {"versionStage": "AWSCURRENT", "moveToVersionId": "v1"}
    answer(
        trail,
        NAMES[2],
        event(NAMES[2], SAM, **{**move, "versionStage": "mine"}),
        event(NAMES[2], MAYA, **move),
        event(NAMES[2], FUNCTION, **move),
    )
    assert actors(trail.client, SECRET) == Actors(
        put={"v3": FUNCTION, "v1": MAYA, "v2": SAM}, made_current={"v1": MAYA}
    )
    trail.assert_no_pending_responses()


def test_damaged_foreign_and_failed_events_say_nothing(trail: Stubber) -> None:
    good = event(NAMES[0], MAYA, clientRequestToken="v1")
    record = json.loads(good["CloudTrailEvent"])
    wrong = [
        {**record, "errorCode": "AccessDenied"},
        {**record, "eventSource": "example.amazonaws.com"},
        {**record, "requestParameters": None},
        [],
    ]
    damaged = [{"CloudTrailEvent": "{"}, {}, *({"CloudTrailEvent": json.dumps(one)} for one in wrong)]
    for name in NAMES:
        answer(trail, name, *damaged)
    assert actors(trail.client, SECRET) == Actors()


def test_a_denial_or_silence_is_one_line(trail: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    trail.add_client_error("lookup_events", "AccessDeniedException")
    denied = actors(trail.client, SECRET)
    assert denied == Actors(
        gap="These credentials are not allowed to call cloudtrail:LookupEvents, so who put them is not shown."
    )

    def silent(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://x")

    monkeypatch.setattr(trail.client, "lookup_events", silent)
    assert "CloudTrail did not answer" in actors(trail.client, SECRET).gap


def test_events_beyond_the_limit_are_said_to_be_left_out(trail: Stubber) -> None:
    answer(trail, NAMES[0], token="1")
    for number in range(1, 4):
        answer(trail, NAMES[0], token=str(number + 1), following=str(number))
    answer(trail, NAMES[1])
    answer(trail, NAMES[2])
    assert "more events than the newest 200" in actors(trail.client, SECRET).gap
