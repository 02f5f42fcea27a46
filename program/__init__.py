"""The composition root: what a stack file declares becomes components and outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pulumi
import pulumi_aws as aws

from components.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.guards import register_guards
from components.secret import Secret
from program import (
    authorities,
    existing_secrets,
    first_versions,
    limits,
    lookup,
    pipeline,
    placeholders,
    rotations,
    workloads,
    writing,
)
from program.invokes import cause_of
from program.making import Account, Making, chosen, key_alias
from settings import Settings, StackFile
from settings.stack_secrets import stack_secrets


class AccountError(pulumi.RunError):
    """AWS could not be asked who we are: credentials, network or account are wrong."""


def declare(settings: Settings) -> None:
    """Declares every component of the stack and exports its outputs; never a value.

    Raises:
        AccountError, SettingsError, rotations.ArchiveError: before anything is declared.
    """
    declared = settings.stack_file
    account = _account(settings.region)
    if declared.pipeline:
        pulumi.export("pipeline", pipeline.declare(declared.pipeline, account, declared.tags))
        return
    servers = lookup.look_up(declared.databases, account)
    existing = existing_secrets.look_up(declared, account)
    trusted = authorities.of_workloads(declared, servers, account.region)
    archive = rotations.archive(settings)
    foreign_readers = workloads.foreign_readers(
        declared, account, limits.mistakes(declared, account, servers, existing)
    )
    key = _encryption_key(declared, account, foreign_readers)
    guards = register_guards("secrets", first_versions.make_current)
    making = Making(settings, account, key, guards, foreign_readers)
    writer = writing.declare(making)
    making = replace(making, writer=writer)
    functions = rotations.declare_functions(making, servers, archive)
    secrets = {
        name: Secret(
            name,
            replace(
                making.secret_args(name, secret),
                values=making.initial_values(secret.values),
                whole=making.whole(secret),
            ),
            making.options(secret),
        )
        for name, secret in declared.secrets.items()
    }
    rotations.attach(making, secrets, functions)
    rotations.attach_partners(making, secrets)
    rotations.declare_master_rotations(making, servers)
    logins = rotations.declare_logins(making, servers, functions)
    made = {
        **secrets,
        **{name: login.secret for database in logins.values() for name, login in database.items()},
    }
    read = workloads.declare(
        making, workloads.Sources(made, existing), trusted, limits.inline_rooms(declared, account, existing)
    )
    placeholders.warn_about_empty_ones(declared, made, guards.first_versions)
    if key:
        pulumi.export("encryptionKeyArn", key.arn)
    pulumi.export("secrets", {name: _secret_outputs(secret) for name, secret in made.items()})
    if writer:
        pulumi.export("writer", {"function": writer.function_name, "logGroup": writer.log_group_name})
    if logins:
        pulumi.export("databases", rotations.outputs(servers, functions, logins))
    if read:
        pulumi.export("workloads", read)


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
            f"AWS cannot be used as configured; nothing was declared or changed.\n\n  {cause_of(error)}\n\n"
            "  Check the credentials, aws:region, aws:allowedAccountIds and the network."
        ) from None
    return Account(caller.account_id, caller.arn.split(":")[1], region)


def _encryption_key(
    declared: StackFile, account: Account, foreign_readers: Mapping[str, Sequence[str]]
) -> EncryptionKey | None:
    with_stack_key = {
        secret.name
        for secret in stack_secrets(declared)
        if chosen(secret.kept.encryption, declared.encryption) == "stack-key"
    }
    if not with_stack_key:
        return None
    project, stack = pulumi.get_project(), pulumi.get_stack()
    return EncryptionKey(
        "stack",
        EncryptionKeyArgs(
            account_id=account.account_id,
            partition=account.partition,
            region=account.region,
            alias=key_alias(project, stack),
            description=f"Encrypts the secrets of {project}/{stack}",
            reader_arns=sorted({arn for name in with_stack_key for arn in foreign_readers.get(name, ())}),
            administrator_arns=[declared.update_role] if declared.update_role else [],
            tags=declared.tags,
        ),
    )
