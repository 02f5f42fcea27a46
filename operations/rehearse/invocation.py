"""Let the rotation function rehearse a secret, as far as it can from inside."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.lambdas.rotation.protocol import (
    ACTION,
    FINDING_CONSEQUENCE,
    FINDING_PROBLEM,
    FINDING_STEP,
    FINDINGS,
    NOT_REHEARSED,
    OUTLOOK,
    REHEARSE,
    REHEARSED,
    SCHEMAS,
    SECRET_ID,
)
from operations.rehearse.declared import Declared
from operations.rehearse.model import Finding, Outcome
from operations.rollback.move import reason_of
from operations.status.aws import AwsSession
from operations.status.errors import denial, is_denied, is_not_found, query_error

_INVOKE = "lambda:InvokeFunction"
_LONGEST_SECONDS = 910  # a function of caches may run for 15 minutes
_OLD = "is not supported"  # how a function of an earlier release answers


def invoke(aws: AwsSession, declared: Declared, secret_arn: str) -> Outcome:
    """Return what the function that the deployment declares has found.

    Raises:
        QueryError: Lambda could not be asked.
    """
    if not declared.is_ours:
        gap = f"function: {declared.function} is the operator's own, so its steps were not rehearsed"
        return Outcome(gaps=(gap,))
    # one attempt: a second invocation would not tell more than the first
    config = Config(
        connect_timeout=5,
        read_timeout=_LONGEST_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    client = aws.session.client("lambda", region_name=aws.region, config=config)
    event: dict[str, object] = {ACTION: REHEARSE, SECRET_ID: secret_arn}
    if declared.schemas:
        event[SCHEMAS] = list(declared.schemas)
    try:
        response = client.invoke(FunctionName=declared.function, Payload=json.dumps(event).encode())
        payload = response["Payload"].read()
    except ClientError as error:
        if is_not_found(error):
            return Outcome()  # the check of the function reports it
        if is_denied(error):
            return Outcome(gaps=(f"function: {denial(_INVOKE)}. Allow it: docs/rehearsal.md.",), denied=True)
        raise query_error(error, _INVOKE) from None
    except BotoCoreError as error:
        raise query_error(error, _INVOKE) from None
    return _outcome(response, payload, declared.function)


def _outcome(response: Mapping[str, Any], payload: bytes, function: str) -> Outcome:
    if response.get("FunctionError"):
        reason = reason_of(payload)
        if _OLD in reason:
            gap = f"function: {function} is of a release without rehearsals. Update it: pulumi up"
            return Outcome(gaps=(gap,), denied=True)
        return _failed(f"Function {function} failed: {reason} Its log has more: docs/rotation.md.")
    try:
        answer = json.loads(payload)
        return Outcome(
            steps=tuple(map(str, answer[REHEARSED])),
            findings=tuple(
                Finding(
                    step=str(one[FINDING_STEP]),
                    problem=str(one[FINDING_PROBLEM]),
                    consequence=str(one[FINDING_CONSEQUENCE]),
                )
                for one in answer[FINDINGS]
            ),
            gaps=tuple(map(str, answer[NOT_REHEARSED])),
            outlook=tuple(map(str, answer.get(OUTLOOK, ()))),  # an earlier release has none
        )
    except (ValueError, TypeError, KeyError):
        return _failed(
            f"Function {function} did not answer as a rotation function of this project does. Deploy it "
            "again: pulumi up --refresh"
        )


def _failed(problem: str) -> Outcome:
    consequence = "The next rotation probably fails in the same way. AWSCURRENT stays as it is."
    return Outcome(findings=(Finding(step="function", problem=problem, consequence=consequence),))
