"""Events in the forms that CloudTrail documents, damaged ones, and a history of many pages."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.status.event_history import History, load, read_history, save
from operations.status.principals import DamagedEventError
from operations.status.read_events import Key, Read, Secrets, Tally, read_of, secrets_to_count
from operations.status.read_search import Budget, Search
from operations.status.trail_files import Trail
from program.arns import Account
from stack_file.documents import FileError

ACCOUNT, OTHER = "123456789012", "210987654321"
ARN = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:shop/app-AbCdEf"
SECRETS = secrets_to_count(
    {"shop/app": ARN}, Account(ACCOUNT, "aws", "us-east-1"), {"shop/app": ("eu-west-1",)}
)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/apps/web"
SSO_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_A"
MOMENT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def session(role: str = ROLE, name: str = "pod", **attributes: str) -> dict[str, Any]:
    """A session of a role, as by AssumeRole, AssumeRoleWithWebIdentity or a service."""
    account = role.split(":")[4]
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{name}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role.rpartition('/')[2]}/{name}",
        "accountId": account,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLE",
                "arn": role,
                "accountId": account,
            },
            "webIdFederationData": {"federatedProvider": "arn:aws:iam::...", "attributes": {}},
            "attributes": {"creationDate": "2026-11-20T11:00:00Z", "mfaAuthenticated": "false", **attributes},
        },
    }


def event(identity: object = None, secret: object = ARN, **more: object) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "userIdentity": session() if identity is None else identity,
        "eventTime": "2026-11-20T12:00:00Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "GetSecretValue",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-sdk",
        "requestParameters": {"secretId": secret},
        "responseElements": None,
        "recipientAccountId": ACCOUNT,
        **more,
    }


def read(record: object) -> Read:
    found = read_of(record, SECRETS)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "secret", [ARN, ARN[:-7], "shop/app", ARN.replace("us-east-1", "eu-west-1")], ids=str
)
def test_a_secret_counts_by_name_arn_and_replica(secret: str) -> None:
    assert read(event(secret=secret)).secret == "shop/app"


@pytest.mark.parametrize(
    "record",
    [
        event(errorCode="AccessDenied"),
        event(eventName="DescribeSecret"),
        event(eventSource="ssm.amazonaws.com"),
        event(secret="shop/app-AbCdEf"),
        event(secret=ARN.replace(ACCOUNT, OTHER)),
        event(session(ROLE.replace(ACCOUNT, OTHER)), "shop/app"),
    ],
)
def test_other_events_and_other_accounts_secrets_do_not_count(record: dict[str, Any]) -> None:
    assert read_of(record, SECRETS) is None


def test_a_role_counts_by_its_arn_and_not_by_its_session() -> None:
    found = {read(event(session(name=name))).principal for name in ("pod", "rotation-function", "root")}
    assert {(one.arn, one.role, one.is_person) for one in found} == {(ROLE, ROLE, False)}
    assert len(found) == 1


@pytest.mark.parametrize(
    "record",
    [
        event(
            session(f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_A", "maya")
        ),
        event(session(name="maya", mfaAuthenticated="true")),
        event(session(name="maya"), sessionCredentialFromConsole="true"),
    ],
)
def test_a_person_counts_with_the_name_of_the_session(record: dict[str, Any]) -> None:
    principal = read(record).principal
    assert principal.is_person
    assert principal.arn.endswith("/maya")


def test_services_users_and_strangers_are_told_apart() -> None:
    service = read(event({"type": "AWSService", "invokedBy": "rds.amazonaws.com"})).principal
    assert (service.service, service.shown, service.is_person) == ("rds.amazonaws.com",) * 2 + (False,)
    user_arn = f"arn:aws:iam::{ACCOUNT}:user/ci"
    user = read(event({"type": "IAMUser", "arn": user_arn, "accountId": ACCOUNT, "userName": "ci"})).principal
    assert (user.arn, user.role, user.is_person) == (user_arn, "", False)
    stranger = {"type": "AWSAccount", "principalId": "AROAOTHER:pod", "accountId": OTHER}
    assert read(event(stranger)).principal.shown == f"AROAOTHER of account {OTHER}"


def test_the_source_is_the_vpc_endpoint_where_there_is_one() -> None:
    assert read(event()).source == "203.0.113.7"
    assert read(event(vpcEndpointId="vpce-0a1b")).source == "vpce-0a1b"


# --- Damaged events

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    (),
    ("userIdentity",),
    ("userIdentity", "arn"),
    ("userIdentity", "accountId"),
    ("userIdentity", "sessionContext"),
    ("userIdentity", "sessionContext", "sessionIssuer"),
    ("userIdentity", "sessionContext", "sessionIssuer", "arn"),
    ("userIdentity", "sessionContext", "attributes", "mfaAuthenticated"),
    ("eventTime",),
    ("requestParameters",),
    ("requestParameters", "secretId"),
    ("sourceIPAddress",),
    ("errorCode",),
]


def damaged(record: Any, path: tuple[str, ...], value: object) -> object:  # noqa: ANN401  JSON
    if not path:
        return value
    return {**record, path[0]: damaged(record.get(path[0], {}), path[1:], value)}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS), ANYTHING)
def test_a_damaged_event_is_counted_as_one_and_never_raises(path: tuple[str, ...], value: object) -> None:
    tally = Tally()
    tally.look_at(damaged(event(), path, value), SECRETS)
    tally.look_at(event(), SECRETS)
    assert tally.events == 2
    assert 1 <= sum(count.reads for count in tally.counts.values()) + tally.damaged <= 2
    for key in tally.counts:
        assert all(isinstance(text, str) for text in (key.secret, key.principal.shown))


def test_events_without_a_form_are_damaged() -> None:
    forms: list[object] = [None, [], "", {}, event([]), event({}), event(eventTime="yesterday")]
    for record in [*forms, event(secret="x" * 9_999)]:
        with pytest.raises(DamagedEventError):
            read_of(record, SECRETS)


# --- A history of many pages


class FakeCloudTrail:
    """LookupEvents over given events, in AWS's order and with its limits."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records = sorted(records, key=lambda one: str(one["eventTime"]), reverse=True)
        self.requests = 0
        self.fails_at = 0

    def lookup_events(self, **asked: Any) -> Mapping[str, Any]:  # noqa: ANN401  a boto3 client's
        self.requests += 1
        if self.requests == self.fails_at:
            raise KeyboardInterrupt
        assert asked["MaxResults"] == 50
        moments = [(datetime.fromisoformat(str(one["eventTime"])), one) for one in self.records]
        found = [(when, one) for when, one in moments if asked["StartTime"] <= when <= asked["EndTime"]]
        start = int(asked.get("NextToken", 0))
        page = [
            {"EventTime": when.astimezone(), "CloudTrailEvent": json.dumps(one)}
            for when, one in found[start : start + 50]
        ]
        more = {"NextToken": str(start + 50)} if len(found) > start + 50 else {}
        return MappingProxyType({"Events": page, **more})


