"""The composition root: what a stack file declares becomes components and outputs."""

import re
from dataclasses import dataclass
from typing import TypeVar

import pulumi
import pulumi_aws as aws

from components import initial_value
from components.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.guards import Guards, register_guards
from components.secret import Replica, Secret, SecretArgs
from settings import Settings, StackFile, stack_file

Setting = TypeVar("Setting")


class AccountError(pulumi.RunError):
    """AWS could not be asked who we are: credentials, network or account are wrong."""


@dataclass(frozen=True)
class Account:
    """Where the stack's resources go."""

    account_id: str
    partition: str
    region: str


def declare(settings: Settings) -> None:
    """Declares every component of the stack and exports its outputs; never a value.

    Raises:
        AccountError: before anything is declared.
    """
    declared = settings.stack_file
    key = _encryption_key(declared, _account(settings.region))
    guards = register_guards("secrets")
    secrets = {
        name: Secret(
            name,
            _secret_args(name, secret, settings, key, guards),
            pulumi.ResourceOptions(protect=_chosen(secret.protect, declared.protect)),
        )
        for name, secret in declared.secrets.items()
    }
    if key:
        pulumi.export("encryptionKeyArn", key.arn)
    pulumi.export(
        "secrets",
        {
            name: {
                "arn": secret.arn,
                "name": secret.secret_name,
                "keys": secret.keys,
                "references": secret.references,
                "filledByHand": secret.filled_by_hand,
            }
            for name, secret in secrets.items()
        },
    )


def _chosen(own: Setting | None, stack_wide: Setting) -> Setting:
    return stack_wide if own is None else own


def _account(region: str) -> Account:
    try:
        caller = aws.get_caller_identity()
    except Exception as error:  # noqa: BLE001  the SDK raises nothing narrower for a failed invoke
        cause = str(error).rpartition("returned an error: ")[2]
        raise AccountError(
            f"AWS cannot be used as configured; nothing was declared or changed.\n\n  {cause}\n\n"
            "  Check the credentials, aws:region, aws:allowedAccountIds and the network."
        ) from None
    return Account(caller.account_id, caller.arn.split(":")[1], region)


def _encryption_key(declared: StackFile, account: Account) -> EncryptionKey | None:
    choices = [_chosen(secret.encryption, declared.encryption) for secret in declared.secrets.values()]
    if "stack-key" not in choices:
        return None
    owner = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    return EncryptionKey(
        "stack",
        EncryptionKeyArgs(
            account_id=account.account_id,
            partition=account.partition,
            region=account.region,
            alias=re.sub(r"[^A-Za-z0-9/_-]", "-", owner),
            description=f"Encrypts the secrets of {owner}",
            tags=declared.tags,
        ),
    )


def _secret_args(
    name: str, secret: stack_file.Secret, settings: Settings, key: EncryptionKey | None, guards: Guards
) -> SecretArgs:
    declared = settings.stack_file
    return SecretArgs(
        secret_name=name,
        values={key: _initial_value(value, settings) for key, value in secret.values.items()},
        description=secret.description,
        kms_key_id=_kms_key_id(_chosen(secret.encryption, declared.encryption), key),
        recovery_window_days=_chosen(secret.recovery_window_days, declared.recovery_window_days),
        policy=secret.policy and {"Version": "2012-10-17", **secret.policy},
        replicas=[
            Replica(region=replica.region, kms_key_id=_kms_key_id(replica.encryption, None))
            for replica in _chosen(secret.replicas, declared.replicas)
        ],
        tags={**declared.tags, **secret.tags},
        guards=guards,
    )


def _kms_key_id(encryption: str, key: EncryptionKey | None) -> pulumi.Input[str] | None:
    match encryption:
        case "aws-managed":
            return None
        case "stack-key":
            return key.arn if key else None
        case arn:
            return arn


def _initial_value(value: stack_file.Value, settings: Settings) -> initial_value.InitialValue:
    if value.random is not None:
        return initial_value.Random(**value.random.model_dump())
    if value.random_bytes is not None:
        return initial_value.RandomBytes(**value.random_bytes.model_dump())
    if value.config is not None:
        return initial_value.Given(value=settings.configured[value.config])
    if value.filled_by_hand is not None:
        return initial_value.FilledByHand(hint=value.filled_by_hand)
    return initial_value.Given(value=value.value or "")
