"""Give every secret a current version at its creation, and never move AWSCURRENT from a live value.

The evidence on AWS's behaviour disagrees on one point. The API reference of PutSecretValue says that a
secret's first version gets AWSCURRENT whatever labels it is put with; HashiCorp's acceptance tests of
versionStages, run on AWS, assert that a version put with ["one"] has that label alone. Both agree that
["AWSCURRENT", "one"] gives exactly these two. So:

- The first version of a secret that this update created is put with AWSCURRENT: nobody can have written a
  value before.
- Any other initial version (an interrupted update created the secret; it was imported; its mode changed) is
  put with our own label alone, which moves AWSCURRENT from no live value.
- If AWS then makes it current, or another version is current, nothing is left to do. If no version is
  current, the label is moved without naming a version to remove it from, which AWS rejects if any version
  has it (UpdateSecretVersionStage, RemoveFromVersionId).
"""

from collections.abc import Callable
from typing import TypeAlias

import pulumi

from .version_labels import CURRENT_LABEL, INITIAL_VERSION_LABEL, LookupFailedError, list_versions

MakeCurrent: TypeAlias = Callable[[str, str], None]
"""Move AWSCURRENT to a version of a secret that has no current one: (ARN, version ID).

It raises an exception with the reason if AWS rejects that, and returns if another version became current.
"""


class FirstVersionError(pulumi.RunError):
    """A secret has no current version, or could not be checked."""


class FirstVersions:
    """The secrets that this update created, and the labels of their first versions."""

    def __init__(self, make_current: MakeCurrent | None) -> None:
        self._make_current = make_current or _without_a_client
        self._created: set[str] = set()

    def labels(self, arn: str) -> list[str]:
        """Return the staging labels of the initial version of this secret."""
        return [CURRENT_LABEL, INITIAL_VERSION_LABEL] if self.is_new(arn) else [INITIAL_VERSION_LABEL]

    def is_new(self, arn: str) -> bool:
        """Return whether this update created the secret."""
        return arn in self._created

    def secret_was_created(self, creation: pulumi.ResourceHookArgs) -> None:
        """Record a secret's creation; the engine calls this before the program learns the ARN."""
        self._created.add(str((creation.new_outputs or {})["arn"]))

    def version_was_created(self, creation: pulumi.ResourceHookArgs) -> None:
        """Make the initial version current if the secret has no current version.

        Raises:
            FirstVersionError: it has none; the message has the command that makes this one current.
        """
        outputs = creation.new_outputs or {}
        if CURRENT_LABEL in outputs["versionStages"]:
            return
        arn, version = str(outputs["secretId"]), str(outputs["versionId"])
        command = (
            f"aws secretsmanager update-secret-version-stage --secret-id {arn} "
            f"--version-stage {CURRENT_LABEL} --move-to-version-id {version}"
        )
        try:
            versions = list_versions(arn)
        except LookupFailedError as error:
            raise FirstVersionError(
                f"The versions of {arn} could not be checked: {error}. Allow "
                "secretsmanager:ListSecretVersionIds on it. If none is current, make this one current (AWS "
                f"rejects it otherwise): {command}"
            ) from None
        if any(CURRENT_LABEL in other.version_stages for other in versions):
            return
        try:
            self._make_current(arn, version)
        except Exception as error:  # noqa: BLE001  whatever the reason, the remedy is the same
            raise FirstVersionError(
                f"{arn} has no current version, so it cannot be read: an earlier update was interrupted "
                f"before its initial value was written. Making this version current failed: {error}. "
                f"Run: {command}"
            ) from None


def _without_a_client(arn: str, version: str) -> None:
    raise FirstVersionError(f"this program has no AWS client to make version {version} of {arn} current")
