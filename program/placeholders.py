"""Placeholders that a workload needs and nobody has filled."""

from collections.abc import Mapping

import pulumi

from components.first_version import FirstVersions
from components.secret import Secret
from components.versions import INITIAL_VERSION_LABEL, UNFILLED_LABEL, LookupFailedError, list_versions
from components.visible import visible
from settings import StackFile
from settings.mistakes import path_of
from settings.stack_secrets import by_name


def warn_about_empty_ones(
    declared: StackFile, made: Mapping[str, Secret], first_versions: FirstVersions
) -> None:
    """Warn of required placeholders that still hold their initial value; no value is read.

    Where several keys of a secret wait for a person, an edit of one counts for all.

    Args:
        declared: the stack file.
        made: component of each secret, by its name in AWS.
        first_versions: which secrets this update creates.
    """
    for name, warnings in _required(declared).items():
        # of a secret that this update creates AWS is not asked: the provider would report an error for it
        made[name].arn.apply(
            lambda arn, warnings=warnings: _warn(arn, warnings, first_versions),  # type: ignore[misc]  # a default is how a loop's value is kept
            run_with_unknowns=True,
        )


def _required(declared: StackFile) -> dict[str, list[str]]:
    """Return each secret with a placeholder that a workload requires, with a warning for each reader."""
    secrets = by_name(declared)
    found: dict[str, list[str]] = {}
    for name, workload in declared.workloads.items():
        for read in workload.reads:
            if not read.required:
                continue
            path = path_of(pulumi.get_project(), ("workloads", name, *read.place))
            secret = secrets[read.secret]
            key = read.key_of(secret.content)
            for place, value in secret.sources:
                own = place[1] if place[0] == "values" else None
                if key in {own, None} and value.filled_by_hand is not None:
                    what = read.secret if own is None else f"{own} of {read.secret}"
                    found.setdefault(read.secret, []).append(
                        visible(
                            f"{path}: {what} is not filled in yet ({value.filled_by_hand}). "
                            "The workload requires it and gets an empty text until then."
                        )
                    )
    return found


def _warn(arn: object, warnings: list[str], first_versions: FirstVersions) -> None:
    # a text unless a preview creates the secret
    if not isinstance(arn, str) or first_versions.is_new(arn) or _holds_its_initial_value(arn):
        for warning in warnings:
            pulumi.log.warn(warning)


def _holds_its_initial_value(arn: str) -> bool:
    try:
        versions = list_versions(arn)
    except LookupFailedError:
        return False  # a permission that a preview lacks tells nothing
    return any(
        "AWSCURRENT" in version.version_stages
        and not {INITIAL_VERSION_LABEL, UNFILLED_LABEL}.isdisjoint(version.version_stages)
        for version in versions
    )
