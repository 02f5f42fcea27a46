"""Move AWSCURRENT after an interrupted update, where no resource can: see components/first_version.py."""

from typing import Any

import pulumi

from components.version_labels import CURRENT_LABEL


def make_current(arn: str, version: str) -> None:
    """Move AWSCURRENT to a version of a secret without a current one, with the provider's credentials.

    AWS rejects the move if a version has the label by now, because the call names none to take it from.
    Source: Secrets Manager API Reference, UpdateSecretVersionStage.

    Args:
        arn: the secret's full ARN.
        version: a version ID.

    Raises:
        botocore.exceptions.BotoCoreError, ClientError: AWS denied the call or did not answer.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415  importing boto3 costs every update 0.1 s

    client = _session().client("secretsmanager", region_name=arn.split(":")[3])
    try:
        client.update_secret_version_stage(SecretId=arn, VersionStage=CURRENT_LABEL, MoveToVersionId=version)
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidParameterException":
            raise


def _session() -> Any:  # noqa: ANN401  boto3 is untyped
    """Return a session with the credentials of the stack's AWS provider."""
    import boto3  # noqa: PLC0415  as above

    configured = pulumi.Config("aws")
    return boto3.session.Session(
        profile_name=configured.get("profile"),
        aws_access_key_id=configured.get("accessKey"),
        aws_secret_access_key=configured.get("secretKey"),
        aws_session_token=configured.get("token"),
    )
