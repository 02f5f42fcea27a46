"""The writer of values in the account, for the secrets that have them written there."""

import pulumi

from components.encryption_key import EncryptionKey
from components.value_writer import ValueWriter, ValueWriterArgs
from functions import build
from program.making import Account, kms_key_id, log_group_prefix, mode_of
from settings import StackFile
from settings.stack_secrets import stack_secrets


def declare(declared: StackFile, account: Account, key: EncryptionKey | None) -> ValueWriter | None:
    """The writer; None where all values are written once."""
    written = [secret for secret in stack_secrets(declared) if mode_of(secret.kept, declared) != "once"]
    if not written:
        return None
    common = declared.rotation
    key_ids = [kms_key_id(secret.kept, declared, key) for secret in written]
    files = {there: pulumi.FileAsset(str(path)) for there, path in build.WRITER_FILES.items()}
    return ValueWriter(
        "writer",
        ValueWriterArgs(
            account_id=account.account_id,
            partition=account.partition,
            region=account.region,
            code=pulumi.AssetArchive(dict(files)),
            handler=build.WRITER_HANDLER,
            secret_names=[secret.name for secret in written],
            # the stack's key many times over is named once
            kms_key_ids=list(dict.fromkeys(found for found in key_ids if found is not None)),
            architecture=common.architecture,
            log_retention_days=common.log_retention_days,
            alarm_topic_arn=common.alarm_topic_arn,
            tags=declared.tags,
            permissions_boundary=declared.permissions_boundary,
            log_group_prefix=log_group_prefix(declared),
        ),
    )
