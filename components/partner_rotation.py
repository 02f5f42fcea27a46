"""Rotate a vendor's credentials with AWS's own rotation: managed external secrets of Secrets Manager.

Source: AWS Secrets Manager User Guide, "Managed external secrets", "Security and permissions".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import tokens
from .account import look_up_account_id, look_up_region
from .checks import check_secret_name, check_text
from .function_parts import WRITE_VERSIONS
from .policies import READ_VALUES, document, uses_of_keys
from .rotation import Schedule, rotation_rules

# only characters of a secret's name: * and ? are wildcards to IAM
_SECRET_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+")
_WHOLE_ARN = re.compile(r".+-[A-Za-z0-9]{6}")


@dataclass(frozen=True, kw_only=True)
class PartnerRotationArgs:
    """Arguments of a partner rotation.

    Attributes:
        account_id: account of the secret. Default: that of the program's default provider.
        region: region of the secret. Default: that of the program's default provider.
        secret_arn: ARN of the secret, which must have a partner type and a value.
        secret_name: its name in AWS.
        kms_key_id: ARN of the key or alias that encrypts it. Default: none, for AWS's own key.
        role_arn: ARN of the role with which Secrets Manager rotates. Default: none; one is created.
        metadata: parameters of the partner's rotation; the role may read secrets whose full ARNs are in them.
            Default: none.
        schedule: when it is rotated. Default: every 30 days.
        tags: tags of a created role. Default: none.
        permissions_boundary: ARN of the permissions boundary of a created role. Default: none.
        after: what must exist first, such as the secret's value. Default: nothing.

    Raises:
        ArgumentError: the ARN is empty, or the name is not valid.
    """

    account_id: str = field(default_factory=look_up_account_id)
    region: str = field(default_factory=look_up_region)
    secret_arn: pulumi.Input[str]
    secret_name: str
    kms_key_id: pulumi.Input[str] | None = None
    role_arn: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=lambda: Schedule(automatically_after_days=30))
    tags: Mapping[str, str] = field(default_factory=dict)
    permissions_boundary: str | None = None
    after: Sequence[pulumi.Resource] = ()

    def __post_init__(self) -> None:
        check_text("PartnerRotation", "secret_arn", self.secret_arn)
        check_secret_name(self.secret_name)


def trust(account_id: str, secret_arn: str) -> str:
    """Return the policy that allows Secrets Manager to assume the role, for this secret only."""
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
    """Return the ARNs of the secrets in a rotation's metadata, which it may read."""
    found = sorted({value for value in metadata.values() if _SECRET_ARN.fullmatch(value)})
    # an ARN may lack the six characters that AWS adds
    return [arn if _WHOLE_ARN.fullmatch(arn) else f"{arn}-??????" for arn in found]


def permissions(region: str, secret_arn: str, kms_key_id: str | None, metadata: Mapping[str, str]) -> str:
    """Return the policy of a role that rotates the secret."""
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
    """A rotation schedule, and the role with which Secrets Manager rotates unless one exists.

    Removing it cancels the rotation; the secret keeps its valid value.
    """

    def __init__(
        self, name: str, args: PartnerRotationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # for reports on previews: the role's policy is not known before the secret exists
        reads: dict[str, object] = {"reads": [args.secret_name]}
        if found := [] if args.role_arn else administrators(args.metadata):
            reads["readsByArn"] = found
        super().__init__(tokens.PARTNER_ROTATION, name, reads, opts)
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
            # the provider's default is true, which would rotate at every change of the schedule
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
