"""Explanations of failed Secrets Manager calls, for an operator. They contain no value of a secret."""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

_REMEDIES = {
    "AccessDeniedException": "Allow it in the function's role, and in the key's policy if KMS is named.",
    "ResourceNotFoundException": "Check that the secret exists in this account and region.",
}

# Source: AWS Secrets Manager API Reference, "Common Errors" and the errors of each operation
_TRANSIENT = {
    "InternalFailure",
    "InternalServiceError",
    "RequestTimeout",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
}


@dataclass(frozen=True)
class Failure:
    """Why a call failed.

    Attributes:
        message: the operation, the secret, the reason and the remedy, in sentences.
        code: AWS's error code; empty if AWS did not answer.
        transient: whether the same call may succeed later.
    """

    message: str
    code: str
    transient: bool


def explain(operation: str, arn: str, error: ClientError | BotoCoreError) -> Failure:
    """Explain a failed call.

    Args:
        operation: the client's method, such as `put_secret_value`.
        arn: the secret's ARN.
        error: what the client raised.
    """
    call = f"{operation.title().replace('_', '')} for secret {arn}"
    if isinstance(error, ClientError):
        code = error_code(error)
        reason = f"{code}: {error.response['Error']['Message'].removesuffix('.')}."
        text = f"Secrets Manager rejected {call}: {reason} {_REMEDIES.get(code, '')}".rstrip()
        return Failure(text, code, transient=code in _TRANSIENT)
    # the type of the error only: its text may contain a parameter's value
    name = type(error).__name__
    if isinstance(error, NoCredentialsError | ParamValidationError):
        text = f"{call} was not sent ({name}): its parameters or the function's credentials are invalid."
        return Failure(text, "", transient=False)
    return Failure(
        f"Secrets Manager did not answer {call} ({name}). In a VPC, the function needs a route to it: a NAT "
        "gateway, or an interface endpoint for secretsmanager.",
        "",
        transient=True,
    )


def error_code(error: ClientError) -> str:
    """Return AWS's error code, such as `ThrottlingException`."""
    return str(error.response["Error"]["Code"])
