"""Permissions to list a bucket, and to read, write and copy its objects, on the local cloud."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.emulator_process import running_emulator

ROLE = "arn:aws:iam::123456789012:role/reader"
TRUST = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


@pytest.fixture(scope="module")
def clients() -> Iterator[tuple[Any, Any]]:
    """The owner's client, and one that may list below `mine/`, read there and write one object."""
    with running_emulator(None) as emulator:

        def client(service: str, **credentials: str) -> Any:  # noqa: ANN401  boto3 is untyped
            given = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            return boto3.client(service, region_name="us-east-1", endpoint_url=emulator.endpoint, **given)

        owner, iam = client("s3"), client("iam")
        owner.create_bucket(Bucket="bucket")
        for key in ("mine/a b", "theirs/a"):
            owner.put_object(Bucket="bucket", Key=key, Body=b"x")
        statements = [
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::bucket",
                "Condition": {"StringLike": {"s3:prefix": "mine/*"}},
            },
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/mine/*"},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/mine/new"},
        ]
        iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps({"Statement": [TRUST]}))
        iam.put_role_policy(
            RoleName="reader",
            PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        session = client("sts").assume_role(RoleArn=ROLE, RoleSessionName="reader")["Credentials"]
        reader = client(
            "s3",
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )
        yield owner, reader


def test_what_is_allowed_by_bucket_prefix_and_key_is_served(clients: tuple[Any, Any]) -> None:
    _, reader = clients
    listed = reader.list_objects_v2(Bucket="bucket", Prefix="mine/")["Contents"]
    assert "mine/a b" in [found["Key"] for found in listed]
    assert reader.get_object(Bucket="bucket", Key="mine/a b")["Body"].read() == b"x"
    assert reader.head_object(Bucket="bucket", Key="mine/a b")["ContentLength"] == 1
    reader.put_object(Bucket="bucket", Key="mine/new", Body=b"y")
    reader.copy_object(Bucket="bucket", Key="mine/new", CopySource={"Bucket": "bucket", "Key": "mine/a b"})


def test_everything_else_is_refused(clients: tuple[Any, Any]) -> None:
    owner, reader = clients
    for call in (
        lambda: reader.list_objects_v2(Bucket="bucket"),
        lambda: reader.list_objects_v2(Bucket="bucket", Prefix="theirs/"),
        lambda: reader.get_object(Bucket="bucket", Key="theirs/a"),
        lambda: reader.put_object(Bucket="bucket", Key="mine/a b", Body=b"y"),
        lambda: reader.delete_object(Bucket="bucket", Key="mine/a b"),
        lambda: reader.copy_object(
            Bucket="bucket", Key="mine/new", CopySource={"Bucket": "bucket", "Key": "theirs/a"}
        ),
        lambda: reader.copy_object(
            Bucket="bucket", Key="theirs/a", CopySource={"Bucket": "bucket", "Key": "mine/a b"}
        ),
        lambda: reader.delete_bucket(Bucket="bucket"),
        reader.list_buckets,
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    with pytest.raises(ClientError, match="403"):
        reader.head_object(Bucket="bucket", Key="theirs/a")
    assert owner.get_object(Bucket="bucket", Key="theirs/a")["Body"].read() == b"x"
