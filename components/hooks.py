"""Hooks of secrets: explain a taken name, warn of changes that are not applied, check the first version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from .first_version import FirstVersions, MakeCurrent
from .undeployed_changes import undeployed_changes
from .visible import visible


@dataclass(frozen=True)
class Hooks:
    """Hooks that the secrets of a program share.

    Attributes:
        taken_name: explains a creation that failed because the name is taken, and a deletion because the
            secret is deleted already.
        undeployed_changes: warns of declared changes that will not be applied to the live secret.
        secret_created: records that a secret is new.
        version_created: makes the first version current if AWS did not.
        first_versions: the new secrets, which decide the labels of first versions.
    """

    taken_name: pulumi.ErrorHook
    undeployed_changes: pulumi.ResourceHook
    secret_created: pulumi.ResourceHook
    version_created: pulumi.ResourceHook
    first_versions: FirstVersions


def register_hooks(name: str, make_current: MakeCurrent | None = None) -> Hooks:
    """Register the hooks.

    Args:
        name: prefix of the hooks' names, unique in the program.
        make_current: moves AWSCURRENT to a version of a secret that has no current one. Default: none; the
            update fails with the command to run.
    """
    first_versions = FirstVersions(make_current)
    return Hooks(
        taken_name=pulumi.ErrorHook(f"{name}-taken-name", _explain_taken_name),
        undeployed_changes=pulumi.ResourceHook(
            f"{name}-out-of-reach",
            _warn_of_undeployed_changes,
            # at a preview, the operator can still change the program
            pulumi.ResourceHookOptions(on_dry_run=True),
        ),
        secret_created=pulumi.ResourceHook(f"{name}-secret-created", first_versions.secret_was_created),
        version_created=pulumi.ResourceHook(f"{name}-version-created", first_versions.version_was_created),
        first_versions=first_versions,
    )


def _explain_taken_name(failure: pulumi.ErrorHookArgs) -> bool:
    texts = " ".join(failure.errors)
    if failure.failed_operation == "delete":
        if "scheduled for deletion" in texts:
            pulumi.log.error(
                f"The secret {visible(failure.id)} is deleted already, by an interrupted update or by "
                "something else; the stack's state still contains it. To drop it from the state: "
                "pulumi up --refresh."
            )
        return False
    name = visible(str((failure.new_inputs or {}).get("name")))
    if "scheduled for deletion" in texts:
        pulumi.log.error(
            f"AWS reserves the name {name} until the recovery window of the deleted secret ends. Nothing was "
            f"created. To restore the old secret: aws secretsmanager restore-secret --secret-id {name}, "
            "then import it as docs/recovery.md says. To delete it for good: aws "
            f"secretsmanager delete-secret --secret-id {name} --force-delete-without-recovery, then "
            "pulumi up."
        )
    elif "already exists" in texts:
        pulumi.log.error(
            f"A secret named {name} exists in AWS but not in this stack's state: an update was interrupted, "
            "or something else created it. It was not changed. Import it as docs/recovery.md says, or choose "
            "another name. If it is in the state and its partner type has changed: AWS never changes a "
            "secret's type, so declare one with another name."
        )
    return False


async def _warn_of_undeployed_changes(update: pulumi.ResourceHookArgs) -> None:
    # a map that contains a secret arrives as an Output; the sentences have no values
    old, new = [await _known(inputs or {}) for inputs in (update.old_inputs, update.new_inputs)]
    if old is None or new is None:  # a preview of a value that another new resource has
        return
    for sentence in undeployed_changes(update.name, old, new):
        pulumi.log.warn(visible(sentence))


async def _known(inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the inputs without Outputs; None if one is not known yet."""
    return await pulumi.Output.all(**inputs).future()
