"""CloudTrail's history has who called Secrets Manager, in AWS's form and without a value."""

# ruff: noqa: ANN401  boto3 makes its clients' types at run time

import json
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.emulator_process import Emulator, running_emulator

ACCOUNT, OTHER = "123456789012", "210987654321"
READ = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
LOOKUP = {"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


def client(emulator: Emulator, service: str, credentials: Any = None, account: str = "") -> Any:
    known = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
    made = boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        aws_access_key_id=known["AccessKeyId"],
        aws_secret_access_key=known["SecretAccessKey"],
        aws_session_token=known.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}),
    )
    if account:
        made.meta.events.register(
            "before-sign.*.*", lambda request, **_: request.headers.add_header("x-moto-account-id", account)
        )
    return made


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def session(emulator: Emulator, *allowed: dict[str, Any], account: str = ACCOUNT) -> tuple[str, Any]:
    """Return the ARN of a new role of an account, and credentials of a session of it."""
    iam, name = client(emulator, "iam", account=account), f"role-{uuid.uuid4().hex[:8]}"
    by = {"AWS": f"arn:aws:iam::{account}:root"}
    trust = document({"Effect": "Allow", "Principal": by, "Action": "sts:AssumeRole"})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if allowed:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*allowed))
    sts = client(emulator, "sts", account=account)
    return arn, sts.assume_role(RoleArn=arn, RoleSessionName="pod")["Credentials"]


def secret(emulator: Emulator, **more: Any) -> tuple[str, str]:
    """Return the ARN and the value of a new secret."""
    value = f"value-{uuid.uuid4().hex}"
    made = client(emulator, "secretsmanager").create_secret(
        Name=f"app/{uuid.uuid4().hex[:8]}", SecretString=value, Description=value, **more
    )
    return str(made["ARN"]), value


def history(emulator: Emulator, name: str, about: str, account: str = "") -> list[dict[str, Any]]:
    """Return the records of a secret's events with this name, newest first."""
    trail = client(emulator, "cloudtrail", account=account)
    pages = trail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
        PaginationConfig={"PageSize": 2},
    )
    records = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    return [record for record in records if about in json.dumps(record["requestParameters"])]


def test_a_role_that_reads_is_recorded_as_by_aws(emulator: Emulator) -> None:
    arn, value = secret(emulator)
    role, credentials = session(emulator, READ)
    reader = client(emulator, "secretsmanager", credentials)
    for _ in range(3):
        reader.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    [newest, *others] = history(emulator, "GetSecretValue", arn)
    assert len(others) == 2
    identity, name = newest["userIdentity"], role.rpartition("/")[2]
    assert newest["requestParameters"] == {"secretId": arn, "versionStage": "AWSCURRENT"}
    assert newest["responseElements"] is None
    assert (newest["readOnly"], newest["managementEvent"]) == (True, True)
    assert newest["recipientAccountId"] == identity["accountId"] == ACCOUNT
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/pod"
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == role
    assert value not in json.dumps(history(emulator, "CreateSecret", ""))


def test_denied_requests_are_events_too(emulator: Emulator) -> None:
    arn, _ = secret(emulator)
    reader = client(emulator, "secretsmanager", session(emulator)[1])
    with pytest.raises(ClientError):
        reader.get_secret_value(SecretId=arn)
    [record] = history(emulator, "GetSecretValue", arn)
    assert record["errorCode"] == "AccessDenied"


def test_a_batch_is_an_event_for_each_secret(emulator: Emulator) -> None:
    (arn, value), (other, _) = secret(emulator), secret(emulator)
    denied = {**READ, "Effect": "Deny", "Resource": other}
    reader = client(emulator, "secretsmanager", session(emulator, READ, denied)[1])
    reader.batch_get_secret_value(SecretIdList=[arn, other])
    assert len(history(emulator, "BatchGetSecretValue", arn)) == 1
    [record] = history(emulator, "GetSecretValue", arn)
    assert "errorCode" not in record
    assert value not in json.dumps(record)
    [refused] = history(emulator, "GetSecretValue", other)
    assert refused["errorCode"] == "AccessDenied"


def test_a_reader_of_another_account_is_recorded_in_both(emulator: Emulator) -> None:
    role, credentials = session(emulator, READ, {**READ, "Action": "kms:*"}, account=OTHER)
    key = client(emulator, "kms").create_key(
        Policy=document(
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"},
        )
    )["KeyMetadata"]["Arn"]
    arn, _ = secret(emulator, KmsKeyId=key)
    client(emulator, "secretsmanager").put_resource_policy(
        SecretId=arn, ResourcePolicy=document({**READ, "Principal": {"AWS": role}})
    )
    client(emulator, "secretsmanager", credentials).get_secret_value(SecretId=arn)
    [ours] = history(emulator, "GetSecretValue", arn)
    [theirs] = history(emulator, "GetSecretValue", arn, account=OTHER)
    assert ours["userIdentity"]["type"] == "AWSAccount"
    assert ours["userIdentity"]["accountId"] == OTHER
    assert "arn" not in ours["userIdentity"]
    assert theirs["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role
    assert ours["sharedEventID"] == theirs["sharedEventID"]


def test_looking_up_events_needs_its_permission_and_valid_arguments(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="cloudtrail:LookupEvents"):
        client(emulator, "cloudtrail", session(emulator, READ)[1]).lookup_events()
    allowed = client(emulator, "cloudtrail", session(emulator, LOOKUP)[1])
    assert allowed.lookup_events(MaxResults=1)["Events"]
    with pytest.raises(ClientError, match="InvalidTimeRange"):
        allowed.lookup_events(StartTime=20, EndTime=10)
    with pytest.raises(ClientError, match="InvalidNextToken"):
        allowed.lookup_events(NextToken="no")
    assert allowed.lookup_events(StartTime=10, EndTime=20)["Events"] == []
