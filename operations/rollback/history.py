"""A secret's versions, from AWS's metadata alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.lambdas.rotation.protocol import REHEARSAL_VERSION

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
# Labels by which a version of the writer holds its record or unconfirmed work (lambdas/writer).
_WRITERS = ("aws-secrets-generations:", "aws-secrets-record-of:", "aws-secrets-writing:")
_OF_VALUES = {CURRENT, PREVIOUS, "aws-secrets-initial"}


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a secret; its value stays unknown.

    Attributes:
        version_id: AWS's id.
        created: when it was put.
        labels: its staging labels; AWS may delete a version without any at any time.
    """

    version_id: str
    created: datetime
    labels: tuple[str, ...]

    @property
    def is_of_rehearsal(self) -> bool:
        """Return whether a rehearsal put it, by its ID: its label is removed."""
        return self.version_id.startswith(REHEARSAL_VERSION)

    @property
    def holds_a_value(self) -> bool:
        """Return whether it can be a value of the secret, and not the writer's records or unfinished work."""
        is_the_writers = any(label.startswith(_WRITERS) for label in self.labels)
        return not self.is_of_rehearsal and (bool(_OF_VALUES & {*self.labels}) or not is_the_writers)


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A secret and its versions, newest first.

    Attributes:
        arn, name: AWS's.
        versions: all versions that AWS still has.
        is_login: whether the stack file declares it as a database login: the database has to follow.
        function_arn: of its rotation function; empty where rotation is off.
        deleted: whether it is scheduled for deletion.
        owner: the AWS service that manages it, such as `rds`; empty if none does.
        primary_region: where it is written, if this is a replica; empty otherwise.
    """

    arn: str
    name: str
    versions: tuple[Version, ...]
    is_login: bool = False
    function_arn: str = ""
    deleted: bool = False
    owner: str = ""
    primary_region: str = ""

    def labelled(self, label: str) -> Version | None:
        """Return the version with a staging label, which at most one has."""
        return next((version for version in self.versions if label in version.labels), None)


def history(client: Any, name: str, *, is_login: bool) -> Secret:  # noqa: ANN401  boto3 is untyped
    """Return a secret with all versions that AWS still has.

    Args:
        client: of Secrets Manager; it calls DescribeSecret and ListSecretVersionIds.
        name: the secret's name or ARN.
        is_login: whether the stack file declares it as a database login. The tags do not decide that: others
            than the stack may write them.

    Raises:
        botocore.exceptions.ClientError: the secret does not exist, or a call is denied.
    """
    described = client.describe_secret(SecretId=name)
    region = str(client.meta.region_name)
    primary = str(described.get("PrimaryRegion", region))
    return Secret(
        arn=str(described["ARN"]),
        name=str(described["Name"]),
        versions=tuple(
            sorted(
                _versions(client, name),
                key=lambda version: (version.created, version.version_id),
                reverse=True,
            )
        ),
        is_login=is_login,
        function_arn=str(described.get("RotationLambdaARN", "")) if described.get("RotationEnabled") else "",
        deleted="DeletedDate" in described,
        owner=str(described.get("OwningService", "")),
        primary_region="" if primary == region else primary,
    )


def _versions(client: Any, name: str) -> Iterator[Version]:  # noqa: ANN401  boto3 is untyped
    # botocore has no paginator for this call
    request: dict[str, Any] = {"SecretId": name, "IncludeDeprecated": True}
    while True:
        page = client.list_secret_version_ids(**request)
        for version in page["Versions"]:
            yield Version(
                version_id=str(version["VersionId"]),
                created=version["CreatedDate"],
                labels=tuple(sorted(version.get("VersionStages", ()))),
            )
        if "NextToken" not in page:
            return
        request["NextToken"] = page["NextToken"]
