"""`make rotate`: rotate a secret now, show each step as it ends, and prove the new password by logging in.

All of it happens in AWS, as after `aws secretsmanager rotate-secret`; this only starts and watches it.
The steps are read from the emulator, an error's message from the function's log group.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tools.localcloud import postgres
from tools.localcloud.emulator_control import running_emulator
from tools.localcloud.environment import local_variables
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.new_password import PENDING, authorities, prove
from tools.localcloud.pulumi_commands import exported_texts, local_stack
from tools.localcloud.rotation_progress import (
    SECONDS_VARIABLE,
    Aws,
    Progress,
    Secret,
    events,
    failure,
    follow,
    holder,
)
from tools.localcloud.servers import redis, sql
from tools.localcloud.wanted import Server, wanted

_SECONDS = 60.0
_LOG_SECONDS = 900  # how old the message of a rotation in progress may be
_ATTEMPTS = 3


# ruff: noqa: ANN401 -- boto3 makes its clients' types at run time
def rotate(layout: Layout, secret: str | None = None) -> int:
    """Rotate a secret now, show its steps, and log in with the new password.

    Args:
        layout: the checkout whose local cloud runs.
        secret: name or ARN; without it the only one of the stack that rotates.

    Raises:
        SetupError: No secret rotates, the rotation failed, or the new password does not work.
    """
    limit = _limit()
    aws = _aws(layout)
    with _explained(aws):
        chosen = _chosen(aws, layout, secret)
        began = time.monotonic()
        for _ in range(_ATTEMPTS):
            progress = _begun(aws, chosen)
            follow(aws, progress, limit)
            # One that was in progress may only have been a test: the requested rotation is still to be done.
            if progress.outcome != "tested":
                break
        if progress.outcome != "succeeded":
            raise SetupError(failure(aws, progress))
        print(f"Rotated in {time.monotonic() - began:.1f} s.")
        prove(aws.secrets, chosen.arn, progress.token, authorities(layout))
    return 0


def _limit() -> float:
    text = os.environ.get(SECONDS_VARIABLE, "")
    try:
        seconds = float(text or _SECONDS)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise SetupError(
            f"{SECONDS_VARIABLE} is {text!r}: use the number of seconds that a rotation may take."
        )
    return seconds


def _aws(layout: Layout) -> Aws:
    emulator = running_emulator(layout)
    if emulator is None:
        command = "make start" if layout.env_file.exists() else "make up"
        raise SetupError(f"The local cloud is not running. Run `{command}`, then this again.")
    missing = wanted(layout) - set(_running(layout))
    if missing:
        titles = {"postgres": "PostgreSQL", "mariadb": "MariaDB", "mysql": "MySQL", "cache": "Redis"}
        names = [titles[server] for server in sorted(missing)]
        verb = "is" if len(names) == 1 else "are"
        raise SetupError(f"{' and '.join(names)} {verb} not running. Run `make start`, then this again.")
    variables = local_variables(layout, emulator.port)
    session = boto3.Session(
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )
    endpoint = variables["AWS_ENDPOINT_URL"]
    config = Config(retries={"total_max_attempts": 1}, proxies={})

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=endpoint, config=config)

    return Aws(client("secretsmanager"), client("lambda"), client("logs"), endpoint)


def _running(layout: Layout) -> Iterator[Server]:
    if postgres.running(layout.postgres):
        yield "postgres"
    if sql.running(layout.mariadb):
        yield "mariadb"
    if sql.running(layout.mysql):
        yield "mysql"
    if redis.running(layout.redis):
        yield "cache"


@contextmanager
def _explained(aws: Aws) -> Iterator[None]:
    """Explain AWS's errors and silence in an operator's words."""
    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        raise SetupError(f"{error.operation_name}: {said['Code']}: {said['Message']}") from None
    except (BotoCoreError, OSError):
        raise SetupError(
            f"The emulator at {aws.endpoint} no longer answers. Run `make start`, then this again: "
            "a rotation that was in progress continues by itself."
        ) from None


def _chosen(aws: Aws, layout: Layout, asked: str | None) -> Secret:
    """Return the secret to rotate.

    Raises:
        SetupError: No secret rotates, or more than one does; the message lists them.
    """
    rotating = _rotating(aws, layout)
    if not asked:
        if not rotating:
            raise SetupError(
                "No secret of the stack rotates. Declare a database login in the stack file "
                "(`aws-secrets:databases`) and run `make up`, or name any secret that rotates: "
                "make rotate SECRET=name"
            )
        if len(rotating) > 1:
            raise SetupError(f"More than one secret rotates. Choose one of them:{_choices(rotating)}")
        asked = next(iter(rotating.values()))
    try:
        described = aws.secrets.describe_secret(SecretId=asked)
    except aws.secrets.exceptions.ResourceNotFoundException:
        raise SetupError(
            f"The secret {asked!r} does not exist in the local cloud.{_choices(rotating)}"
        ) from None
    if "DeletedDate" in described:
        raise SetupError(
            f"The secret {asked!r} is scheduled for deletion: restore it first, or run `make up`."
        )
    if not described.get("RotationEnabled"):
        raise SetupError(f"The secret {asked!r} does not rotate.{_choices(rotating)}")
    return Secret(described["ARN"], described["Name"], described.get("RotationLambdaARN", ""))


def _rotating(aws: Aws, layout: Layout) -> dict[str, str]:
    """Return name and ARN of the secrets that rotate and that the stack exports."""
    exported = exported_texts(local_stack(layout, {}))
    return {
        secret["Name"]: secret["ARN"]
        for page in aws.secrets.get_paginator("list_secrets").paginate()
        for secret in page["SecretList"]
        if secret.get("RotationEnabled") and secret["ARN"] in exported
    }


def _choices(rotating: Mapping[str, str]) -> str:
    if not rotating:
        return " None of the stack's secrets rotates."
    return "".join(f"\n    make rotate SECRET={name}" for name in sorted(rotating))


def _begun(aws: Aws, secret: Secret) -> Progress:
    """Start the rotation, or join the one in progress."""
    state = aws.rotations()
    seen = max((event["Number"] for event in events(state, secret) if "Outcome" in event), default=0)
    now = time.time()
    try:
        token = str(aws.secrets.rotate_secret(SecretId=secret.arn)["VersionId"])
        print(f"Rotating {secret.name}:")
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDeniedException":  # AWS names no function
            raise SetupError(
                f"Secrets Manager cannot invoke {secret.function}: the function does not exist, or its "
                "policy does not grant it access. Run `make up`."
            ) from None
        pending = holder(aws, secret, PENDING)
        if pending is None or "previous rotation isn't complete" not in str(error):
            raise
        token = pending
        if any(attempt["SecretId"] == secret.arn for attempt in state["unfinished"]):
            now -= _LOG_SECONDS
            print(f"A rotation of {secret.name} is already in progress; waiting for it:")
        else:
            print(f"The last rotation of {secret.name} was given up; resuming it:")
    return Progress(secret, token, seen, logged_since=now)
