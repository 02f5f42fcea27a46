"""Declare the function that writes values in the account, if a secret needs it."""

import pulumi

from components.lambdas import build
from components.value_writer import ValueWriter, ValueWriterArgs
from program.desired import WRITER
from program.secret_args import SecretDefaults


def declare(defaults: SecretDefaults) -> ValueWriter | None:
    """Return the value writer; None if Pulumi writes all initial values itself."""
    written = defaults.desired.written_secrets
    if not written:
        return None
    key_arns = [defaults.kms_key_arn(secret.encryption) for secret in written]
    files = {name: pulumi.FileAsset(str(path)) for name, path in build.WRITER_FILES.items()}
    return ValueWriter(
        WRITER,
        ValueWriterArgs(
            common=defaults.function_settings(),
            code=pulumi.AssetArchive(dict(files)),
            handler=build.WRITER_HANDLER,
            secret_names=[secret.name for secret in written],
            kms_key_arns=list(dict.fromkeys(arn for arn in key_arns if arn is not None)),
        ),
    )
