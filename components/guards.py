"""Hooks that tell the operator what the engine does not: a taken name, a change that stays out of AWS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.reach import out_of_reach
from components.visible import visible


@dataclass(frozen=True)
class Guards:
    """Hooks that all secrets of a program share; their names must be unique in it."""

    taken_name: pulumi.ErrorHook
    out_of_reach: pulumi.ResourceHook


def register_guards(name: str) -> Guards:
    """Registers the hooks under this prefix."""
    return Guards(
        taken_name=pulumi.ErrorHook(f"{name}-taken-name", _say_what_to_do_about_a_taken_name),
        out_of_reach=pulumi.ResourceHook(
            f"{name}-out-of-reach",
            _warn_of_what_stays_out_of_aws,
            # a preview is where the operator can still write something else
            pulumi.ResourceHookOptions(on_dry_run=True),
        ),
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
            "state; or choose another name."
        )
    return False


async def _warn_of_what_stays_out_of_aws(update: pulumi.ResourceHookArgs) -> None:
    # a map with a secret in it comes as an Output; the sentences have no values
    old, new = [await _known(inputs or {}) for inputs in (update.old_inputs, update.new_inputs)]
    for sentence in out_of_reach(update.name, old, new):
        pulumi.log.warn(visible(sentence))


async def _known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: await pulumi.Output.from_input(value).future() for name, value in inputs.items()}
