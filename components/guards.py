"""Hooks for the moments when AWS holds something that Pulumi's state does not know."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

# AWS deletes versions without a staging label in its own time. This label of our own keeps the initial
# version: were it gone, a refresh would drop it from state and the next update would write it again,
# over the live value.
INITIAL_VERSION_LABEL = "aws-secrets-initial"


@dataclass(frozen=True)
class Guards:
    """Hooks that all secrets of a program share; their names must be unique in it."""

    taken_name: pulumi.ErrorHook
    written_before: pulumi.ResourceHook


def register_guards(name: str) -> Guards:
    """Registers the hooks under this prefix."""
    return Guards(
        taken_name=pulumi.ErrorHook(f"{name}-taken-name", _say_what_to_do_about_a_taken_name),
        written_before=pulumi.ResourceHook(f"{name}-written-before", _refuse_to_write_twice),
    )


def _say_what_to_do_about_a_taken_name(failure: pulumi.ErrorHookArgs) -> bool:
    name = (failure.new_inputs or {}).get("name")
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


async def _refuse_to_write_twice(creation: pulumi.ResourceHookArgs) -> None:
    secret_id = (creation.new_inputs or {})["secretId"]
    listed = await aws.secretsmanager.get_secret_versions_output(secret_id=secret_id).future()
    for version in listed.versions if listed else []:
        if INITIAL_VERSION_LABEL in version.version_stages:
            raise RuntimeError(
                "An interrupted update has written the initial version of this secret before. Writing it "
                "again could overwrite what the secret holds now, so nothing was written. Take the version "
                "into the state, then run pulumi up again: pulumi import --yes --skip-preview "
                f"--protect=false --generate-code=false --parent 'secret={_parent(creation.urn)}' "
                f"{creation.type} '{creation.name}' '{secret_id}|{version.version_id}'"
            )


def _parent(urn: str) -> str:
    """The URN of the Secret that the initial version belongs to."""
    start, types, name = (
        urn.rpartition("::")[0].rpartition("::")[0],
        urn.split("::")[2],
        urn.split("::", 3)[3],
    )
    return f"{start}::{types.rpartition('$')[0]}::{name.removesuffix('-initial-version')}"
