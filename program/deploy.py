"""The composition root: declares the components of a stack and exports its outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pulumi
import pulumi_aws as aws

from components.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.hooks import register_hooks
from components.secret import Secret
from program import (
    account_checks,
    authorities,
    aws_lookups,
    existing_secrets,
    first_versions,
    limits,
    notices,
    pipeline,
    placeholders,
    rehearsals,
    renames,
    rotations,
    smtp,
    value_writer,
    workloads,
)
from program.arns import Account
from program.desired import Desired, resolve
from program.invokes import cause_of
from program.secret_args import SecretDefaults
from stack_file.loading import Settings


class AccountError(pulumi.RunError):
    """The account cannot be determined: AWS rejects the credentials, or cannot be reached."""


def declare(settings: Settings) -> None:
    """Declare every component of the stack and export its outputs; never a secret value.

    Raises:
        AccountError, SettingsError, rotations.ArchiveError: before anything is declared.
    """
    declared = settings.stack_file
    account = _account(settings.region)
    if declared.pipeline:
        pulumi.export("pipeline", pipeline.declare(declared.pipeline, account, declared.tags))
        return
    desired = resolve(declared, pulumi.get_project(), pulumi.get_stack(), settings.included)
    servers = aws_lookups.look_up(desired, account)
    existing = existing_secrets.look_up(desired, account)
    trusted = authorities.of_workloads(desired, servers.databases, account.region)
    archive = rotations.archive(desired)
    account_checks.check(desired, account, limits.mistakes(desired, account, servers, existing))
    readers = desired.cross_account_readers(account)
    key = _encryption_key(desired, account, readers)
    hooks = register_hooks("secrets", first_versions.make_current)
    defaults = SecretDefaults(desired, settings.config_secrets, account, key, hooks, readers)
    writer = value_writer.declare(defaults)
    defaults = replace(defaults, writer=writer)
    functions = rotations.declare_functions(defaults, servers, archive)
    secrets = _secrets(defaults)
    rotations.attach(defaults, secrets, functions)
    rotations.attach_partners(defaults, secrets)
    rotations.declare_master_rotations(desired, servers)
    logins = rotations.declare_logins(defaults, servers, functions)
    cache_logins = rotations.declare_cache_logins(defaults, servers, functions)
    mail = smtp.declare(defaults, functions)
    components = {
        **secrets,
        **{name: login.secret for of_database in logins.values() for name, login in of_database.items()},
        **{name: login.secret for of_cache in cache_logins.values() for name, login in of_cache.items()},
        **{name: credentials.secret for name, credentials in mail.items()},
    }
    sources = workloads.Sources(components, existing, servers.databases)
    rooms = limits.inline_rooms(desired, account, existing)
    read = workloads.declare(defaults, sources, trusted, rooms)
    noticing = notices.declare(defaults)
    rehearsing = rehearsals.declare(defaults, servers, functions)
    placeholders.warn_if_unfilled(desired, components, hooks.first_versions)
    if key:
        pulumi.export("encryptionKeyArn", key.arn)
    pulumi.export("secrets", {name: _secret_outputs(secret) for name, secret in components.items()})
    if renamed := _renames(desired, secrets):
        pulumi.export("renames", renamed)
    for name, one in (("writer", writer), ("notices", noticing), ("rehearsal", rehearsing)):
        if one:
            pulumi.export(name, {"function": one.function_name, "logGroup": one.log_group_name})
    if logins:
        pulumi.export("databases", rotations.database_outputs(servers, functions, logins))
    if cache_logins:
        pulumi.export("caches", rotations.cache_outputs(servers, functions, cache_logins))
    if mail:
        pulumi.export("smtp", smtp.outputs(mail, functions))
    if read:
        pulumi.export("workloads", read)


def _secrets(defaults: SecretDefaults) -> dict[str, Secret]:
    """Declare the secrets outside databases; return them by name in AWS, in the order of the stack file."""
    names = list(defaults.desired.stack_file.secrets)
    secrets: dict[str, Secret] = {}
    for name in sorted(names, key=lambda one: defaults.desired.secrets[one].renamed_from is not None):
        secrets[name] = _secret(defaults, name, secrets)
    return {name: secrets[name] for name in names}


def _secret(defaults: SecretDefaults, name: str, others: Mapping[str, Secret]) -> Secret:
    declared, secret = defaults.desired.stack_file.secrets[name], defaults.desired.secrets[name]
    args = replace(
        defaults.secret_args(secret),
        values=defaults.initial_values(declared.values),
        whole=defaults.whole(declared),
        copy_of=renames.copy_of(defaults, secret, others),
    )
    return Secret(name, args, defaults.options(secret))


def _renames(desired: Desired, secrets: Mapping[str, Secret]) -> dict[str, object]:
    return {
        name: {
            "from": desired.secrets[name].renamed_from,
            "function": secret.copier.function_name,
            "logGroup": secret.copier.log_group_name,
        }
        for name, secret in secrets.items()
        if secret.copier
    }


def _secret_outputs(secret: Secret) -> dict[str, object]:
    return {
        "arn": secret.arn,
        "name": secret.secret_name,
        "keys": secret.keys,
        "references": secret.references,
        "filledByHand": secret.filled_by_hand,
        **({} if secret.content == "keys" else {"content": secret.content}),
        **({} if secret.hint is None else {"hint": secret.hint}),
    }


def _account(region: str) -> Account:
    try:
        caller = aws.get_caller_identity()
    except Exception as error:  # noqa: BLE001  the SDK raises nothing narrower for a failed invoke
        raise AccountError(
            "Cannot determine the AWS account; nothing was declared or changed.\n\n"
            f"  {cause_of(error)}\n\n"
            "  Check the credentials, aws:region, aws:allowedAccountIds and the network."
        ) from None
    return Account(caller.account_id, caller.arn.split(":")[1], region)


def _encryption_key(
    desired: Desired, account: Account, readers: Mapping[str, Sequence[str]]
) -> EncryptionKey | None:
    encrypted = desired.stack_key_secrets
    if not encrypted:
        return None
    declared = desired.stack_file
    return EncryptionKey(
        "stack",
        EncryptionKeyArgs(
            account_id=account.account_id,
            partition=account.partition,
            region=account.region,
            alias=desired.key_alias,
            description=f"Encrypts the secrets of {desired.project}/{desired.stack}",
            reader_arns=sorted({arn for secret in encrypted for arn in readers.get(secret.name, ())}),
            administrator_arns=[declared.update_role] if declared.update_role else [],
            tags=declared.tags,
        ),
    )
