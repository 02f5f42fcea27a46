"""Why a status could not be had, in an operator's words."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)


class CannotAskError(Exception):
    """AWS could not be asked at all. The message says why and what to do."""


class CredentialsError(CannotAskError):
    """The credentials are missing, wrong, expired or of an account that is not the stack's."""


# Codes with which services refuse who asks, not what is asked.
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


def code_of(error: ClientError) -> str:
    """AWS's code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_denied(error: ClientError) -> bool:
    """Whether the caller is known but may not do this."""
    return code_of(error) in _DENIED


def cannot_ask(error: BotoCoreError | ClientError | ValueError, what: str) -> CannotAskError:
    """The same in an operator's words.

    Args:
        error: of boto3.
        what: the operation, such as `secretsmanager:DescribeSecret`.
    """
    if not isinstance(error, ClientError):
        # botocore writes no credentials into these, and masks those of a proxy
        cause = " ".join(str(error).split()).rstrip(".")
        wrong = CredentialsError if isinstance(error, _NO_CREDENTIALS) else CannotAskError
        return wrong(
            f"AWS cannot be asked ({what}): {cause}.\n  Check the network, AWS_ENDPOINT_URL, the proxy's "
            "settings and where the credentials come from (AWS_PROFILE, aws sso login)."
        )
    code = code_of(error)
    if code in _WRONG_CREDENTIALS:
        return CredentialsError(
            f"AWS refuses the credentials ({what}: {code}). They have expired, or are of nobody.\n  Get new "
            "ones: aws sso login, or whatever made them; AWS_PROFILE chooses between several."
        )
    if code in _DENIED:
        return CannotAskError(
            f"These credentials may not call {what}.\n  Allow it: docs/status.md lists what a status needs."
        )
    if code in _THROTTLED:
        return CannotAskError(
            f"AWS throttles {what}, also after many tries.\n  Others in the account ask as often. Try again "
            "later, or ask less: --no-policies."
        )
    return CannotAskError(
        f"AWS answers {code} to {what}.\n  Try again; if it stays so, ask AWS's health page."
    )
