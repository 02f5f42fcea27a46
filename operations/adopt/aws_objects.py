"""Read live secrets from AWS: which there are, how each is kept, and the names of keys where asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.version_labels import INITIAL_VERSION_LABEL
from operations.adopt.cloudformation import ids_of
from operations.adopt.model import (
    LiveReplica,
    LiveRotation,
    LiveSecret,
    LoginFields,
    Origin,
    Origins,
    Shape,
    SourceError,
)
from operations.adopt.value_shapes import login_fields, shape_of
from operations.status.aws import AwsSecret, AwsSession, Caller, Denied
from operations.status.errors import CredentialsError, QueryError, code_of, query_error

ADOPTED_LABEL = "aws-secrets-adopted"
"""Keeps the version that the state has of an adopted secret, as the initial version's label does.

It is another label because a version with that one counts as a placeholder that nobody has filled in.
"""

OWN_LABELS = (ADOPTED_LABEL, INITIAL_VERSION_LABEL)
_MOST_LABELS = 20  # AWS Secrets Manager quota: staging labels of a version
_OWN_KEY = "alias/aws/secretsmanager"
_CURRENT = "AWSCURRENT"
_PENDING = "AWSPENDING"
_GET = "secretsmanager:GetSecretValue"
_NOT_A_SECRET = "its ARN is not the ARN of a secret"  # noqa: S105  a reason
_OF_CLOUDFORMATION = (
    "CloudFormation stack {} declares it, and may delete it: adopt it with the origin cloudformation"
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A choice of an account's secrets: by name prefix and tag, both if both are given.

    `tag` is KEY or KEY=VALUE.
    """

    prefix: str | None
    tag: str | None


def listed(aws: AwsSession, wanted: Wanted) -> Origins:
    """Return the secrets that AWS lists.

    Raises:
        QueryError: AWS could not be asked.
    """
    filters = []
    key, equals, value = (wanted.tag or "").partition("=")
    if wanted.prefix:
        filters.append({"Key": "name", "Values": [wanted.prefix]})
    if key:
        filters.append({"Key": "tag-key", "Values": [key]})
    client = aws.client("secretsmanager")
    secrets: dict[str, Origin] = {}
    try:
        for page in client.get_paginator("list_secrets").paginate(
            Filters=filters, IncludePlannedDeletion=True
        ):
            for secret in page["SecretList"]:
                tags = {tag["Key"]: tag["Value"] for tag in secret.get("Tags", [])}
                # AWS's filters compare beginnings, and some without regard to case
                named = secret["Name"].startswith(wanted.prefix or "")
                if named and (not key or (key in tags and (not equals or tags[key] == value))):
                    owner = tags.get("aws:cloudformation:stack-name")
                    remarks = [_OF_CLOUDFORMATION.format(owner)] if owner else []
                    secrets[secret["ARN"]] = Origin(arn=secret["ARN"], place="AWS", remarks=remarks)
    except (BotoCoreError, ClientError) as error:
        raise query_error(error, "secretsmanager:ListSecrets") from None
    return Origins(secrets=secrets)


def stack_resources(aws: AwsSession, stack_name: str) -> dict[str, str]:
    """Return logical to physical ids of the resources of a CloudFormation stack.

    Raises:
        SourceError: AWS has no stack of this name.
        QueryError: AWS could not be asked.
    """
    try:
        pages = (
            aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_name)
        )
        return ids_of([one for page in pages for one in page["StackResourceSummaries"]])
    except ClientError as error:
        if code_of(error) == "ValidationError":
            raise SourceError(
                f"AWS has no CloudFormation stack {stack_name} in {aws.region}. Check the name and "
                "the region."
            ) from None
        raise query_error(error, "cloudformation:ListStackResources") from None
    except BotoCoreError as error:
        raise query_error(error, "cloudformation:ListStackResources") from None


