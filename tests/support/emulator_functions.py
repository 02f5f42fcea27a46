"""Small functions for an emulator to run, and clients that find it."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config

from tests.support.emulator_process import Emulator

ACCOUNT = "123456789012"
REGION = "us-east-1"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def client(emulator: Emulator, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=emulator.endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def zipped(source: str, name: str = "app.py") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source)
    return buffer.getvalue()


def role(emulator: Emulator) -> str:
    iam = client(emulator, "iam")
    try:
        arn = iam.create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        everything = {"Effect": "Allow", "Action": ["secretsmanager:*", "logs:*"], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        iam.put_role_policy(RoleName="function", PolicyName="all", PolicyDocument=document)
    except iam.exceptions.EntityAlreadyExistsException:
        arn = iam.get_role(RoleName="function")["Role"]["Arn"]
    return str(arn)


def deploy(emulator: Emulator, name: str, archive: bytes, **configuration: Any) -> str:
    usual = {"Runtime": "python3.13", "Handler": "app.handle", "Timeout": 10}
    chosen = {**usual, **({} if "Role" in configuration else {"Role": role(emulator)}), **configuration}
    functions = client(emulator, "lambda")
    answer = functions.create_function(FunctionName=name, Code={"ZipFile": archive}, **chosen)
    ready(functions, name)
    return str(answer["FunctionArn"])


def ready(functions: Any, name: str) -> None:
    """Wait until a function is no longer being created or updated."""

    def is_idle() -> bool:
        found = functions.get_function_configuration(FunctionName=name)
        return bool(found["State"] == "Active" and found["LastUpdateStatus"] == "Successful")

    until(is_idle)


def call(emulator: Emulator, name: str, event: Mapping[str, object] | None = None, **more: Any) -> Any:
    """Return the payload and the rest of the response."""
    answer = client(emulator, "lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    return json.loads(answer["Payload"].read() or b"null"), answer


def logged(emulator: Emulator, group: str) -> list[str]:
    logs = client(emulator, "logs")
    try:
        events = logs.filter_log_events(logGroupName=group)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in events]


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
