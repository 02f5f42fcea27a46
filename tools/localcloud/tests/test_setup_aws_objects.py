"""An object whose creation was interrupted is found by the resource's inputs, and never another one."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tools.localcloud.aws_objects import existing_id
from tools.localcloud.layout import SetupError

SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(endpoint: str) -> dict[str, str]:
    """An AWS without objects."""
    with urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"", timeout=60):
        return {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "eu-west-1",
        }


def client(environment: Mapping[str, str], service: str) -> Any:  # noqa: ANN401 -- boto3 has no types
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def find(environment: Mapping[str, str], kind: str, inputs: Mapping[str, Any], *known: str) -> str | None:
    return existing_id(kind, inputs, frozenset(known), environment)


def test_a_secret_is_found_by_its_name_and_only_that(environment: dict[str, str]) -> None:
    secrets = client(environment, "secretsmanager")
    arn = secrets.create_secret(Name="team/app")["ARN"]
    assert find(environment, SECRET, {"name": "team/app"}) == arn
    assert find(environment, SECRET, {"name": "team/ap"}) is None
    assert find(environment, SECRET, {"name": "team/app"}, arn) is None
    secrets.delete_secret(SecretId=arn)
    assert find(environment, SECRET, {"name": "team/app"}) is None


def test_a_version_is_found_by_its_own_label(
    environment: dict[str, str],
) -> None:
    secrets = client(environment, "secretsmanager")
    arn = secrets.create_secret(Name="app")["ARN"]
    inputs = {"secretId": arn, "versionStages": ["AWSCURRENT", "own-label"]}
    assert find(environment, VERSION, inputs) is None
    first = secrets.put_secret_value(SecretId=arn, SecretString="1")["VersionId"]
    assert find(environment, VERSION, inputs) is None
    secrets.put_secret_value(SecretId=arn, SecretString="2")
    secrets.update_secret_version_stage(SecretId=arn, VersionStage="own-label", MoveToVersionId=first)
    assert find(environment, VERSION, inputs) == f"{arn}|{first}"
    assert find(environment, VERSION, {**inputs, "secretId": f"{arn}-other"}) is None


def test_a_version_without_a_label_of_its_own_is_the_current_one(environment: dict[str, str]) -> None:
    secrets = client(environment, "secretsmanager")
    arn = secrets.create_secret(Name="app")["ARN"]
    version = secrets.put_secret_value(SecretId=arn, SecretString="1")["VersionId"]
    assert find(environment, VERSION, {"secretId": arn}) == f"{arn}|{version}"


def test_a_policy_is_found_where_one_is_attached(environment: dict[str, str]) -> None:
    secrets = client(environment, "secretsmanager")
    arn = secrets.create_secret(Name="app")["ARN"]
    assert find(environment, POLICY, {"secretArn": arn}) is None
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=DOCUMENT)
    assert find(environment, POLICY, {"secretArn": arn}) == arn
    assert find(environment, POLICY, {"secretArn": f"{arn}-other"}) is None


def test_a_key_is_told_apart_by_description_and_tags(environment: dict[str, str]) -> None:
    kms = client(environment, "kms")
    kms.create_key(Description="secrets")
    tags = [{"TagKey": "stack", "TagValue": "local"}]
    key = kms.create_key(Description="secrets", Tags=tags)["KeyMetadata"]["KeyId"]
    inputs = {"description": "secrets", "tags": {"stack": "local"}}
    assert find(environment, KEY, inputs) == key
    assert find(environment, KEY, {**inputs, "tags": {"stack": "other"}}) is None
    assert find(environment, KEY, {**inputs, "description": "other"}) is None
    assert find(environment, KEY, inputs, key) is None
    kms.schedule_key_deletion(KeyId=key)
    assert find(environment, KEY, inputs) is None


def test_an_alias_is_found_by_its_name(environment: dict[str, str]) -> None:
    kms = client(environment, "kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert find(environment, ALIAS, {"name": "alias/app"}) is None
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    assert find(environment, ALIAS, {"name": "alias/app"}) == "alias/app"


@pytest.mark.parametrize("kind", ["random:index/randomPassword:RandomPassword", "small:index:Parent"])
def test_what_is_not_in_aws_is_not_looked_for(kind: str) -> None:
    assert existing_id(kind, {}, frozenset(), {}) is None


def test_an_unreachable_aws_is_an_error_not_an_absent_object(
    environment: dict[str, str],
) -> None:
    unreachable = {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with pytest.raises(SetupError, match="cannot say whether"):
        find(unreachable, SECRET, {"name": "app"})
