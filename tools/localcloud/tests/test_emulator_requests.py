"""Requests that cannot be answered: an error like AWS's, nothing half done, no content in the log."""

import http.client
import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.emulator_process import Emulator

WORD = "sentinel-of-a-test"


def client_of(emulator: Emulator, region: str = "us-east-1") -> Any:  # noqa: ANN401  boto3 has no types
    return boto3.client(
        "secretsmanager",
        endpoint_url=emulator.endpoint,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def post(emulator: Emulator, path: str, body: bytes, operation: str = "GetSecretValue") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=20)
    scope = "Credential=test/20260101/us-east-1/secretsmanager/aws4_request"
    headers = {
        "X-Amz-Target": f"secretsmanager.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
    }
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    read = json.loads(answer.read())
    connection.close()
    return answer.status, read


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetSecretValue", "{}"),
        ("GetSecretValue", WORD),
        ("GetSecretValue", f'["{WORD}"]'),
        ("CreateSecret", f'{{"Name": "odd", "SecretString": {{"{WORD}": 1}}}}'),
        ("CreateSecret", f'{{"Name": "odd", "SecretBinary": "{WORD}!"}}'),
        ("CreateSecret", f'{{"Name": "odd", "Tags": "{WORD}"}}'),
        ("PutSecretValue", f'{{"SecretString": "{WORD}"}}'),
        ("PutSecretValue", f'{{"SecretId": 7, "SecretString": "{WORD}"}}'),
    ],
)
def test_a_malformed_request_is_rejected_without_showing_its_content(
    emulator: Emulator, operation: str, body: str
) -> None:
    status, answer = post(emulator, "/", body.encode(), operation)
    assert status == 400
    assert answer["__type"]
    assert WORD not in json.dumps(answer)
    log = emulator.log.read_text()
    assert "Traceback" not in log
    assert WORD not in log
    with pytest.raises(ClientError, match="can't find"):
        client_of(emulator).describe_secret(SecretId="odd")


def test_an_operation_that_is_not_modelled_is_named(emulator: Emulator) -> None:
    status, answer = post(emulator, "/", b"{}", "InventSecret")
    assert status == 501
    assert "secretsmanager InventSecret" in answer["Message"]


@pytest.mark.parametrize("body", [b"[]", b"no json"])
def test_a_collection_asked_for_in_no_json_object_is_refused(emulator: Emulator, body: bytes) -> None:
    status, answer = post(emulator, "/_localcloud/collect-versions", body)
    assert status == 400
    assert "SecretId" in answer["error"]


def test_a_collection_of_one_secret_leaves_the_versions_of_others(emulator: Emulator) -> None:
    client = client_of(emulator)
    names = [f"collected/{uuid.uuid4()}" for _ in range(2)]
    for name in names:
        client.create_secret(Name=name, SecretString="first")
        for text in ("second", "third"):
            client.put_secret_value(SecretId=name, SecretString=text)
    status, answer = post(
        emulator, "/_localcloud/collect-versions", json.dumps({"SecretId": names[0]}).encode()
    )
    assert (status, answer) == (200, {"collected": 1})
    kept = [
        len(client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"])
        for name in names
    ]
    assert kept == [2, 3]


@pytest.mark.parametrize("region", ["us-east-1", "xx-nowhere-1"], ids=["its own region", "no region"])
def test_a_creation_refused_for_its_replica_makes_no_secret(emulator: Emulator, region: str) -> None:
    name = f"replicated/{uuid.uuid4()}"
    with pytest.raises(ClientError, match="Invalid replica region"):
        client_of(emulator).create_secret(
            Name=name, SecretString="ours", AddReplicaRegions=[{"Region": region}]
        )
    with pytest.raises(ClientError, match="can't find"):
        client_of(emulator).describe_secret(SecretId=name)


def test_a_staging_label_has_256_characters_at_most(emulator: Emulator) -> None:
    client, name = client_of(emulator), f"labelled/{uuid.uuid4()}"
    first = client.create_secret(Name=name, SecretString="first")["VersionId"]
    client.put_secret_value(SecretId=name, SecretString="second", VersionStages=["x" * 256])
    with pytest.raises(ClientError, match="256"):
        client.put_secret_value(SecretId=name, SecretString="third", VersionStages=["x" * 257])
    with pytest.raises(ClientError, match="256"):
        client.update_secret_version_stage(SecretId=name, VersionStage="x" * 257, MoveToVersionId=first)
    labels = client.describe_secret(SecretId=name)["VersionIdsToStages"]
    assert sorted(map(tuple, labels.values())) == [("AWSCURRENT",), ("x" * 256,)]


def test_every_request_is_logged_by_service_operation_and_status_alone(emulator: Emulator) -> None:
    def client(service: str) -> Any:  # noqa: ANN401  boto3 has no types
        return boto3.client(
            service,
            endpoint_url=emulator.endpoint,
            region_name="us-east-1",
            aws_access_key_id="AKIAOFATEST",
            aws_secret_access_key=WORD,
        )

    before = len(emulator.log.read_text())
    client("sts").get_caller_identity()
    client("secretsmanager").create_secret(Name=f"logged/{uuid.uuid4()}", SecretString=WORD)
    client("iam").create_user(UserName=WORD)
    with pytest.raises(ClientError):
        client("lambda").list_tags(Resource=f"arn:aws:lambda:us-east-1:123456789012:function:{WORD}")
    lines = [line.rsplit(" ", 2)[0] for line in emulator.log.read_text()[before:].splitlines()]
    assert lines == [
        "sts GetCallerIdentity 200",
        "secretsmanager CreateSecret 200",
        "iam CreateUser 200",
        "lambda ListTags 404",
    ]
    assert WORD not in emulator.log.read_text()
    assert "AKIAOFATEST" not in emulator.log.read_text()


@pytest.mark.parametrize("service", ["secretsmanager", "sts", "lambda"])
def test_an_unknown_region_is_rejected_in_each_protocol(emulator: Emulator, service: str) -> None:
    client = boto3.client(
        service,
        endpoint_url=emulator.endpoint,
        region_name="xx-nowhere-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    call = {
        "secretsmanager": "list_secrets",
        "sts": "get_caller_identity",
        "lambda": "list_functions",
    }[service]
    with pytest.raises(ClientError, match=r"UnrecognizedClientException.*region does not exist"):
        getattr(client, call)()