def records() -> Iterator[dict[str, Any]]:
    """Yield 1,000 events of ten days: three a second, in pairs of seconds, some of other secrets."""
    for number in range(1_000):
        moment = MOMENT - timedelta(seconds=number // 6 * 5_000 + number // 3 % 2)
        role = f"arn:aws:iam::{ACCOUNT}:role/role-{number % 4}"
        secret = ARN if number % 7 else "another"
        yield event(session(role), secret, eventTime=moment.isoformat())


def search(requests: int, days: int = 30) -> Search:
    until = MOMENT + timedelta(minutes=1)
    return Search(
        secrets=SECRETS,
        regions=("us-east-1",),
        since=until - timedelta(days=days),
        until=until,
        budget=Budget(requests=requests, pause=0),
    )


def counted(tally: Tally) -> dict[Key, tuple[int, datetime]]:
    return {key: (count.reads, count.last) for key, count in tally.counts.items()}


def expected() -> dict[Key, tuple[int, datetime]]:
    whole = Tally()
    for record in records():
        whole.look_at(record, SECRETS)
    return counted(whole)


def test_every_page_is_read_and_each_event_counted_once() -> None:
    tally, is_complete = read_history(FakeCloudTrail(list(records())), History(), search(100))
    assert is_complete
    assert tally.events == 1_000
    assert counted(tally) == expected()


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_interrupted_search_goes_on_and_counts_nothing_twice(tmp_path: Path, *, interrupted: bool) -> None:
    file, client, total = tmp_path / "state.json", FakeCloudTrail(list(records())), 0
    for _ in range(30):
        histories = load(file, search(4))
        history = histories.setdefault("us-east-1", History())
        client.requests, client.fails_at = 0, 4 if interrupted else 0
        is_complete = False
        try:
            tally, is_complete = read_history(client, history, search(4))
        except KeyboardInterrupt:
            pass
        finally:
            save(file, histories, SECRETS)
        total += client.requests
        if is_complete:
            break
    assert is_complete
    assert counted(tally) == expected()
    assert total < 60
    # what was read is not asked for again: one request for the last hour
    again = FakeCloudTrail([])
    known, is_complete = read_history(again, load(file, search(1))["us-east-1"], search(1))
    assert (again.requests, is_complete) == (1, True)
    assert sum(reads for reads, _ in counted(known).values()) > 700


def test_a_state_file_of_other_secrets_or_another_program_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    save(file, {"us-east-1": History(spans=[(MOMENT - timedelta(days=2), MOMENT)])}, SECRETS)
    assert load(file, search(1))["us-east-1"].spans
    others = Search(**{**vars(search(1)), "secrets": Secrets(names={"x": "x"}, account=ACCOUNT)})
    assert load(file, others) == {}
    file.write_text('{"version": 2}')
    with pytest.raises(FileError, match="Delete it"):
        load(file, search(1))


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("s3://logs", "AWSLogs"),
        ("s3://logs/", "AWSLogs"),
        ("s3://logs/all/of/it/", "all/of/it/AWSLogs"),
        ("s3://logs/AWSLogs/o-1a2b", "AWSLogs/o-1a2b"),
    ],
)
def test_the_prefix_of_a_trail_is_completed(url: str, prefix: str) -> None:
    assert Trail.of(url) == Trail(bucket="logs", prefix=prefix)


def test_what_is_not_a_bucket_is_rejected() -> None:
    for url in ("logs", "https://logs", "s3://", "s3://a", "s3://UPPER/x"):
        with pytest.raises(ValueError, match=url):
            Trail.of(url)
