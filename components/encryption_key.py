"""The KMS key that encrypts a stack's secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import tokens
from .account import look_up_account_id, look_up_partition, look_up_region
from .policies import document

# Administration of the key, without the operations that read or write data.
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
# What an update does with an existing key; it never deletes one.
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
# What Secrets Manager does with a customer managed key on the caller's behalf.
# Source: AWS Secrets Manager User Guide, "Secret encryption and decryption".
_USE_BY_SECRETS_MANAGER = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]


@dataclass(frozen=True, kw_only=True)
class EncryptionKeyArgs:
    """Arguments of a key.

    Attributes:
        account_id: the account. Default: that of the program's default provider.
        partition: partition of the account. Default: that of the program's default provider.
        region: the region. Default: that of the program's default provider.
        alias: alias without the leading `alias/`; letters, digits, `/`, `_` and `-`.
        description: shown in the KMS console.
        reader_arns: ARNs of roles of other accounts that read secrets encrypted with it. Default: none.
        administrator_arns: ARNs of roles that maintain this key but not the account's other keys, such as a
            pipeline's. Default: none.
        tags: tags of the key. Default: none.
    """

    account_id: str = field(default_factory=look_up_account_id)
    partition: str = field(default_factory=look_up_partition)
    region: str = field(default_factory=look_up_region)
    alias: str
    description: str
    reader_arns: Sequence[str] = ()
    administrator_arns: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def key_policy(args: EncryptionKeyArgs) -> str:
    """Return the key policy."""
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
    """A symmetric KMS key that rotates yearly and decrypts only through Secrets Manager.

    It stays in AWS when it leaves the stack, because every secret encrypted with a deleted key is lost.

    Attributes:
        arn: ARN of the key.
    """

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(tokens.ENCRYPTION_KEY, name, None, opts)
        key = aws.kms.Key(
            f"{name}-key",
            description=args.description,
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=key_policy(args),
            tags=dict(args.tags) or None,
            # versions of secrets stay encrypted with it after the stack stops using it, or is gone
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