def live_secrets(
    aws: AwsSession, caller: Caller, arns: Iterable[str], *, read_keys: bool
) -> dict[str, LiveSecret]:
    """Return each secret as AWS has it, by ARN.

    Args:
        aws: in the stack's region.
        caller: whose account the stack is in.
        arns: full ARNs.
        read_keys: read each value for the names of its keys.

    Raises:
        QueryError: AWS could not be asked at all.
    """
    wanted = list(arns)
    foreign = {arn: reason for arn in wanted if (reason := elsewhere(arn, aws.region, caller))}
    here = [arn for arn in wanted if arn not in foreign]
    found = aws.secrets(here, policies=True)
    live = {arn: _live(arn, found[arn]) for arn in here}
    if read_keys:
        readable = [arn for arn, secret in live.items() if secret.current and not secret.obstacles]
        client = aws.client("secretsmanager")
        for arn, read in aws.each(readable, lambda arn: _read(aws, client, arn)).items():
            live[arn] = (
                replace(live[arn], remarks=[*live[arn].remarks, f"its keys could not be read: {read}"])
                if isinstance(read, str)
                else replace(live[arn], shape=read[0], login=read[1])
            )
    return {arn: live[arn] if arn in live else _left_out(arn, foreign[arn]) for arn in wanted}


def as_if_restored(described: Mapping[str, Any]) -> LiveSecret:
    """Return a secret that is scheduled for deletion as it will be once it is restored.

    AWS does not show its policy until then, so there is none.

    Args:
        described: the answer of DescribeSecret.
    """
    living = {key: value for key, value in described.items() if key != "DeletedDate"}
    return _live(str(described["ARN"]), AwsSecret(described=living))


def elsewhere(arn: str, region: str, caller: Caller) -> str:
    """Return why a secret is not in the stack's account and region; empty if it is there."""
    try:
        _, partition, service, its_region, account, kind, _ = arn.split(":", 6)
    except ValueError:
        return _NOT_A_SECRET
    if (service, kind) != ("secretsmanager", "secret"):
        return _NOT_A_SECRET
    if account != caller.account_id or partition != caller.partition:
        return f"it is in account {account}, the credentials are of {caller.account_id}"
    if its_region != region:
        return f"it is in {its_region}, the stack is in {region}"
    return ""


def label_version(aws: AwsSession, arn: str, version_id: str, label: str) -> None:
    """Put a staging label of ours on a version; no value is read or written, and no other label moves.

    Raises:
        QueryError: AWS did not do it.
    """
    try:
        aws.client("secretsmanager").update_secret_version_stage(
            SecretId=arn, VersionStage=label, MoveToVersionId=version_id
        )
    except (BotoCoreError, ClientError) as error:
        raise query_error(error, "secretsmanager:UpdateSecretVersionStage") from None


def name_of(arn: str) -> str:
    """Return the name of a secret, from its full ARN."""
    return arn.split(":", 6)[-1][: -len("-AbCdEf")]


def _left_out(arn: str, *obstacles: str) -> LiveSecret:
    return LiveSecret(
        arn=arn,
        name=name_of(arn),
        description="",
        tags={},
        kms_key=None,
        policy=None,
        replicas=(),
        rotation=None,
        current=None,
        labels=(),
        obstacles=obstacles,
    )


def _live(arn: str, found: AwsSecret) -> LiveSecret:
    described = found.described
    if described is None:
        return _left_out(arn, "AWS has no such secret: it was deleted, or made again with another ARN")
    if isinstance(described, Denied):
        return _left_out(arn, f"AWS denies {described.action} on it: allow it")
    if described.get("DeletedDate"):
        return _left_out(
            arn,
            "its deletion is scheduled. Restore it first: aws secretsmanager restore-secret --secret-id "
            f"{described['Name']}",
        )
    obstacles, remarks = list(_obstacles(described, found)), list(_remarks(described))
    stages: Mapping[str, list[str]] = described.get("VersionIdsToStages") or {}
    current = _bound(stages)
    policy = None if isinstance(found.policy, Denied) else found.policy
    return LiveSecret(
        arn=described["ARN"],
        name=described["Name"],
        description=described.get("Description", ""),
        tags={
            tag["Key"]: tag["Value"] for tag in described.get("Tags", []) if not tag["Key"].startswith("aws:")
        },
        kms_key=_own_key(described.get("KmsKeyId")),
        policy=policy or None,
        replicas=[
            LiveReplica(
                region=replica["Region"],
                kms_key=_own_key(replica.get("KmsKeyId")),
                status=replica.get("Status", ""),
                status_message=replica.get("StatusMessage", ""),
            )
            for replica in described.get("ReplicationStatus", [])
        ],
        rotation=_rotation(described),
        current=current,
        labels=stages.get(current or "", ()),
        obstacles=obstacles,
        remarks=remarks,
        is_rotating=any(_PENDING in labels and _CURRENT not in labels for labels in stages.values()),
    )


