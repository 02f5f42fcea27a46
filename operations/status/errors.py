"""Errors of AWS queries, explained for operators."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

ALLOW = "Allow it: docs/status.md lists the permissions that a status needs."

# Codes with which services reject the caller, not the request.
# Source: AWS General Reference, "Common errors"; API references of STS and Secrets Manager.
_WRONG_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_THROTTLED = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
_NOT_FOUND = {
    "DBClusterNotFoundFault",
    "DBInstanceNotFound",
    "DBInstanceNotFoundFault",
    "NotFoundException",
    "ResourceNotFoundException",
}


class QueryError(Exception):
    """AWS could not be queried. The message gives the cause and the remedy."""


class CredentialsError(QueryError):
    """The credentials are missing, invalid, expired or for another account than the stack's."""


def is_denied(error: ClientError) -> bool:
    """Return whether the caller is known but lacks the permission."""
    return code_of(error) in _DENIED


def is_not_found(error: ClientError) -> bool:
    """Return whether the resource does not exist."""
    return code_of(error) in _NOT_FOUND


def denial(action: str) -> str:
    """Return the sentence, without a period, that reports a missing permission."""
    return f"These credentials are not allowed to call {action}"


def query_error(error: BotoCoreError | ClientError | ValueError, action: str) -> QueryError:
    """Return the error that explains a failed request to an operator.

    Args:
        error: raised by boto3.
        action: the request, such as `secretsmanager:DescribeSecret`.
    """
    if not isinstance(error, ClientError):
        # botocore puts no credentials into these messages, and masks those of a proxy
        cause = " ".join(str(error).split()).rstrip(".")
        kind = CredentialsError if isinstance(error, _NO_CREDENTIALS) else QueryError
        return kind(
            f"Could not query AWS ({action}): {cause}.\n  Check the network, AWS_ENDPOINT_URL, the proxy "
            "settings and the source of the credentials (AWS_PROFILE, aws sso login)."
        )
    code = code_of(error)
    if code in _WRONG_CREDENTIALS:
        return CredentialsError(
            f"AWS rejects the credentials ({action}: {code}): they are invalid or have expired.\n  Sign in "
            "again, for example with aws sso login, or choose another profile with AWS_PROFILE."
        )
    if code in _DENIED:
        return QueryError(f"{denial(action)}.\n  {ALLOW}")
    if code in _THROTTLED:
        return QueryError(
            f"AWS still throttles {action} after many retries.\n  Other clients use up the account's quota. "
            "Try again later, or send fewer requests with --no-policies."
        )
    return QueryError(
        f"AWS answered {action} with {code}.\n  Try again. If it persists, check the AWS Health Dashboard."
    )


def code_of(error: ClientError) -> str:
    """Return the code of an AWS error."""
    return str(error.response.get("Error", {}).get("Code", ""))
