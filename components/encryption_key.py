"""The KMS key that encrypts a stack's secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.policies import document

# What the account's administrators may do, without the operations that read or write data.
_ADMINISTRATION = [
    "kms:CancelKeyDeletion",
    "kms:Create*",
    "kms:Delete*",
    "kms:Describe*",
    "kms:Disable*",
    "kms:Enable*",
    "kms:Get*",
    "kms:List*",
    "kms:Put*",
    "kms:Revoke*",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:Update*",
]
# What an update does with the key once it is made; it never deletes it.
_KEEPING = [
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
]
# What Secrets Manager does with a customer managed key in the caller's name.
# Source: AWS Secrets Manager User Guide, "Secret encryption and decryption".
_USE_BY_SECRETS_MANAGER = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]


@dataclass(frozen=True, kw_only=True)
class EncryptionKeyArgs:
    """What the key is called and where it is.

    Attributes:
        account_id, partition, region: of the account that the key is made in.
        alias: without the leading `alias/`; letters, digits, `/`, `_` and `-`.
        description: shown in the KMS console.
        reader_arns: roles of other accounts that read secrets encrypted with it.
        administrator_arns: roles that keep the key without the account's other keys, as a pipeline's.
        tags: tags of the key.
    """

    account_id: str
    partition: str
    region: str
    alias: str
    description: str
    reader_arns: Sequence[str] = ()
    administrator_arns: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def key_policy(args: EncryptionKeyArgs) -> str:
    """The key's own policy."""
    root = {"AWS": f"arn:{args.partition}:iam::{args.account_id}:root"}
    by_secrets_manager = {"kms:ViaService": f"secretsmanager.{args.region}.amazonaws.com"}
    other_accounts = {
        "Sid": "RolesOfOtherAccountsReadThroughSecretsManager",
        "Effect": "Allow",
        "Principal": {"AWS": sorted(args.reader_arns)},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"StringEquals": by_secrets_manager},
    }
    administrators = {
        "Sid": "TheseRolesKeepTheKey",
        "Effect": "Allow",
        "Principal": {"AWS": sorted(args.administrator_arns)},
        "Action": _KEEPING,
        "Resource": "*",
    }
    return document(
        {
            "Sid": "IamAdministersTheKey",
            "Effect": "Allow",
            "Principal": root,
            "Action": _ADMINISTRATION,
            "Resource": "*",
        },
        {
            "Sid": "IamUsesTheKeyThroughSecretsManagerOnly",
            "Effect": "Allow",
            "Principal": root,
            "Action": _USE_BY_SECRETS_MANAGER,
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:CallerAccount": args.account_id, **by_secrets_manager}},
        },
        *([other_accounts] if args.reader_arns else []),
        *([administrators] if args.administrator_arns else []),
    )


class EncryptionKey(pulumi.ComponentResource):
    """A symmetric KMS key that rotates yearly and decrypts through Secrets Manager only.

    It stays in AWS when it leaves the stack: a deleted key would take every secret along that is encrypted
    with it.
    """

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("aws-secrets:index:EncryptionKey", name, None, opts)
        key = aws.kms.Key(
            f"{name}-key",
            description=args.description,
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=key_policy(args),
            tags=dict(args.tags) or None,
            # Versions of a secret may be encrypted with it after its stack has stopped using it, or is gone.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        aws.kms.Alias(
            f"{name}-alias",
            name=f"alias/{args.alias}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})
