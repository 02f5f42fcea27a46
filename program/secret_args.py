"""The arguments of a secret's component, from what the stack file means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import initial_value
from components.encryption_key import EncryptionKey
from components.function_parts import FunctionSettings
from components.hooks import Hooks
from components.secret import Replica, SecretArgs
from components.value_writer import ValueWriter
from program.arns import Account
from program.desired import Desired, DesiredSecret
from stack_file import secrets as declared_secrets
from stack_file.config_secrets import without_whitespace


@dataclass(frozen=True)
class SecretDefaults:
    """Values that all secrets of the stack share.

    Attributes:
        desired: the stack.
        config_secrets: config key to value, as a secret Output.
        account: the account and region of the stack.
        key: the stack's KMS key; None if it encrypts nothing.
        hooks: hooks of all secrets.
        cross_account_readers: secret to the roles of other accounts that read it.
        writer: the function that writes values in the account; None if no secret needs it.
    """

    desired: Desired
    config_secrets: Mapping[str, pulumi.Output[str]]
    account: Account
    key: EncryptionKey | None
    hooks: Hooks
    cross_account_readers: Mapping[str, Sequence[str]]
    writer: ValueWriter | None = None

    def options(self, secret: DesiredSecret) -> pulumi.ResourceOptions:
        """Return the options of the component that a secret belongs to."""
        return pulumi.ResourceOptions(protect=secret.protect)

    def secret_args(self, secret: DesiredSecret) -> SecretArgs:
        """Return a secret's arguments, without its values."""
        return SecretArgs(
            secret_name=secret.name,
            values={},
            mode=secret.mode,
            writer=self.writer,
            removed_keys=secret.settings.removed_keys,
            description=secret.description,
            kms_key_id=self.kms_key_arn(secret.encryption),
            recovery_window_days=secret.recovery_window_days,
            policy=secret.policy(self.cross_account_readers.get(secret.name, ())),
            replicas=[
                Replica(region=replica.region, kms_key_id=self.kms_key_arn(replica.encryption))
                for replica in secret.replicas
            ],
            tags=secret.tags,
            partner_type=secret.partner.type if secret.partner else None,
            hooks=self.hooks,
        )

    def kms_key_arn(self, encryption: str) -> pulumi.Input[str] | None:
        """Return the ARN of the key or alias that encrypts a secret; None for the AWS managed key.

        Args:
            encryption: `stack-key`, `aws-managed`, or an ARN.
        """
        match encryption:
            case "aws-managed":
                return None
            case "stack-key":
                return self.key.arn if self.key else None
            case arn:
                return arn

    def function_settings(self) -> FunctionSettings:
        """Return the settings of every function of the stack."""
        declared = self.desired.stack_file
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
            log_group_prefix=self.desired.log_group_prefix,
        )

    def initial_values(
        self, values: Mapping[str, declared_secrets.Value]
    ) -> dict[str, initial_value.InitialValue]:
        """Return the source of the initial value of each key."""
        return {
            key: self._source(value)
            if value.json_ is None
            else initial_value.Structure(value=value.json_, generation=value.generation)
            for key, value in values.items()
        }

    def whole(self, secret: declared_secrets.Secret) -> initial_value.Whole | None:
        """Return the source of a secret's whole value; None if it has keys."""
        if secret.text is not None:
            return initial_value.Text(source=self._source(secret.text))
        if secret.binary is None:
            return None
        declared = secret.binary
        if declared.random_bytes is not None:
            options = declared.random_bytes.model_dump()
            return initial_value.Binary(
                source=initial_value.RandomBytes(**options, encoding="base64", generation=declared.generation)
            )
        if declared.config is not None:
            given = self.config_secrets[declared.config].apply(without_whitespace)
            return initial_value.Binary(
                source=initial_value.Given(value=given, generation=declared.generation)
            )
        return initial_value.Binary(source=initial_value.FilledByHand(hint=declared.filled_by_hand or ""))

    def _source(self, value: declared_secrets.Text) -> initial_value.Source:
        generation = value.generation
        if value.random is not None:
            return initial_value.Random(**value.random.model_dump(), generation=generation)
        if value.random_bytes is not None:
            return initial_value.RandomBytes(**value.random_bytes.model_dump(), generation=generation)
        if value.config is not None:
            return initial_value.Given(value=self.config_secrets[value.config], generation=generation)
        if value.filled_by_hand is not None:
            return initial_value.FilledByHand(hint=value.filled_by_hand)
        return initial_value.Given(value=value.value or "", generation=generation)
