"""A vendor's credentials that AWS rotates itself: managed external secrets of AWS Secrets Manager.

Source: AWS Secrets Manager User Guide, "Managed external secrets", "Security and permissions".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.function_parts import WRITE_VERSIONS
from components.policies import READ_VALUES, document, uses_of_keys
from components.rotation import Schedule, rotation_rules

# of a secret's characters alone: IAM would take * and ? for any
_SECRET_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+")
_WHOLE_ARN = re.compile(r".+-[A-Za-z0-9]{6}")


@dataclass(frozen=True, kw_only=True)
class PartnerRotationArgs:
    """Which secret is rotated, when, and what the partner needs to know.

    Attributes:
        account_id, region: of the secret.
        secret_arn, secret_name: of the secret; it must have a type and a value.
        kms_key_id: ARN of the key or alias that encrypts it; None for AWS's own.
        role_arn: the role with which Secrets Manager rotates; None to have one made.
        metadata: what the partner's rotation needs to know; a full ARN of a secret in it may be read.
        schedule: when.
        tags, permissions_boundary: of a role that is made.
        after: what must exist before.
    """

    account_id: str
    region: str
    secret_arn: pulumi.Input[str]
    secret_name: str
    kms_key_id: pulumi.Input[str] | None
    role_arn: str | None
    metadata: Mapping[str, str]
    schedule: Schedule
    tags: Mapping[str, str] = field(default_factory=dict)
    permissions_boundary: str | None = None
    after: Sequence[pulumi.Resource] = ()


def trust(account_id: str, secret_arn: str) -> str:
    """Return the policy that lets Secrets Manager take the role, for this secret alone."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "secretsmanager.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": account_id},
                "ArnLike": {"aws:SourceArn": secret_arn},
            },
        }
    )


def administrators(metadata: Mapping[str, str]) -> list[str]:
    """Return the ARNs of the secrets that a rotation may read by its metadata."""
    found = sorted({value for value in metadata.values() if _SECRET_ARN.fullmatch(value)})
    # an ARN may be without the six characters that AWS adds
    return [arn if _WHOLE_ARN.fullmatch(arn) else f"{arn}-??????" for arn in found]


def permissions(region: str, secret_arn: str, kms_key_id: str | None, metadata: Mapping[str, str]) -> str:
    """Return what a rotation of the secret may do."""
    read = administrators(metadata)
    context = {"kms:EncryptionContext:SecretARN": [secret_arn]}
    return document(
        {"Sid": "RotateIt", "Effect": "Allow", "Action": WRITE_VERSIONS, "Resource": secret_arn},
        *(
            [
                {
                    "Sid": "ReadTheAdministratorsSecret",
                    "Effect": "Allow",
                    "Action": READ_VALUES,
                    "Resource": read,
                }
            ]
            if read
            else []
        ),
        {
            "Sid": "MakePasswords",
            "Effect": "Allow",
            "Action": "secretsmanager:GetRandomPassword",
            "Resource": "*",
        },
        *uses_of_keys(
            "UseItsKey{}",
            [kms_key_id] if kms_key_id else [],
            region,
            ["kms:Decrypt", "kms:GenerateDataKey"],
            context,
        ),
    )


class PartnerRotation(pulumi.ComponentResource):
    """A rotation schedule, and the role with which Secrets Manager rotates unless there is one.

    Removing it cancels the rotation; the secret's value stays and stays valid.
    """

    def __init__(
        self, name: str, args: PartnerRotationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # for previews: the role's policy is not known before the secret is made
        reads: dict[str, object] = {"reads": [args.secret_name]}
        if found := [] if args.role_arn else administrators(args.metadata):
            reads["readsByArn"] = found
        super().__init__("aws-secrets:index:PartnerRotation", name, reads, opts)
        role_arn, before = (args.role_arn, []) if args.role_arn else self._role(name, args)
        aws.secretsmanager.SecretRotation(
            f"{name}-partner-schedule",
            secret_id=args.secret_arn,
            external_secret_rotation_role_arn=role_arn,
            external_secret_rotation_metadatas=[
                aws.secretsmanager.SecretRotationExternalSecretRotationMetadataArgs(key=key, value=value)
                for key, value in sorted(args.metadata.items())
            ]
            or None,
            # the provider's default is true: it would rotate at every change of the schedule
            rotate_immediately=args.schedule.rotate_immediately,
            rotation_rules=rotation_rules(args.schedule),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*before, *args.after]),
        )
        self.register_outputs({})

    def _role(self, name: str, args: PartnerRotationArgs) -> tuple[pulumi.Output[str], list[pulumi.Resource]]:
        arn = pulumi.Output.from_input(args.secret_arn)
        role = aws.iam.Role(
            f"{name}-partner-role",
            description=f"Secrets Manager rotates {args.secret_name} with it",
            assume_role_policy=arn.apply(lambda known: trust(args.account_id, known)),
            permissions_boundary=args.permissions_boundary,
            tags=dict(args.tags) or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-partner-policy",
            role=role.name,
            policy=pulumi.Output.all(arn, args.kms_key_id).apply(
                lambda known: permissions(args.region, known[0], known[1], args.metadata)
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role.arn, [policy]