def _bound(stages: Mapping[str, list[str]]) -> str | None:
    """Return the version for the state: one that an earlier run labelled, else the current one."""
    if not any(_CURRENT in labels for labels in stages.values()):
        return None
    for label in (*OWN_LABELS, _CURRENT):
        for version_id, labels in stages.items():
            if label in labels:
                return version_id
    return None


def _obstacles(described: Mapping[str, Any], found: AwsSecret) -> Iterable[str]:
    if isinstance(found.policy, Denied):
        yield f"AWS denies {found.policy.action} on it: allow it"
    if described.get("OwningService"):
        yield f"{described['OwningService']} manages it: workloads can read it as existingSecret"
    if described.get("PrimaryRegion") and described["PrimaryRegion"] != described["ARN"].split(":")[3]:
        yield f"it is a replica: adopt the secret in {described['PrimaryRegion']}"
    if described.get("Type"):
        yield (
            f"AWS rotates its partner's credentials itself ({described['Type']}): declare it with partner "
            "by hand"
        )
    stages = described.get("VersionIdsToStages") or {}
    if not any(_CURRENT in labels for labels in stages.values()):
        yield "it has no value yet, and an update would write one: put a value first"
    labels = stages.get(_bound(stages) or "", [])
    if len(labels) >= _MOST_LABELS and not set(labels) & set(OWN_LABELS):
        yield f"its current version has {len(labels)} staging labels, and AWS takes no more: remove one"


def _remarks(described: Mapping[str, Any]) -> Iterable[str]:
    if described.get("RotationLambdaARN") and not described.get("RotationEnabled"):
        yield "its rotation is cancelled, so the stack file has none"
    if any(tag["Key"].startswith("aws:") for tag in described.get("Tags", [])):
        yield "tags of AWS's own (aws:...) stay as they are and are not in the stack file"


def _own_key(key: str | None) -> str | None:
    return None if not key or key.endswith(_OWN_KEY) else key


def _rotation(described: Mapping[str, Any]) -> LiveRotation | None:
    if not described.get("RotationEnabled") or not described.get("RotationLambdaARN"):
        return None
    rules = described.get("RotationRules") or {}
    expression = rules.get("ScheduleExpression") or None
    return LiveRotation(
        function_arn=described["RotationLambdaARN"],
        # next to an expression AWS says how many days it comes to
        automatically_after_days=None if expression else rules.get("AutomaticallyAfterDays"),
        schedule_expression=expression,
        duration=rules.get("Duration") or None,
    )


def _read(
    aws: AwsSession,
    client: Any,  # noqa: ANN401  boto3 is untyped
    arn: str,
) -> tuple[Shape, LoginFields | None] | str:
    """Return the shape of the live value with what it says of a login, or why it could not be read."""
    try:
        answer = aws.call(_GET, lambda: client.get_secret_value(SecretId=arn))
    except CredentialsError:
        raise
    except QueryError as error:
        return str(error).splitlines()[0]
    if answer is None or isinstance(answer, Denied):
        return f"AWS denies {_GET}"
    text = answer.get("SecretString")
    return (Shape(content="binary"), None) if text is None else (shape_of(text), login_fields(text))
