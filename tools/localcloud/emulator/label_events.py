"""Notify EventBridge of staging labels that move to a version of a secret.

Source: AWS Secrets Manager User Guide, "Secret event notifications", "Secret Label Updated event".
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tools.localcloud.emulator import event_bus
from tools.localcloud.emulator.secrets_rules import PENDING, PREVIOUS, Secret

_SILENT = {PENDING, PREVIOUS}


@contextmanager
def told(secret: Secret) -> Iterator[None]:
    """Publish an event for each label moved in the context; none if it ends with an error."""
    before = _holders(secret)
    yield
    account = secret.arn.split(":")[4]
    for label, version_id in sorted(_holders(secret).items()):
        if label not in _SILENT and before.get(label) != version_id:
            event_bus.publish(
                account=account,
                region=secret.region,
                source="aws.secretsmanager",
                detail_type="Secret Label Updated",
                resources=[secret.arn],
                detail={"name": secret.name, "labelUpdated": label, "versionId": version_id},
            )


def _holders(secret: Secret) -> dict[str, str]:
    return {label: version.version_id for version in secret.versions.values() for label in version.labels}
