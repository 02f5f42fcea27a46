"""Entry point of the Lambda function: `rehearsal.handler.handle`, which EventBridge invokes on a schedule.

It has the rotation functions rehearse the declared secrets, writes each outcome to its log, and fails if a
rotation would fail: so the alarm on its errors is that of failed rehearsals. Lambda retries it twice, after
one and two minutes, which the alarm sees as well. The event is ignored.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from . import declared, outcomes
from .aws_errors import error_code
from .declared import Rehearsed
from .errors import RehearsalError
from .outcomes import Finding
from .rotation_protocol import (
    ACTION,
    FINDING_CONSEQUENCE,
    FINDING_PROBLEM,
    FINDING_STEP,
    FINDINGS,
    REHEARSE,
    SCHEMAS,
    SECRET_ID,
)

_AT_ONCE = 4  # each rehearsal logs in to a server twice
_LEFT_SECONDS = 20.0  # of the function's time, for the outcomes of what did not finish
_MOST_NAMED = 10
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=850,
    max_pool_connections=_AT_ONCE,
    # one attempt: a second invocation would not tell more than the first
    retries={"mode": "standard", "total_max_attempts": 1},
)
_UNCLEAR = "Whether the next rotation works is unknown. AWSCURRENT stays as it is."


def handle(event: object = None, context: Any = None) -> Mapping[str, object]:  # noqa: ANN401  Lambda's
    """Rehearse every declared secret; return how many.

    Raises:
        RehearsalError: a rotation would fail, or could not be rehearsed.
    """
    del event  # whoever sends it decides nothing
    secrets, names = declared.read(), os.environ.get(declared.FUNCTIONS_VARIABLE, "").split()
    failing = []
    for secret, findings in _rehearsed(secrets, names, _seconds(context)):
        print(outcomes.line(secret, findings), flush=True)  # noqa: T201  the function's log
        if findings:
            failing.append(f"{secret} ({', '.join(dict.fromkeys(one.step for one in findings))})")
    if failing:
        more = f" and {len(failing) - _MOST_NAMED} more" if len(failing) > _MOST_NAMED else ""
        raise RehearsalError(
            f"{len(failing)} of {len(secrets)} secrets would fail to rotate, or could not be rehearsed: "
            f"{', '.join(failing[:_MOST_NAMED])}{more}. The lines above say why; see docs/rehearsal.md."
        )
    return {"rehearsed": len(secrets)}


def _seconds(context: Any) -> float | None:  # noqa: ANN401  Lambda's
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return max(remaining() / 1000 - _LEFT_SECONDS, 0.0) if remaining else None


def _rehearsed(
    secrets: list[Rehearsed], names: list[str], seconds: float | None
) -> Iterator[tuple[str, list[Finding]]]:
    """Return the findings of each secret; those that do not finish in time have one that says so."""
    client = boto3.client("lambda", config=_CONFIG)
    threads = ThreadPoolExecutor(_AT_ONCE)
    try:
        started: dict[Future[list[Finding]], str] = {
            threads.submit(_findings, client, one, names): one.secret for one in secrets
        }
        done, _ = wait(started, timeout=seconds)
        for future, secret in started.items():
            if future in done:
                yield secret, future.result()
            else:
                text = "The rehearsal did not finish in the time of the function, 15 minutes for all secrets"
                yield secret, [Finding("function", f"{text}. Split the stack.", _UNCLEAR)]
    finally:
        # a function that does not answer must not keep this one from its end
        threads.shutdown(wait=False, cancel_futures=True)


def _findings(client: Any, one: Rehearsed, names: list[str]) -> list[Finding]:  # noqa: ANN401  boto3 is untyped
    event: dict[str, object] = {ACTION: REHEARSE, SECRET_ID: one.secret}
    if one.schemas:
        event[SCHEMAS] = list(one.schemas)
    name = names[one.function] if one.function < len(names) else "of this secret"
    try:
        response = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        payload = response["Payload"].read()
    except (BotoCoreError, ClientError) as error:
        code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
        return [_failed(f"Function {name} could not be invoked ({code}). Deploy it: pulumi up --refresh")]
    if response.get("FunctionError"):
        return [
            _failed(f"Function {name} failed ({_kind(payload)}). Its log has the reason: docs/rotation.md")
        ]
    try:
        return [
            Finding(str(found[FINDING_STEP]), str(found[FINDING_PROBLEM]), str(found[FINDING_CONSEQUENCE]))
            for found in json.loads(payload)[FINDINGS]
        ]
    except (ValueError, TypeError, KeyError):
        return [_failed(f"Function {name} did not answer as a rotation function of this project does")]


def _failed(problem: str) -> Finding:
    return Finding("function", problem, _UNCLEAR)


def _kind(payload: bytes) -> str:
    """Return the kind of a function's error; the text of an unexpected one may hold anything."""
    try:
        kind = json.loads(payload)["errorType"]
    except (ValueError, TypeError, KeyError):
        return "no reason given"
    return re.sub(r"[^A-Za-z.]", "", str(kind))[:80] or "no reason given"
