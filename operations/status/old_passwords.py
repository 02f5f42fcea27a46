"""Ask the rotation functions who still uses a password that the next rotation ends."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.lambdas.rotation.protocol import (
    ACTION,
    HOLDER_APPLICATION,
    HOLDER_HOST,
    HOLDER_USER,
    HOLDERS,
    OLD_PASSWORDS,
    OUTLOOK,
    SECRET_ID,
)
from operations.status.aws import AwsSession
from operations.status.errors import ALLOW, denial, is_denied, is_not_found, query_error
from operations.status.model import Holder, OldPasswords, Problem, Secret
from operations.status.texts import KINDS
from operations.threads import mapped

_INVOKE = "lambda:InvokeFunction"
_AT_ONCE = 8
# it looks for ten seconds; no retry, which would not see more
_CONFIG = Config(connect_timeout=5, read_timeout=70, retries={"total_max_attempts": 1})


def with_old_passwords(
    secrets: Iterable[Secret], declared: Iterable[str], aws: AwsSession
) -> tuple[Secret, ...]:
    """Return the secrets with who holds an old password, where the stack file says what to do about them.

    Only functions are asked that the stack file declares: those whose rotation has no drift.

    Args:
        secrets: the assessed secrets.
        declared: names of the secrets with `whileOldPasswordIsUsed`.
        aws: the session.

    Raises:
        QueryError: Lambda could not be asked.
    """
    names = frozenset(declared)
    client = aws.session.client("lambda", region_name=aws.region, config=_CONFIG)

    def asked(secret: Secret) -> Secret:
        drifts = any(one.what == "rotation" for one in secret.drift)
        function = secret.rotation.function if secret.rotation else ""
        if secret.name not in names or drifts or not function or not secret.arn:
            return secret
        return _with(secret, _ask(client, function, secret.arn))

    return tuple(mapped(asked, secrets, _AT_ONCE))


def _with(secret: Secret, answer: OldPasswords | Problem) -> Secret:
    if isinstance(answer, OldPasswords):
        return replace(secret, old_passwords=answer)
    problems = sorted((*secret.problems, answer), key=lambda problem: KINDS.index(problem.kind))
    return replace(secret, problems=tuple(problems))


def _ask(client: Any, function: str, arn: str) -> OldPasswords | Problem:  # noqa: ANN401  boto3 is untyped
    event = {ACTION: OLD_PASSWORDS, SECRET_ID: arn}
    try:
        response = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        payload = response["Payload"].read()
    except ClientError as error:
        if is_denied(error):
            return Problem(kind="unknown", text=denial(_INVOKE), remedy=ALLOW)
        if is_not_found(error):
            text = "Its rotation function does not exist"
            return Problem(kind="unknown", text=text, remedy="Run `pulumi up --refresh`.")
        raise query_error(error, _INVOKE) from None
    except BotoCoreError as error:
        raise query_error(error, _INVOKE) from None
    return read_answer(response, payload)


def read_answer(response: Mapping[str, Any], payload: bytes) -> OldPasswords | Problem:
    """Return what a function answered, or the problem that it could not see who is logged in."""
    try:
        answer = json.loads(payload)
        if response.get("FunctionError"):
            return Problem(
                kind="unknown",
                text="The rotation function cannot see who uses an old password",
                remedy=f"{answer['errorMessage']} See docs/rotation.md.",
            )
        return OldPasswords(
            outlook=" ".join(map(str, answer[OUTLOOK])),
            holders=tuple(
                Holder(
                    user=str(one[HOLDER_USER]),
                    host=str(one[HOLDER_HOST]),
                    application=str(one[HOLDER_APPLICATION]),
                )
                for one in answer[HOLDERS]
            ),
        )
    except (ValueError, TypeError, KeyError):
        return Problem(
            kind="unknown",
            text="The rotation function did not answer as one of this project does",
            remedy="Run `pulumi up --refresh`.",
        )
