"""A function's execution role: who may assume it, its credentials, and logging on its behalf.

Source: AWS Lambda Developer Guide, "Defining Lambda function permissions with an execution role".
"""

from datetime import timedelta

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.logs.models import logs_backends
from moto.sts.models import AssumedRole

from tools.localcloud.emulator import role_assumption, sts_service
from tools.localcloud.emulator.authorization import Request, refusal
from tools.localcloud.emulator.identities import (
    SessionDetails,
    common_context,
    document,
    of_session,
    role_of,
)

NOT_ASSUMABLE = "The role defined for the function cannot be assumed by Lambda."
_LAMBDA = "lambda.amazonaws.com"
_SESSION_SECONDS = 43_200
_RENEWED_BEFORE = timedelta(hours=1)  # no function runs longer than 15 minutes
# Stays the same as long as the emulator runs: an execution environment with other credentials is another one.
_SESSIONS: dict[tuple[str, str], AssumedRole] = {}


class RefusedError(Exception):
    """A request that Lambda rejects; `code` is AWS's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def exists(role_arn: str) -> bool:
    """Return whether the role exists."""
    return role_of(role_arn) is not None


def is_assumable(role_arn: str, region: str, function_arn: str) -> bool:
    """Return whether the role's trust policy allows Lambda, for this function.

    A trust policy without statements, which IAM would reject, allows Lambda.
    """
    role = role_of(role_arn)
    if role is not None and not document(role.assume_role_policy_document).get("Statement"):
        return True
    return role_assumption.service_may_assume(_LAMBDA, role_arn, region, function_arn)


def credentials(function_arn: str, role_arn: str, region: str) -> dict[str, str]:
    """Return credentials of a session of the execution role, as environment variables.

    Raises:
        RefusedError: The role does not exist, or does not trust Lambda.
    """
    session = _session(function_arn, role_arn, region)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
    }


def _session(function_arn: str, role_arn: str, region: str) -> AssumedRole:
    if not is_assumable(role_arn, region, function_arn):
        raise RefusedError(403, "AccessDeniedException", NOT_ASSUMABLE)
    session = _SESSIONS.get((function_arn, role_arn))
    if session is None or session.expiration - utcnow() < _RENEWED_BEFORE:
        name = function_arn.rpartition(":")[2]
        details = SessionDetails(begun=sts_service.now(), function_arn=function_arn)
        session = sts_service.begun(role_arn, name, region, details, _SESSION_SECONDS)
        _SESSIONS[function_arn, role_arn] = session
    return session


def may_write_log(function_arn: str, role_arn: str, region: str, group: str, stream: str) -> bool:
    """Return whether the role may write a function's log; without that, a function runs unlogged."""
    try:
        who = of_session(_session(function_arn, role_arn, region))
    except RefusedError:  # the role has changed since the function began
        return False
    logs = logs_backends[DEFAULT_ACCOUNT_ID][region]
    stream_arn = f"arn:aws:logs:{region}:{DEFAULT_ACCOUNT_ID}:log-group:{group}:log-stream:{stream}"
    asked = [("logs:CreateLogStream", stream_arn), ("logs:PutLogEvents", stream_arn)]
    if group not in logs.groups:
        asked.append(("logs:CreateLogGroup", stream_arn.removesuffix(stream)))
    # Lambda's own requests have no lambda:SourceFunctionArn
    about = {key: value for key, value in who.context.items() if key != "lambda:sourcefunctionarn"}
    context = {**common_context(who.caller.account, region), **about}
    return all(
        refusal(who.caller, Request(action=action, resource=arn, context=context)) is None
        for action, arn in asked
    )
