"""Give every secret a current version at its creation, and never take AWSCURRENT from a live one.

The evidence on what AWS does is split on one point. The API reference of PutSecretValue says that AWSCURRENT
is added to a secret's very first version whatever labels it is put with; HashiCorp's acceptance tests of
versionStages, run on AWS, assert that a version put with ["one"] has that label alone. Both agree that
["AWSCURRENT", "one"] gives exactly these two. So:

- The first version of a secret that this update has created is put with AWSCURRENT: nobody can have written
  a value before it.
- Any other initial version (the secret was created by an earlier update, which was interrupted; it was
  imported; its mode changed) is put with our own label alone, which moves AWSCURRENT from no live value.
- If AWS then made it current, or another version is current, that is all. If no version is current, the
  label is moved without naming a version to take it from, which AWS refuses if any version has it
  (UpdateSecretVersionStage, RemoveFromVersionId).
"""

from collections.abc import Callable
from typing import TypeAlias

import pulumi

from components.versions import CURRENT_LABEL, INITIAL_VERSION_LABEL, LookupFailedError, list_versions

MakeCurrent: TypeAlias = Callable[[str, str], None]
"""Moves AWSCURRENT to a version of a secret that has no current one: (ARN, version id).

Raises an exception whose text tells why if AWS refused; returns if another version has become current.
"""


class FirstVersionError(pulumi.RunError):
    """A secret is left without a current version, or it cannot be found out."""


class FirstVersions:
    """The secrets that this update has created."""

    def __init__(self, make_current: MakeCurrent | None) -> None:
        self._make_current = make_current or _without_a_client
        self._created: set[str] = set()

    def labels(self, arn: str) -> list[str]:
        """Return the staging labels that the initial version of this secret is put with."""
        return [CURRENT_LABEL, INITIAL_VERSION_LABEL] if self.is_new(arn) else [INITIAL_VERSION_LABEL]

    def is_new(self, arn: str) -> bool:
        """Return whether this update has created the secret."""
        return arn in self._created

    def secret_was_created(self, creation: pulumi.ResourceHookArgs) -> None:
        """Record a secret's creation; the engine calls this before the program learns the ARN."""
        self._created.add(str((creation.new_outputs or {})["arn"]))

    def version_was_created(self, creation: pulumi.ResourceHookArgs) -> None:
        """See that the secret has a current version now that its initial one was put.

        Raises:
            FirstVersionError: it has none; the text has the command that makes this one current.
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
                f"Whether {arn} has a current version could not be checked: {error}. Allow "
                "secretsmanager:ListSecretVersionIds on it. If it has none, make this one current (AWS "
                f"refuses it otherwise): {command}"
            ) from None
        if any(CURRENT_LABEL in other.version_stages for other in versions):
            return
        try:
            self._make_current(arn, version)
        except Exception as error:  # noqa: BLE001  whatever the reason, the remedy is the same
            raise FirstVersionError(
                f"{arn} has no current version, so it cannot be read: an earlier update was interrupted "
                f"before its first value was written. It could not be made current here: {error}. "
                f"Run: {command}"
            ) from None


def _without_a_client(arn: str, version: str) -> None:
    raise FirstVersionError(f"this program has no AWS client to make {version} of {arn} current with")
