"""The secret that a renamed one gets its values from."""

from collections.abc import Mapping

import pulumi

from components.lambdas import build
from components.secret import Secret
from components.secret_copier import CopyOf
from program.desired import DesiredSecret
from program.secret_args import SecretDefaults


def copy_of(defaults: SecretDefaults, secret: DesiredSecret, others: Mapping[str, Secret]) -> CopyOf | None:
    """Return what a secret copies; None unless another one is being renamed to it.

    Args:
        defaults: what the stack's components share.
        secret: the secret with the new name.
        others: the secrets that are declared already, by name in AWS.
    """
    if secret.renamed_from is None:
        return None
    source = others[secret.renamed_from]
    encryptions = (defaults.desired.secrets[secret.renamed_from].encryption, secret.encryption)
    files = {name: pulumi.FileAsset(str(path)) for name, path in build.COPIER_FILES.items()}
    return CopyOf(
        secret_name=secret.renamed_from,
        secret_arn=source.arn,
        kms_key_ids=[defaults.kms_key_arn(encryption) for encryption in dict.fromkeys(encryptions)],
        after=source.written,
        common=defaults.function_settings(),
        code=pulumi.AssetArchive(dict(files)),
        handler=build.COPIER_HANDLER,
    )
