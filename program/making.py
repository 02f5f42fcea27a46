"""What the stack file's settings mean for the arguments of any secret."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pulumi

from components import initial_value, rotation_tags
from components.encryption_key import EncryptionKey
from components.function_parts import FunctionSettings
from components.guards import Guards
from components.policies import READ_VALUES
from components.secret import Replica, SecretArgs
from components.value_writer import ValueWriter
from settings import Settings, StackFile
from settings import secrets as declared_secrets
from settings.configured import without_line_ends
from settings.modes import mode_of

Setting = TypeVar("Setting")


@dataclass(frozen=True)
class Account:
    """Where the stack's resources go."""

    account_id: str
    partition: str
    region: str


def key_alias(project: str, stack: str) -> str:
    """What a stack's KMS key is called, without the leading `alias/`."""
    return re.sub(r"[^A-Za-z0-9/_-]", "-", f"{project}/{stack}")


def name_prefix(declared: StackFile) -> str:
    """What the names begin with of all that the stack makes; nothing where no pipeline updates it."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}_" if declared.update_role else ""


def log_group_prefix(declared: StackFile) -> str:
    """What the names of the log groups of the stack's functions begin with."""
    return f"/aws/lambda/{name_prefix(declared)}"


def chosen(own: Setting | None, stack_wide: Setting) -> Setting:
    """A secret's own setting, else the stack's."""
    return stack_wide if own is None else own


@dataclass(frozen=True)
class Making:
    """What all secrets of the stack are made with.

    Attributes:
        settings: the stack's.
        account: where.
        key: the stack's key, if anything is encrypted with it.
        guards: hooks of all secrets.
        foreign_readers: secret to the roles of other accounts that read it.
        writer: of values in the account, if any secret has them written there.
    """

    settings: Settings
    account: Account
    key: EncryptionKey | None
    guards: Guards
    foreign_readers: Mapping[str, Sequence[str]]
    writer: ValueWriter | None = None

    def options(self, secret: declared_secrets.Kept) -> pulumi.ResourceOptions:
        """Options of the component that a secret belongs to."""
        return pulumi.ResourceOptions(protect=chosen(secret.protect, self.settings.stack_file.protect))

    def secret_args(self, name: str, secret: declared_secrets.Kept) -> SecretArgs:
        """How a secret is kept, without values."""
        stack_wide = self.settings.stack_file
        partner = secret.partner if isinstance(secret, declared_secrets.Secret) else None
        return SecretArgs(
            secret_name=name,
            values={},
            mode=mode_of(stack_wide, secret),
            writer=self.writer,
            removed_keys=secret.removed_keys,
            description=secret.description,
            kms_key_id=self.kms_key_id(secret),
            recovery_window_days=chosen(secret.recovery_window_days, stack_wide.recovery_window_days),
            policy=policy_of(secret, self.foreign_readers.get(name, ())),
            replicas=[
                Replica(region=replica.region, kms_key_id=self._key_named(replica.encryption))
                for replica in chosen(secret.replicas, stack_wide.replicas)
            ],
            tags=tags_of(stack_wide, secret),
            partner_type=partner.type if partner else None,
            guards=self.guards,
        )

    def kms_key_id(self, secret: declared_secrets.Kept) -> pulumi.Input[str] | None:
        """ARN of the key or alias that encrypts a secret; None for AWS's own."""
        return self._key_named(chosen(secret.encryption, self.settings.stack_file.encryption))

    def _key_named(self, encryption: str) -> pulumi.Input[str] | None:
        match encryption:
            case "aws-managed":
                return None
            case "stack-key":
                return self.key.arn if self.key else None
            case arn:
                return arn

    def function_settings(self) -> FunctionSettings:
        """What all functions of the stack have in common."""
        declared = self.settings.stack_file
        return FunctionSettings(
            account_id=self.account.account_id,
            partition=self.account.partition,
            region=self.account.region,
            architecture=declared.rotation.architecture,
            log_retention_days=declared.rotation.log_retention_days,
            alarm_topic_arn=declared.rotation.alarm_topic_arn,
            tags=declared.tags,
            permissions_boundary=declared.permissions_boundary,
            # the engine does not name log groups
            log_group_prefix=log_group_prefix(declared),
        )

    def initial_values(
        self, values: Mapping[str, declared_secrets.Value]
    ) -> dict[str, initial_value.InitialValue]:
        """Where the first values of a secret's keys come from."""
        return {
            key: self._initial_value(value)
            if value.json_ is None
            else initial_value.Structure(value=value.json_, generation=value.generation)
            for key, value in values.items()
        }

    def whole(self, secret: declared_secrets.Secret) -> initial_value.Whole | None:
        """Where a secret's whole value comes from; None if it has keys."""
        if secret.text is not None:
            return initial_value.Text(source=self._initial_value(secret.text))
        if secret.binary is None:
            return None
        declared = secret.binary
        if declared.random_bytes is not None:
            options = declared.random_bytes.model_dump()
            return initial_value.Binary(
                source=initial_value.RandomBytes(**options, encoding="base64", generation=declared.generation)
            )
        if declared.config is not None:
            given = self.settings.configured[declared.config].apply(without_line_ends)
            return initial_value.Binary(
                source=initial_value.Given(value=given, generation=declared.generation)
            )
        return initial_value.Binary(source=initial_value.FilledByHand(hint=declared.filled_by_hand or ""))

    def _initial_value(self, value: declared_secrets.Text) -> initial_value.Source:
        generation = value.generation
        if value.random is not None:
            return initial_value.Random(**value.random.model_dump(), generation=generation)
        if value.random_bytes is not None:
            return initial_value.RandomBytes(**value.random_bytes.model_dump(), generation=generation)
        if value.config is not None:
            return initial_value.Given(value=self.settings.configured[value.config], generation=generation)
        if value.filled_by_hand is not None:
            return initial_value.FilledByHand(hint=value.filled_by_hand)
        return initial_value.Given(value=value.value or "", generation=generation)


def policy_of(secret: declared_secrets.Kept, readers: Sequence[str]) -> dict[str, object] | None:
    """A secret's resource policy, which lets in these roles of other accounts too; None where it has none."""
    if not secret.policy and not readers:
        return None
    declared: Mapping[str, object] = secret.policy or {"Statement": []}
    statements = declared["Statement"]
    reading = {
        "Sid": "RolesOfOtherAccountsRead",
        "Effect": "Allow",
        "Principal": {"AWS": list(readers)},
        "Action": READ_VALUES,
        "Resource": "*",
    }
    return {
        "Version": "2012-10-17",
        **declared,
        "Statement": [
            *(statements if isinstance(statements, list) else [statements]),
            *([reading] if readers else []),
        ],
    }


def tags_of(stack_file: StackFile, secret: declared_secrets.Kept) -> dict[str, str]:
    """A secret's tags in AWS, without those that a login has by itself."""
    return {**stack_file.tags, **secret.tags, **_rotation_tags(secret)}


def _rotation_tags(secret: declared_secrets.Kept) -> dict[str, str]:
    rotation = secret.rotation if isinstance(secret, declared_secrets.Secret) else None
    if rotation is None or not rotation.renewed_keys:
        return {}
    return rotation_tags.of_random_keys(rotation.renewed_keys, rotation.length, rotation.format)
