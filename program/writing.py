"""The writer of values in the account, for the secrets that have them written there."""

import pulumi

from components.value_writer import ValueWriter, ValueWriterArgs
from functions import build
from program.making import Making
from settings.modes import written_secrets


def declare(making: Making) -> ValueWriter | None:
    """The writer; None where all values are written once."""
    declared = making.settings.stack_file
    written = written_secrets(declared)
    if not written:
        return None
    key_ids = [making.kms_key_id(secret.kept) for secret in written]
    files = {there: pulumi.FileAsset(str(path)) for there, path in build.WRITER_FILES.items()}
    return ValueWriter(
        "writer",
        ValueWriterArgs(
            common=making.function_settings(),
            code=pulumi.AssetArchive(dict(files)),
            handler=build.WRITER_HANDLER,
            secret_names=[secret.name for secret in written],
            # the stack's key many times over is named once
            kms_key_ids=list(dict.fromkeys(found for found in key_ids if found is not None)),
        ),
    )
