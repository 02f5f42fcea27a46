"""Hooks shared by all secrets of a program: a taken name, changes not applied to AWS, the first version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.first_version import FirstVersions, MakeCurrent
from components.reach import out_of_reach
from components.visible import visible


@dataclass(frozen=True)
class Guards:
    """Hooks that all secrets of a program share; their names must be unique in it.

    Attributes:
        taken_name: explains a creation that failed because the name is taken.
        out_of_reach: warns of declared changes that will not be applied to the live secret.
        secret_created: records that a secret is new.
        version_created: makes the first version current where AWS did not.
        first_versions: which secrets are new, and so which labels their first version gets.
    """

    taken_name: pulumi.ErrorHook
    out_of_reach: pulumi.ResourceHook
    secret_created: pulumi.ResourceHook
    version_created: pulumi.ResourceHook
    first_versions: FirstVersions


def register_guards(name: str, make_current: MakeCurrent | None = None) -> Guards:
    """Register the hooks under this prefix.

    Args:
        name: prefix of the hooks' names.
        make_current: moves AWSCURRENT to a version of a secret that has no current one; without it the
            operator is told the command.
    """
    first_versions = FirstVersions(make_current)
    return Guards(
        taken_name=pulumi.ErrorHook(f"{name}-taken-name", _say_what_to_do_about_a_taken_name),
        out_of_reach=pulumi.ResourceHook(
            f"{name}-out-of-reach",
            _warn_of_what_stays_out_of_aws,
            # a preview is where the operator can still write something else
            pulumi.ResourceHookOptions(on_dry_run=True),
        ),
        secret_created=pulumi.ResourceHook(f"{name}-secret-created", first_versions.secret_was_created),
        version_created=pulumi.ResourceHook(f"{name}-version-created", first_versions.version_was_created),
        first_versions=first_versions,
    )


def _say_what_to_do_about_a_taken_name(failure: pulumi.ErrorHookArgs) -> bool:
    name = visible(str((failure.new_inputs or {}).get("name")))
    texts = " ".join(failure.errors)
    if "scheduled for deletion" in texts:
        pulumi.log.error(
            f"AWS keeps the name {name} until the recovery window of the deleted secret ends. Nothing was "
            f"created. To have the old secret back: aws secretsmanager restore-secret --secret-id {name}, "
            "then take it into the state as docs/recovery.md says. To give it up for good: aws "
            f"secretsmanager delete-secret --secret-id {name} --force-delete-without-recovery, then "
            "pulumi up."
        )
    elif "already exists" in texts:
        pulumi.log.error(
            f"A secret named {name} is in AWS but not in this stack's state: an update was interrupted, or "
            "something else made it. It was left as it is. docs/recovery.md says how to take it into the "
            "state; or choose another name. If it is in the state and its partner's type has changed: AWS "
            "gives a secret its type for good, so write one with another name."
        )
    return False


async def _warn_of_what_stays_out_of_aws(update: pulumi.ResourceHookArgs) -> None:
    # a map with a secret in it comes as an Output; the sentences have no values
    old, new = [await _known(inputs or {}) for inputs in (update.old_inputs, update.new_inputs)]
    for sentence in out_of_reach(update.name, old, new):
        pulumi.log.warn(visible(sentence))


async def _known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: await pulumi.Output.from_input(value).future() for name, value in inputs.items()}
